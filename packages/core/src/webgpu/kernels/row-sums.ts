/** Sums of rows: y[r] = Σ_i x[offset + r, i], x [rows, columns]. */

import type { WgslKernel } from '../program.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

const LANES = 32;

/** Workgroup: one row. */
export const rowSums: WgslKernel = {
  name: 'row_sums',
  storage: () => ({ x: 'read f32', y: 'write f32' }),
  parameters: { rows: 'u32', columns: 'u32', offset: 'u32' },
  code: () => `
${workgroupSum(LANES)}

${entryPoint(LANES)}
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  var sum = 0.0;
  for (var i = lane; i < parameters.columns; i += ${LANES}u) {
    sum += x[parameters.offset + row * parameters.columns + i];
  }
  let total = total_of(sum, lane);
  if (lane == 0u) { y[row] = total; }
}`,
};
