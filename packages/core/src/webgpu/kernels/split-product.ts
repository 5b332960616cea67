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
import { ownTile, storeTile, TILE_LANES, TILE_MEMORY, TILE_PLACE, tileProduct } from './tile-product.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: a tile of 32 × 32 of one part. */
export const splitProduct: WgslKernel = {
  name: 'split_product',
  storage: () => ({ a: 'read f32', b: 'read f32', partial: 'write f32' }),
  parameters: { rows: 'u32', columns: 'u32', inner: 'u32', share: 'u32', splits: 'u32' },
  code: ({ transposeA, transposeB }) => `
${TILE_MEMORY}
${TILE_PLACE}

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

${entryPoint(TILE_LANES)}
${ownTile('parameters.splits')}
  let begin = matrix * parameters.share;
  let end = min(parameters.inner, begin + parameters.share);
${tileProduct('begin', 'end', transposeA ? 'outer' : 'inner', transposeB ? 'inner' : 'outer')}
${storeTile('partial')}
}`,
};
