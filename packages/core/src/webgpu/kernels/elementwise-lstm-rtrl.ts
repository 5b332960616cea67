/**
 * Real-time recurrent learning of the e-LSTM (Irie, Gopalakrishnan and Schmidhuber 2023, section 3.2). With u = (x_t, c_{t-1}, 1), what the
 * parameters of a unit are multiplied with, in rows d,
 *
 *   dz = (1 − f) ∘ (1 − z²)     df = (c_{t-1} − z) ∘ f ∘ (1 − f)     a = dc_t / dc_{t-1} = f + dz ∘ wz + df ∘ wf
 *   Sz_d ← a ∘ Sz_d + dz ∘ u_d     Sf_d ← a ∘ Sf_d + df ∘ u_d          gz_d += Σ_batch e_t ∘ Sz_d     gf_d += Σ_batch e_t ∘ Sf_d
 *
 *   S [batch, inputs + 2, 2 · hidden]   g [inputs + 2, 2 · hidden]   x [batch, steps, inputs]   w = (wz, wf) [2 · hidden]
 *
 * No element of S depends on another. An invocation has one of the parameters, for all batch rows one after the other, each
 * through all steps: S and g are in registers, and sums are the same each time. `sequences` holds (z, f) [batch, steps, 2 · hidden], c and
 * (if there is a loss) e [batch, steps, hidden], one after the other.
 */

import type { WgslKernel } from '../program.ts';
import { entryPoint } from './wgsl.ts';

/** Parameters of a workgroup. */
export const RTRL_LANES = 64;

/** Workgroup: {@link RTRL_LANES} elements of g. */
export const elementwiseLstmRtrl: WgslKernel = {
  name: 'elementwise_lstm_rtrl',
  storage: () => ({
    x: 'read f32',
    sequences: 'read f32',
    recurrent: 'read f32',
    initial_state: 'read f32',
    resets: 'read i32',
    before: 'read f32',
    behind: 'write f32',
    gradients: 'write f32',
  }),
  parameters: { batch: 'u32', steps: 'u32', inputs: 'u32', hidden: 'u32' },
  code: (_, has) => `
${entryPoint(RTRL_LANES)}
  let index = group_index(group, groups) * ${RTRL_LANES}u + lane;
  let hidden = parameters.hidden;
  let size = (parameters.inputs + 2u) * 2u * hidden;
  if (index >= size) { return; }
  let row = index / (2u * hidden);
  let unit = index % hidden;
  let is_forget = index % (2u * hidden) >= hidden;
  let rows = parameters.batch * parameters.steps;
  let wz = recurrent[unit];
  let wf = recurrent[hidden + unit];
  var gradient = 0.0;
  for (var b = 0u; b < parameters.batch; b++) {
    var s = before[b * size + index];
    var cell = ${has('initial_state') ? 'initial_state[b * hidden + unit]' : '0.0'};
    for (var t = 0u; t < parameters.steps; t++) {
      let step = b * parameters.steps + t;
      ${has('resets') ? 'if (resets[step] != 0) { s = 0.0; cell = 0.0; }' : ''}
      let z = sequences[step * 2u * hidden + unit];
      let f = sequences[step * 2u * hidden + hidden + unit];
      let dz = (1.0 - f) * (1.0 - z * z);
      let df = (cell - z) * f * (1.0 - f);
      var factor = 1.0;
      if (row < parameters.inputs) { factor = x[step * parameters.inputs + row]; }
      else if (row == parameters.inputs) { factor = cell; }
      s = fma(f + dz * wz + df * wf, s, select(dz, df, is_forget) * factor);
      cell = sequences[(2u * rows + step) * hidden + unit];
      ${has('gradients') ? 'gradient = fma(sequences[(3u * rows + step) * hidden + unit], s, gradient);' : ''}
    }
    behind[b * size + index] = s;
  }
  ${has('gradients') ? 'gradients[index] = gradient;' : ''}
}`,
};
