/**
 * The gradient of geometric attention as far as it goes query by query, from far to near with the gradient g of what was not matched
 * yet (rest), as in `csrc/geometric-attention.c`:
 *
 *   dA_ij = dy_i · v_j     dP_k = rest_k (dA_k − g)     g ← dA_k P_k + g (1 − P_k)     dz = dP P (1 − P)
 *   dq_i = c₀ Σ_j dz_ij k_j     dleft_i = c₁ Σ_{j<i} dz_ij     dright_i = c₁ Σ_{j>i} dz_ij
 *   dc₀ = Σ dz_ij q_i·k_j       dc₁ = Σ dz_ij D_ij             dc₂ = Σ dz_ij
 *
 *   work = dz [batch, heads, time, time], A [batch, heads, time, time], and of every query what it adds to dc [3, batch · heads · time]
 *
 * g is an affine function of the g that comes from farther away, so that each invocation has its piece of the walk.
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
export const geometricQueryGradients: WgslKernel = {
  name: 'geometric_query_gradients',
  storage: () => ({
    ...{ x: 'read f32', coefficients: 'read f32', key_mask: 'read i32', matches: 'read f32', dy: 'read f32' },
    ...{ dx: 'write f32', work: 'write f32' },
  }),
  parameters: GEOMETRIC_PARAMETERS,
  code: ({ normalize }, has) => `
var<workgroup> chances: array<f32, ${MAX_GPU_GEOMETRIC_TIME}>;
var<workgroup> rests: array<f32, ${MAX_GPU_GEOMETRIC_TIME}>;
// Gradients of A, and then of z.
var<workgroup> slopes: array<f32, ${MAX_GPU_GEOMETRIC_TIME}>;
var<workgroup> carried: array<vec2f, ${WALK_LANES}>;
${geometricRows(has('key_mask'))}
${WALK}
${workgroupSum(WALK_LANES, 'vec2f')}

${entryPoint(WALK_LANES)}
${OWN_POSITION}
  let is_present = !is_padding(batch, position);
  let own_output = output_at(batch, position, head);
  let own_row = (pair * parameters.time + position) * parameters.time;
  for (var j = lane; j < parameters.time; j += ${WALK_LANES}u) {
    chances[j] = matches[own_row + j];
    var slope = 0.0;
    if (is_present && j != position && !is_padding(batch, j)) {
      let value = x_at(batch, j, 2u, head);
      for (var d = 0u; d < parameters.dim; d++) { slope = fma(dy[own_output + d], x[value + d], slope); }
    }
    slopes[j] = slope;
    rests[j] = 0.0;
  }
  workgroupBarrier();
  let piece = piece_of(lane);
  var left_over = 1.0;
  for (var visit = piece.x; visit < piece.y; visit++) { left_over *= 1.0 - chances[visited(position, visit)]; }
  var rest = rest_before(left_over, lane);
  var sums = vec2f();
  for (var visit = piece.x; visit < piece.y; visit++) {
    let j = visited(position, visit);
    rests[j] = rest;
    sums += rest * chances[j] * vec2f(1.0, slopes[j]);
    rest *= 1.0 - chances[j];
  }
  ${
    normalize
      ? `let weighed = total_of(sums, lane);
  let factor = 1.0 / max(weighed.x, 1.0e-12);
  // Where the sum was too small to divide by it, the divisor is a constant.
  let mean = select(0.0, weighed.y * factor, weighed.x > 1.0e-12);`
      : `let factor = 1.0;
  let mean = 0.0;`
  }
  // What came from farther away, as slope and offset.
  var from_afar = vec2f(1.0, 0.0);
  for (var visit = piece.y; visit > piece.x; visit--) {
    let j = visited(position, visit - 1u);
    let slope = (slopes[j] - mean) * factor;
    from_afar = (1.0 - chances[j]) * from_afar + vec2f(0.0, slope * chances[j]);
  }
  carried[lane] = from_afar;
  workgroupBarrier();
  var g = 0.0;
  for (var i = ${WALK_LANES}u; i > lane + 1u; i--) { g = carried[i - 1u].x * g + carried[i - 1u].y; }
  let all = parameters.batch * parameters.heads * parameters.time;
  var directions = vec2f();
  for (var visit = piece.y; visit > piece.x; visit--) {
    let j = visited(position, visit - 1u);
    let chance = chances[j];
    let slope = (slopes[j] - mean) * factor;
    let dz = rests[j] * (slope - g) * chance * (1.0 - chance);
    g = slope * chance + g * (1.0 - chance);
    slopes[j] = dz;
    directions += select(vec2f(0.0, dz), vec2f(dz, 0.0), j < position);
  }
  if (lane == 0u) { slopes[position] = 0.0; }
  let both = total_of(directions, lane);
  for (var j = lane; j < parameters.time; j += ${WALK_LANES}u) {
    work[own_row + j] = slopes[j];
    work[all * parameters.time + own_row + j] = factor * rests[j] * chances[j];
  }
  let query = x_at(batch, position, 0u, head);
  var content = 0.0;
  for (var d = lane; d < parameters.dim; d += ${WALK_LANES}u) {
    var sum = 0.0;
    for (var j = 0u; j < parameters.time; j++) {
      // Padding may hold NaN.
      if (slopes[j] != 0.0) { sum = fma(slopes[j], x[x_at(batch, j, 1u, head) + d], sum); }
    }
    dx[query + d] = coefficients[0] * sum;
    if (is_present) { content = fma(x[query + d], sum, content); }
  }
  let product = total_of(vec2f(content, 0.0), lane);
  if (lane == 0u) {
    let direction = direction_at(batch, position, head);
    dx[direction] = coefficients[1] * both.x;
    dx[direction + parameters.heads] = coefficients[1] * both.y;
    let at = 2u * all * parameters.time + pair * parameters.time + position;
    var preferred = 0.0;
    if (is_present) { preferred = both.x * x[direction] + both.y * x[direction + parameters.heads]; }
    work[at] = product.x;
    work[at + all] = preferred;
    work[at + 2u * all] = both.x + both.y;
  }
}`,
};
