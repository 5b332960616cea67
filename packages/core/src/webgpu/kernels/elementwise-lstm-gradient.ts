/**
 * The gradient of the LSTM with elementwise recurrence (`elementwise-lstm.ts`), from the last step to the first, with dc the gradient of
 * c_t and dz, df those before the activations:
 *
 *   dz = dc ∘ (1 − f) ∘ (1 − z²)     df = dc ∘ (c_{t-1} − z) ∘ f ∘ (1 − f)     dc_{t-1} = dc ∘ f + dz ∘ wz + df ∘ wf
 *   dwz = Σ dz ∘ c_{t-1}     dwf = Σ df ∘ c_{t-1}
 *
 * `sequences` holds (z, f) [batch, steps, 2 · hidden], c and the gradient of the output [batch, steps, hidden], one after the other;
 * `results` gets (dz, df) [batch, steps, 2 · hidden], the gradient of what was before the first step [batch, hidden] and (dwz, dwf) of each
 * batch row, [batch, 2 · hidden].
 */

import type { WgslKernel } from '../program.ts';
import { ELEMENTWISE_LSTM_LANES } from './elementwise-lstm.ts';
import { entryPoint } from './wgsl.ts';

/** Workgroup: {@link ELEMENTWISE_LSTM_LANES} units of all batch rows. */
export const elementwiseLstmGradient: WgslKernel = {
  name: 'elementwise_lstm_gradient',
  storage: () => ({
    sequences: 'read f32',
    recurrent: 'read f32',
    initial_state: 'read f32',
    resets: 'read i32',
    d_final_state: 'read f32',
    results: 'write f32',
  }),
  parameters: { batch: 'u32', steps: 'u32', hidden: 'u32' },
  code: (_, has) => `
${entryPoint(ELEMENTWISE_LSTM_LANES)}
  let index = group_index(group, groups) * ${ELEMENTWISE_LSTM_LANES}u + lane;
  let hidden = parameters.hidden;
  let units = parameters.batch * hidden;
  if (index >= units) { return; }
  let sequence = index / hidden;
  let unit = index % hidden;
  let wz = recurrent[unit];
  let wf = recurrent[hidden + unit];
  var dc = d_final_state[index];
  var sum_z = 0.0;
  var sum_f = 0.0;
  for (var back = 0u; back < parameters.steps; back++) {
    let t = parameters.steps - 1u - back;
    let step = sequence * parameters.steps + t;
    let at = step * 2u * hidden + unit;
    let cells = 2u * units * parameters.steps + step * hidden + unit;
    let is_reset = ${has('resets') ? 'resets[step] != 0' : 'false'};
    var before = ${has('initial_state') ? 'initial_state[index]' : '0.0'};
    if (t > 0u) { before = sequences[cells - hidden]; }
    before = select(before, 0.0, is_reset);
    let z = sequences[at];
    let f = sequences[at + hidden];
    dc += sequences[cells + units * parameters.steps];
    let dz = dc * (1.0 - f) * (1.0 - z * z);
    let df = dc * (before - z) * f * (1.0 - f);
    results[at] = dz;
    results[at + hidden] = df;
    sum_z = fma(dz, before, sum_z);
    sum_f = fma(df, before, sum_f);
    dc = select(fma(dz, wz, fma(df, wf, dc * f)), 0.0, is_reset);
  }
  let initial = 2u * units * parameters.steps;
  results[initial + index] = dc;
  results[initial + units + sequence * 2u * hidden + unit] = sum_z;
  results[initial + units + sequence * 2u * hidden + hidden + unit] = sum_f;
}`,
};
