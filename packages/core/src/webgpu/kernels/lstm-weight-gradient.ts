/**
 * The gradient of an LSTM's recurrent weight (`lstm.ts`), in parts that are added up afterwards (`column-sums.ts`):
 *
 *   partial[s] = Σ_{(b, t) in part s} h_{b, t-1}ᵀ dz_{b, t}        h_{b, t-1} = 0 at a reset
 *
 *   h = output [batch, steps, hidden], h_0 [batch, hidden]   dz = d_gates [batch, steps, 4 · hidden]   partial [splits, hidden, 4 · hidden]
 */

import type { WgslKernel } from '../program.ts';
import { ownTile, storeTile, TILE_LANES, TILE_MEMORY, TILE_PLACE, tileProduct } from './tile-product.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: a tile of 32 × 32 of one part. */
export const lstmWeightGradient: WgslKernel = {
  name: 'lstm_weight_gradient',
  storage: () => ({
    ...{ output: 'read f32', initial_hidden: 'read f32', resets: 'read i32', d_gates: 'read f32' },
    ...{ partial: 'write f32' },
  }),
  parameters: { rows: 'u32', columns: 'u32', inner: 'u32', steps: 'u32', share: 'u32', splits: 'u32' },
  code: (_, has) => `
${TILE_MEMORY}
${TILE_PLACE}

fn left_of(inner: u32, outer: u32) -> f32 {
  let unit = first_row + outer;
  if (unit >= parameters.rows) { return 0.0; }
  ${has('resets') ? 'if (resets[inner] != 0) { return 0.0; }' : ''}
  if (inner % parameters.steps == 0u) { return initial_hidden[inner / parameters.steps * parameters.rows + unit]; }
  return output[(inner - 1u) * parameters.rows + unit];
}

fn right_of(inner: u32, outer: u32) -> f32 {
  let column = first_column + outer;
  if (column >= parameters.columns) { return 0.0; }
  return d_gates[inner * parameters.columns + column];
}

${entryPoint(TILE_LANES)}
${ownTile('parameters.splits')}
  let begin = matrix * parameters.share;
  let end = min(parameters.inner, begin + parameters.share);
${tileProduct('begin', 'end', 'outer', 'outer')}
${storeTile('partial')}
}`,
};
