/**
 * Products of rows with the matrices of their experts (Csordás, Irie and Schmidhuber 2023, section 5), in the order of the assignments:
 *
 *   y[a] = x[⌊a / share⌋] W[e],   or W[e]ᵀ, or relu of it        e the expert of a
 *
 *   x [rows, size]   W [experts, size, columns], or [experts, columns, size] if it is transposed   y [assignments, columns]
 *
 * Assignments come sorted by expert, as `sort-counts.ts` has them: tiles of 32 of them have one expert each, and gather their rows
 * as they read them. Those of no expert, behind the last, get NaN.
 */

import type { WgslKernel } from '../program.ts';
import { eachOfTile, TILE, TILE_LANES, TILE_MEMORY, tileProduct } from './tile-product.ts';
import { entryPoint, nan } from './wgsl.ts';

/** Workgroups that suffice, whatever the experts: each may have one tile that is not full, those of no expert too. */
export function expertProductGroups(assignments: number, experts: number, columns: number): number {
  return (Math.floor(assignments / TILE) + Math.min(experts + 1, assignments)) * Math.ceil(columns / TILE);
}

/** Workgroup: a tile of 32 assignments of one expert and 32 columns. */
export const expertProducts: WgslKernel = {
  name: 'expert_products',
  storage: () => ({ x: 'read f32', weights: 'read f32', order: 'read i32', offsets: 'read i32', y: 'write f32' }),
  parameters: { assignments: 'u32', experts: 'u32', share: 'u32', size: 'u32', columns: 'u32' },
  code: ({ transposed, relu }) => `
${TILE_MEMORY}
var<workgroup> rows: array<u32, ${TILE}>;
var<private> own_rows: u32;
var<private> own_expert: u32;
var<private> first_column: u32;

fn left_of(inner: u32, outer: u32) -> f32 {
  if (outer >= own_rows) { return 0.0; }
  return x[(rows[outer] / parameters.share) * parameters.size + inner];
}

fn right_of(inner: u32, outer: u32) -> f32 {
  let column = first_column + outer;
  if (column >= parameters.columns) { return 0.0; }
  let matrix = own_expert * parameters.size * parameters.columns;
  return weights[matrix + ${transposed ? 'column * parameters.size + inner' : 'inner * parameters.columns + column'}];
}

${entryPoint(TILE_LANES)}
  let column_tiles = (parameters.columns + ${TILE - 1}u) / ${TILE}u;
  var tile = group_index(group, groups) / column_tiles;
  var expert = 0u;
  var begin = 0u;
  var end = 0u;
  for (; expert <= parameters.experts; expert++) {
    begin = u32(offsets[expert]);
    end = parameters.assignments;
    if (expert < parameters.experts) { end = u32(offsets[expert + 1u]); }
    let tiles = (end - begin + ${TILE - 1}u) / ${TILE}u;
    if (tile < tiles) { break; }
    tile -= tiles;
  }
  if (expert > parameters.experts) { return; }
  begin += tile * ${TILE}u;
  let count = min(${TILE}u, end - begin);
  if (lane < count) { rows[lane] = u32(order[begin + lane]); }
  own_rows = count;
  own_expert = expert;
  first_column = (group_index(group, groups) % column_tiles) * ${TILE}u;
  var size = parameters.size;
  if (expert == parameters.experts) { size = 0u; }
${tileProduct('0u', 'size', 'inner', transposed ? 'inner' : 'outer')}
  workgroupBarrier();
  let nothing = ${nan('count')};
${eachOfTile(`if (row < count && first_column + column < parameters.columns) {
      let known = select(value, nothing, expert == parameters.experts);
      y[rows[row] * parameters.columns + first_column + column] = ${relu ? 'max(known, 0.0)' : 'known'};
    }`)}
}`,
};
