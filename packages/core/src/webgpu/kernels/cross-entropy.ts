/**
 * Softmax cross-entropy with integer targets, row by row: with logits z, target t, weight w and label smoothing ε,
 *
 *   lse = ln Σ_j e^{z_j}        loss = w (lse − (1 − ε) z_t − ε mean z)
 *
 *   z [rows, classes]   t, w, lse, loss [rows]
 *
 * Where w is 0 nothing else is looked at. A target that is no class gives NaN: a GPU cannot throw.
 */

import type { WgslKernel } from '../program.ts';

const LANES = 64;

/** Workgroup: one row. */
export const crossEntropy: WgslKernel = {
  name: 'cross_entropy',
  storage: () => ({
    ...{ logits: 'read f32', targets: 'read i32', weights: 'read f32' },
    ...{ log_sum: 'write f32', losses: 'write f32' },
  }),
  parameters: { rows: 'u32', classes: 'u32', smoothing: 'f32' },
  code: (_, has) => `
var<workgroup> parts: array<vec2f, ${LANES}>;

@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  let first = row * parameters.classes;
  // (highest, sum of logits), and then (Σ e^{z − highest}, …).
  var part = vec2f(-3.0e38, 0.0);
  for (var i = lane; i < parameters.classes; i += ${LANES}u) {
    part = vec2f(max(part.x, logits[first + i]), part.y + logits[first + i]);
  }
  parts[lane] = part;
  workgroupBarrier();
  var whole = vec2f(-3.0e38, 0.0);
  for (var i = 0u; i < ${LANES}u; i++) { whole = vec2f(max(whole.x, parts[i].x), whole.y + parts[i].y); }
  workgroupBarrier();
  var exponentials = 0.0;
  for (var i = lane; i < parameters.classes; i += ${LANES}u) { exponentials += exp(logits[first + i] - whole.x); }
  parts[lane] = vec2f(exponentials, 0.0);
  workgroupBarrier();
  if (lane == 0u) {
    var total = 0.0;
    for (var i = 0u; i < ${LANES}u; i++) { total += parts[i].x; }
    let lse = whole.x + log(total);
    let target_class = targets[row];
    // NaN, whose constant WGSL does not take.
    var loss = bitcast<f32>(0x7fc00000u | (parameters.rows & 1u));
    if (target_class >= 0 && target_class < i32(parameters.classes)) {
      loss = lse - (1.0 - parameters.smoothing) * logits[first + u32(target_class)]
        - parameters.smoothing * whole.y / f32(parameters.classes);
    }
    ${has('weights') ? 'loss = select(weights[row] * loss, 0.0, weights[row] == 0.0);' : ''}
    log_sum[row] = lse;
    losses[row] = loss;
  }
}`,
};
