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
import { entryPoint, nan, workgroupReduction, workgroupSum } from './wgsl.ts';

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
${workgroupReduction('highest_of', LANES, 'f32', (a, b) => `max(${a}, ${b})`)}
${workgroupSum(LANES, 'vec2f')}

${entryPoint(LANES)}
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  let first = row * parameters.classes;
  var top = -3.0e38;
  for (var i = lane; i < parameters.classes; i += ${LANES}u) { top = max(top, logits[first + i]); }
  let highest = highest_of(top, lane);
  // Σ e^{z − highest} and Σ z.
  var part = vec2f();
  for (var i = lane; i < parameters.classes; i += ${LANES}u) {
    part += vec2f(exp(logits[first + i] - highest), logits[first + i]);
  }
  let sums = total_of(part, lane);
  if (lane == 0u) {
    let lse = highest + log(sums.x);
    let target_class = targets[row];
    var loss = ${nan('parameters.rows')};
    if (target_class >= 0 && target_class < i32(parameters.classes)) {
      loss = lse - (1.0 - parameters.smoothing) * logits[first + u32(target_class)]
        - parameters.smoothing * sums.y / f32(parameters.classes);
    }
    ${has('weights') ? 'loss = select(weights[row] * loss, 0.0, weights[row] == 0.0);' : ''}
    log_sum[row] = lse;
    losses[row] = loss;
  }
}`,
};
