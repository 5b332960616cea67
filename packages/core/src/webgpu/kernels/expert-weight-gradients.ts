/**
 * Gradients of the experts' matrices:
 *
 *   dW[e] = Σ_{a of e} left[⌊a / left_share⌋]ᵀ gate_a right[⌊a / right_share⌋]
 *
 *   left [·, rows]   right [·, columns]   gate [assignments]   dW [experts, rows, columns], zeros for an expert that nobody chose
 */

import type { WgslKernel } from '../program.ts';
import { eachOfTile, TILE, TILE_LANES, TILE_MEMORY, tileProduct } from './tile-product.ts';

/** Workgroups for matrices of these sizes. */
export function expertWeightGroups(experts: number, rows: number, columns: number): number {
  return experts * Math.ceil(rows / TILE) * Math.ceil(columns / TILE);
}

/** Workgroup: a tile of 32 × 32 of one expert's matrix. */
export const expertWeightGradients: WgslKernel = {
  name: 'expert_weight_gradients',
  storage: () => ({
    ...{ left: 'read f32', right: 'read f32', gates: 'read f32', order: 'read i32', offsets: 'read i32' },
    ...{ d_weights: 'write f32' },
  }),
  parameters: { experts: 'u32', left_share: 'u32', right_share: 'u32', rows: 'u32', columns: 'u32' },
  code: (_, has) => `
${TILE_MEMORY}
var<private> first_row: u32;
var<private> first_column: u32;

fn left_of(inner: u32, outer: u32) -> f32 {
  let row = first_row + outer;
  if (row >= parameters.rows) { return 0.0; }
  return left[(u32(order[inner]) / parameters.left_share) * parameters.rows + row];
}

fn right_of(inner: u32, outer: u32) -> f32 {
  let column = first_column + outer;
  if (column >= parameters.columns) { return 0.0; }
  let assignment = u32(order[inner]);
  return ${has('gates') ? 'gates[assignment] * ' : ''}right[(assignment / parameters.right_share) * parameters.columns + column];
}

@compute @workgroup_size(${TILE_LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row_tiles = (parameters.rows + ${TILE - 1}u) / ${TILE}u;
  let column_tiles = (parameters.columns + ${TILE - 1}u) / ${TILE}u;
  let index = group_index(group, groups);
  let expert = index / (row_tiles * column_tiles);
  if (expert >= parameters.experts) { return; }
  first_row = (index / column_tiles % row_tiles) * ${TILE}u;
  first_column = (index % column_tiles) * ${TILE}u;
  let begin = u32(offsets[expert]);
  let end = u32(offsets[expert + 1u]);
${tileProduct('begin', 'end', 'outer', 'outer')}
${eachOfTile(`if (first_row + row < parameters.rows && first_column + column < parameters.columns) {
      d_weights[(expert * parameters.rows + first_row + row) * parameters.columns + first_column + column] = value;
    }`)}
}`,
};
