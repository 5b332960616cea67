/**
 * Gradients of the experts' matrices:
 *
 *   dW[e] = Σ_{a of e} left[⌊a / left_share⌋]ᵀ gate_a right[⌊a / right_share⌋]
 *
 *   left [·, rows]   right [·, columns]   gate [assignments]   dW [experts, rows, columns], zeros for an expert that nobody chose
 */

import type { WgslKernel } from '../program.ts';
import { ownTile, storeTile, TILE, TILE_LANES, TILE_MEMORY, TILE_PLACE, tileProduct } from './tile-product.ts';
import { entryPoint } from './wgsl.ts';

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
${TILE_PLACE}

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

${entryPoint(TILE_LANES)}
${ownTile('parameters.experts')}
  let begin = u32(offsets[matrix]);
  let end = u32(offsets[matrix + 1u]);
${tileProduct('begin', 'end', 'outer', 'outer')}
${storeTile('d_weights')}
}`,
};
