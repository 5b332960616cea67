/**
 * An LSTM with elementwise recurrence (Irie, Gopalakrishnan and Schmidhuber 2023, section 3.1), all steps of a unit in one invocation:
 *
 *   z_t = tanh(a_t + wz ∘ c_{t-1})    f_t = σ(b_t + wf ∘ c_{t-1})    c_t = f_t ∘ c_{t-1} + (1 − f_t) ∘ z_t
 *
 *   (a, b) = x W + bias, and (z, f) [batch, steps, 2 · hidden]   (wz, wf) [2 · hidden]   c [batch, steps, hidden]
 */

import type { WgslKernel } from '../program.ts';
import { ACTIVATIONS, entryPoint } from './wgsl.ts';

/** Units of a workgroup, of this kernel and of the gradient. */
export const ELEMENTWISE_LSTM_LANES = 64;

/** Workgroup: {@link ELEMENTWISE_LSTM_LANES} units of all batch rows. */
export const elementwiseLstm: WgslKernel = {
  name: 'elementwise_lstm',
  storage: () => ({
    sums: 'read f32',
    recurrent: 'read f32',
    initial_state: 'read f32',
    resets: 'read i32',
    gates: 'write f32',
    cells: 'write f32',
    final_state: 'write f32',
  }),
  parameters: { batch: 'u32', steps: 'u32', hidden: 'u32' },
  code: (_, has) => `
${ACTIVATIONS}

${entryPoint(ELEMENTWISE_LSTM_LANES)}
  let index = group_index(group, groups) * ${ELEMENTWISE_LSTM_LANES}u + lane;
  let hidden = parameters.hidden;
  if (index >= parameters.batch * hidden) { return; }
  let unit = index % hidden;
  let wz = recurrent[unit];
  let wf = recurrent[hidden + unit];
  var cell = ${has('initial_state') ? 'initial_state[index]' : '0.0'};
  for (var t = 0u; t < parameters.steps; t++) {
    let step = index / hidden * parameters.steps + t;
    ${has('resets') ? 'if (resets[step] != 0) { cell = 0.0; }' : ''}
    let at = step * 2u * hidden + unit;
    let z = tanh_of(fma(wz, cell, sums[at]));
    let f = sigmoid(fma(wf, cell, sums[at + hidden]));
    cell = fma(f, cell, (1.0 - f) * z);
    gates[at] = z;
    gates[at + hidden] = f;
    cells[step * hidden + unit] = cell;
  }
  final_state[index] = cell;
}`,
};
