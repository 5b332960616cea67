/**
 * A matrix product with a long inner extent, in parts that are added up afterwards (`column-sums.ts`):
 *
 *   partial[s] = Σ_{k in part s} a_k b_kᵀ        a [rows, inner] or [inner, rows]   b [inner, columns] or [columns, inner]
 *
 *   partial [splits, rows, columns]
 *
 * So a gradient of weights, which sums over all tokens of a batch, has more workgroups than its few tiles.
 */

import type { WgslKernel } from '../program.ts';
import { eachOfTile, TILE, TILE_LANES, TILE_MEMORY, tileProduct } from './tile-product.ts';

/** Workgroup: a tile of 32 × 32 of one part. */
export const splitProduct: WgslKernel = {
  name: 'split_product',
  storage: () => ({ a: 'read f32', b: 'read f32', partial: 'write f32' }),
  parameters: { rows: 'u32', columns: 'u32', inner: 'u32', share: 'u32', splits: 'u32' },
  code: ({ transposeA, transposeB }) => `
${TILE_MEMORY}
var<private> first_row: u32;
var<private> first_column: u32;

fn left_of(inner: u32, outer: u32) -> f32 {
  let row = first_row + outer;
  if (row >= parameters.rows) { return 0.0; }
  return a[${transposeA ? 'inner * parameters.rows + row' : 'row * parameters.inner + inner'}];
}

fn right_of(inner: u32, outer: u32) -> f32 {
  let column = first_column + outer;
  if (column >= parameters.columns) { return 0.0; }
  return b[${transposeB ? 'column * parameters.inner + inner' : 'inner * parameters.columns + column'}];
}

@compute @workgroup_size(${TILE_LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row_tiles = (parameters.rows + ${TILE - 1}u) / ${TILE}u;
  let column_tiles = (parameters.columns + ${TILE - 1}u) / ${TILE}u;
  let index = group_index(group, groups);
  let split = index / (row_tiles * column_tiles);
  if (split >= parameters.splits) { return; }
  first_row = (index / column_tiles % row_tiles) * ${TILE}u;
  first_column = (index % column_tiles) * ${TILE}u;
  let begin = split * parameters.share;
  let end = min(parameters.inner, begin + parameters.share);
${tileProduct('begin', 'end', transposeA ? 'outer' : 'inner', transposeB ? 'inner' : 'outer')}
${eachOfTile(`if (first_row + row < parameters.rows && first_column + column < parameters.columns) {
      partial[(split * parameters.rows + first_row + row) * parameters.columns + first_column + column] = value;
    }`)}
}`,
};
