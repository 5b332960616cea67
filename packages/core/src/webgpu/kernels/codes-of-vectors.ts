/**
 * The codes that were chosen for vectors, and how far the vectors are from them:
 *
 *   q_n = w_{k_n}        partial[block] = scale Σ_{i in block} (q_i − z_i)²
 *
 *   z, q [rows, size]   w [codes, size]   k = indices [rows]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 64;
/** Elements of a block. */
export const CODES_BLOCK = 4096;

/** Workgroup: one block. */
export const codesOfVectors: WgslKernel = {
  name: 'codes_of_vectors',
  storage: () => ({
    ...{ vectors: 'read f32', codebook: 'read f32', indices: 'read i32' },
    ...{ output: 'write f32', partial: 'write f32' },
  }),
  parameters: { elements: 'u32', size: 'u32', scale: 'f32' },
  code: () => `
${workgroupSum(LANES)}

${entryPoint(LANES)}
  let block = group_index(group, groups);
  let first = block * ${CODES_BLOCK}u;
  if (first >= parameters.elements) { return; }
  let end = min(parameters.elements, first + ${CODES_BLOCK}u);
  var sum = 0.0;
  for (var i = first + lane; i < end; i += ${LANES}u) {
    let code = codebook[u32(indices[i / parameters.size]) * parameters.size + i % parameters.size];
    let difference = code - vectors[i];
    output[i] = code;
    sum = fma(difference, difference, sum);
  }
  let total = total_of(sum, lane);
  if (lane == 0u) { partial[block] = parameters.scale * total; }
}`,
};
