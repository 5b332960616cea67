/**
 * The sums of a codebook's moving average, and the codes, their quotients by what `codebook-counts.ts` gives:
 *
 *   m ← b m + (1 − b) s        w = m / c′        m, s = batch_sums, w [codes, size]   c′ = divisors [codes]
 *
 * If unused codes are kept, m and w stay as they are where the batch's count is 0.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Elements of a workgroup. */
export const CODEBOOK_LANES = 256;

/** Workgroup: {@link CODEBOOK_LANES} elements. */
export const codebookAverage: WgslKernel = {
  name: 'codebook_average',
  storage: () => ({
    ...{ sums: 'read f32', codebook: 'read f32', batch_counts: 'read f32', batch_sums: 'read f32' },
    ...{ divisors: 'read f32', new_sums: 'write f32', new_codebook: 'write f32' },
  }),
  parameters: { elements: 'u32', size: 'u32', decay: 'f32', rest: 'f32' },
  code: ({ keepUnused }) => `
${entryPoint(CODEBOOK_LANES)}
  let i = group_index(group, groups) * ${CODEBOOK_LANES}u + lane;
  if (i >= parameters.elements) { return; }
  let code = i / parameters.size;
  ${
    keepUnused
      ? `if (batch_counts[code] == 0.0) {
    new_sums[i] = sums[i];
    new_codebook[i] = codebook[i];
    return;
  }`
      : ''
  }
  let sum = fma(parameters.decay, sums[i], parameters.rest * batch_sums[i]);
  new_sums[i] = sum;
  new_codebook[i] = sum / divisors[code];
}`,
};
