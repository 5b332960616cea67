/**
 * The gradient of softmax cross-entropy, from the logits and the logarithms of their sums:
 *
 *   dz_j = u (e^{z_j − lse} − (1 − ε) [j = t] − ε / classes)        u = w dy / Σ w, w dy or w dy_row, as losses were reduced
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

const LANES = 64;

/** Workgroup: one row. */
export const crossEntropyGradient: WgslKernel = {
  name: 'cross_entropy_gradient',
  storage: () => ({
    ...{ logits: 'read f32', targets: 'read i32', weights: 'read f32', log_sum: 'read f32', dy: 'read f32' },
    /** Σ w, [1], if losses were averaged over weights. */
    ...{ total_weight: 'read f32', d_logits: 'write f32' },
  }),
  parameters: { rows: 'u32', classes: 'u32', smoothing: 'f32' },
  code: ({ reduction }, has) => `
${entryPoint(LANES)}
  let row = group_index(group, groups);
  if (row >= parameters.rows) { return; }
  let first = row * parameters.classes;
  var upstream = dy[${reduction === 'none' ? 'row' : '0'}];
  ${has('weights') ? 'upstream *= weights[row];' : ''}
  ${
    reduction !== 'mean'
      ? ''
      : has('total_weight')
        ? 'upstream /= select(total_weight[0], 1.0, total_weight[0] == 0.0);'
        : 'upstream /= f32(parameters.rows);'
  }
  ${has('weights') ? 'let used = weights[row] != 0.0;' : 'let used = true;'}
  let spread = parameters.smoothing / f32(parameters.classes);
  for (var i = lane; i < parameters.classes; i += ${LANES}u) {
    var slope = 0.0;
    if (used) {
      let hit = select(0.0, 1.0 - parameters.smoothing, i32(i) == targets[row]);
      slope = upstream * (exp(logits[first + i] - log_sum[row]) - hit - spread);
    }
    d_logits[first + i] = slope;
  }
}`,
};
