/**
 * The gradient of the k largest numbers of each row, which goes back to where they were:
 *
 *   dx[r, i] = Σ_j [indices[r, j] = i] dy[r, j]        dx [rows, columns]   indices, dy [rows, k]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

const LANES = 64;

/** Workgroup: {@link LANES} elements of dx. */
export const topKGradient: WgslKernel = {
  name: 'top_k_gradient',
  storage: () => ({ dy: 'read f32', indices: 'read i32', dx: 'write f32' }),
  parameters: { rows: 'u32', columns: 'u32', k: 'u32' },
  code: () => `
${entryPoint(LANES)}
  let element = group_index(group, groups) * ${LANES}u + lane;
  if (element >= parameters.rows * parameters.columns) { return; }
  let row = element / parameters.columns;
  let column = i32(element % parameters.columns);
  var sum = 0.0;
  for (var j = row * parameters.k; j < (row + 1u) * parameters.k; j++) {
    if (indices[j] == column) { sum += dy[j]; }
  }
  dx[element] = sum;
}`,
};
