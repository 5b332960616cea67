/** Sums of squares of the blocks of a tensor: partial[offset + block] = Σ_i x_i². */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 64;
/** Elements of a block. */
export const NORM_BLOCK = 4096;

/** Workgroup: one block. */
export const squaredNorm: WgslKernel = {
  name: 'squared_norm',
  storage: () => ({ x: 'read f32', partial: 'write f32' }),
  parameters: { size: 'u32', offset: 'u32' },
  code: () => `
${workgroupSum(LANES)}

${entryPoint(LANES)}
  let block = group_index(group, groups);
  let first = block * ${NORM_BLOCK}u;
  if (first >= parameters.size) { return; }
  let end = min(parameters.size, first + ${NORM_BLOCK}u);
  var sum = 0.0;
  for (var i = first + lane; i < end; i += ${LANES}u) { sum = fma(x[i], x[i], sum); }
  let total = total_of(sum, lane);
  if (lane == 0u) { partial[parameters.offset + block] = total; }
}`,
};
