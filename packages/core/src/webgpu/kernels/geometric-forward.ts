/**
 * Geometric attention (Csordás, Irie and Schmidhuber 2022, equations 6 to 9), query by query:
 *
 *   z_ij = c₀ q_i·k_j + c₁ D_ij + c₂     D_ij = left_i if j < i, right_i if j > i     P = σ(z), 0 where i = j or padding is
 *   A_ij = P_ij · Π (1 − P_ik) over the k that are visited before j                   output = A V, or A V / Σ_j A_ij
 *
 *   x [batch, time, (3 dim + 2) heads] = q, k, v [heads, dim], left, right [heads]   P [batch, heads, time, time], kept for the gradient
 *
 * The product is taken piece by piece: each invocation multiplies its visits, and starts from what those before it left.
 */

import type { WgslKernel } from '../program.ts';
import {
  GEOMETRIC_PARAMETERS,
  geometricRows,
  MAX_GPU_GEOMETRIC_TIME,
  OWN_POSITION,
  WALK,
  WALK_LANES,
} from './geometric-walk.ts';
import { entryPoint, workgroupSum } from './wgsl.ts';

/** Workgroup: one query of one head. */
export const geometricForward: WgslKernel = {
  name: 'geometric_forward',
  storage: () => ({
    ...{ x: 'read f32', coefficients: 'read f32', key_mask: 'read i32' },
    ...{ matches: 'write f32', output: 'write f32' },
  }),
  parameters: GEOMETRIC_PARAMETERS,
  code: ({ normalize }, has) => `
var<workgroup> weights: array<f32, ${MAX_GPU_GEOMETRIC_TIME}>;
${geometricRows(has('key_mask'))}
${WALK}
${workgroupSum(WALK_LANES)}

${entryPoint(WALK_LANES)}
${OWN_POSITION}
  let is_present = !is_padding(batch, position);
  let own = x_at(batch, position, 0u, head);
  let direction = direction_at(batch, position, head);
  for (var j = lane; j < parameters.time; j += ${WALK_LANES}u) {
    var match_j = 0.0;
    if (is_present && j != position && !is_padding(batch, j)) {
      let key = x_at(batch, j, 1u, head);
      var product = 0.0;
      for (var d = 0u; d < parameters.dim; d++) { product = fma(x[own + d], x[key + d], product); }
      let preference = x[direction + select(parameters.heads, 0u, j < position)];
      let z = coefficients[0] * product + coefficients[1] * preference + coefficients[2];
      match_j = 1.0 / (1.0 + exp(-z));
    }
    weights[j] = match_j;
    ${has('matches') ? 'matches[(pair * parameters.time + position) * parameters.time + j] = match_j;' : ''}
  }
  workgroupBarrier();
  let piece = piece_of(lane);
  var left = 1.0;
  for (var visit = piece.x; visit < piece.y; visit++) { left *= 1.0 - weights[visited(position, visit)]; }
  var rest = rest_before(left, lane);
  var sum = 0.0;
  for (var visit = piece.x; visit < piece.y; visit++) {
    let j = visited(position, visit);
    let match_j = weights[j];
    weights[j] = rest * match_j;
    sum += rest * match_j;
    rest *= 1.0 - match_j;
  }
  // The sum also waits for the weights of the other invocations.
  let total = total_of(sum, lane);
  let factor = ${normalize ? '1.0 / max(total, 1.0e-12)' : '1.0'};
  for (var d = lane; d < parameters.dim; d += ${WALK_LANES}u) {
    var seen = 0.0;
    for (var j = 0u; j < parameters.time; j++) {
      // Padding may hold NaN.
      if (weights[j] != 0.0) { seen = fma(weights[j], x[x_at(batch, j, 2u, head) + d], seen); }
    }
    output[output_at(batch, position, head) + d] = factor * seen;
  }
}`,
};
