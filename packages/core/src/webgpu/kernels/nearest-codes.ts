/**
 * The code that is nearest to each vector, of several the first:
 *
 *   index[n] = argmin_k ‖z_n − w_k‖² = argmax_k z_n · w_k − ½‖w_k‖²        z [rows, size]   w [codes, size]   index [rows]
 *
 * Products of 32 vectors and 32 codes at a time, with the best so far of each invocation's 4 × 4 beside them; half the squared
 * lengths of the codes are summed along with the products.
 */

import type { WgslKernel } from '../program.ts';
import { TILE, TILE_LANES, TILE_MEMORY, tileProduct } from './tile-product.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: 32 vectors. */
export const nearestCodes: WgslKernel = {
  name: 'nearest_codes',
  storage: () => ({ vectors: 'read f32', codebook: 'read f32', indices: 'write i32' }),
  parameters: { rows: 'u32', codes: 'u32', size: 'u32' },
  code: () => `
${TILE_MEMORY}
var<workgroup> scores: array<f32, ${TILE * 8}>;
var<workgroup> codes: array<u32, ${TILE * 8}>;
var<private> first_row: u32;
var<private> first_code: u32;

fn left_of(inner: u32, outer: u32) -> f32 {
  let row = first_row + outer;
  if (row >= parameters.rows) { return 0.0; }
  return vectors[row * parameters.size + inner];
}

fn right_of(inner: u32, outer: u32) -> f32 {
  let code = first_code + outer;
  if (code >= parameters.codes) { return 0.0; }
  return codebook[code * parameters.size + inner];
}

${entryPoint(TILE_LANES)}
  let tile = group_index(group, groups);
  if (tile * ${TILE}u >= parameters.rows) { return; }
  first_row = tile * ${TILE}u;
  // Of four vectors: the best score, and whose it is.
  var best = vec4f(-3.4e38);
  var nearest = vec4u();
  for (var code_tile = 0u; code_tile < parameters.codes; code_tile += ${TILE}u) {
    first_code = code_tile;
    var half = vec4f();
${tileProduct('0u', 'parameters.size', 'inner', 'inner', 'half = fma(0.5 * r, r, half);')}
    for (var n = 0u; n < 4u; n++) {
      let code = first_code + 4u * tile_column + n;
      let score = vec4f(c0[n], c1[n], c2[n], c3[n]) - half[n];
      let is_better = (score > best) & vec4<bool>(code < parameters.codes);
      best = select(best, score, is_better);
      nearest = select(nearest, vec4u(code), is_better);
    }
  }
  let own_row = lane / 8u;
  for (var i = 0u; i < 4u; i++) {
    scores[(4u * own_row + i) * 8u + lane % 8u] = best[i];
    codes[(4u * own_row + i) * 8u + lane % 8u] = nearest[i];
  }
  workgroupBarrier();
  if (lane >= ${TILE}u || first_row + lane >= parameters.rows) { return; }
  var top = scores[lane * 8u];
  var chosen = codes[lane * 8u];
  for (var i = lane * 8u + 1u; i < lane * 8u + 8u; i++) {
    if (scores[i] > top || (scores[i] == top && codes[i] < chosen)) {
      top = scores[i];
      chosen = codes[i];
    }
  }
  indices[first_row + lane] = i32(chosen);
}`,
};
