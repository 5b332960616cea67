/**
 * Gradients of the gain and bias of normalised rows, for a block of rows: partial[block] = (Σ dy x̂, Σ dy), which
 * `column-sums.ts` adds up.
 *
 *   x, dy [rows, features]   mean, scale [rows]   partial [blocks, 2, features]
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Features of a workgroup. */
export const GRADIENT_COLUMNS = 64;
/** Rows of a block. */
export const GRADIENT_ROWS = 64;

/** Workgroup: {@link GRADIENT_COLUMNS} features of one block. */
export const normalizeParameterGradients: WgslKernel = {
  name: 'normalize_parameter_gradients',
  storage: () => ({ x: 'read f32', mean: 'read f32', scale: 'read f32', dy: 'read f32', partial: 'write f32' }),
  parameters: { rows: 'u32', features: 'u32' },
  code: (_, has) => `
${entryPoint(GRADIENT_COLUMNS)}
  let tiles = (parameters.features + ${GRADIENT_COLUMNS - 1}u) / ${GRADIENT_COLUMNS}u;
  let block = group_index(group, groups) / tiles;
  let column = (group_index(group, groups) % tiles) * ${GRADIENT_COLUMNS}u + lane;
  if (block * ${GRADIENT_ROWS}u >= parameters.rows || column >= parameters.features) { return; }
  let end = min(parameters.rows, (block + 1u) * ${GRADIENT_ROWS}u);
  var sums = vec2f();
  for (var row = block * ${GRADIENT_ROWS}u; row < end; row++) {
    let at = row * parameters.features + column;
    sums += dy[at] * vec2f((x[at] - ${has('mean') ? 'mean[row]' : '0.0'}) * scale[row], 1.0);
  }
  partial[2u * block * parameters.features + column] = sums.x;
  partial[(2u * block + 1u) * parameters.features + column] = sums.y;
}`,
};
