/**
 * The counts of a codebook's moving average (van den Oord, Vinyals and Kavukcuoglu 2017, appendix A.1), and what its sums are divided by:
 *
 *   c ← b c + (1 − b) n        c′ = (c + ε) / (Σc + K ε) · Σc
 *
 *   c, n = batch_counts, c′ [codes]
 *
 * With the smoothing `stored`, c′ is what comes out as counts and divisors, with `divisor` as divisors only, with `none` not at all.
 * If unused codes are kept, c stays as it is where n is 0.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 256;

/** One workgroup. */
export const codebookCounts: WgslKernel = {
  name: 'codebook_counts',
  storage: () => ({
    ...{ counts: 'read f32', batch_counts: 'read f32' },
    ...{ new_counts: 'write f32', divisors: 'write f32' },
  }),
  parameters: { codes: 'u32', decay: 'f32', rest: 'f32', epsilon: 'f32' },
  code: ({ smoothing, keepUnused }) => `
${workgroupSum(LANES)}

fn averaged(code: u32) -> f32 {
  ${keepUnused ? 'if (batch_counts[code] == 0.0) { return counts[code]; }' : ''}
  return fma(parameters.decay, counts[code], parameters.rest * batch_counts[code]);
}

${entryPoint(LANES)}
  var sum = 0.0;
  for (var code = lane; code < parameters.codes; code += ${LANES}u) { sum += averaged(code); }
  let total = total_of(sum, lane);
  let scale = total / fma(f32(parameters.codes), parameters.epsilon, total);
  for (var code = lane; code < parameters.codes; code += ${LANES}u) {
    let count = averaged(code);
    let smoothed = (count + parameters.epsilon) * scale;
    new_counts[code] = ${smoothing === 'stored' ? 'smoothed' : 'count'};
    divisors[code] = ${smoothing === 'none' ? 'count' : 'smoothed'};
  }
}`,
};
