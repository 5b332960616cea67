/** Sums of columns: y[c] = Σ_r x[r, offset + c], x [rows, stride]. */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Columns of a workgroup. */
export const SUMMED_COLUMNS = 64;

/** Workgroup: {@link SUMMED_COLUMNS} columns. */
export const columnSums: WgslKernel = {
  name: 'column_sums',
  storage: () => ({ x: 'read f32', y: 'write f32' }),
  parameters: { rows: 'u32', columns: 'u32', stride: 'u32', offset: 'u32' },
  code: () => `
${entryPoint(SUMMED_COLUMNS)}
  let column = group_index(group, groups) * ${SUMMED_COLUMNS}u + lane;
  if (column >= parameters.columns) { return; }
  var sum = 0.0;
  for (var row = 0u; row < parameters.rows; row++) { sum += x[row * parameters.stride + parameters.offset + column]; }
  y[column] = sum;
}`,
};
