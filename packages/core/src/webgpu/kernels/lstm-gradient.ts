/**
 * The gradient of an LSTM (`lstm.ts`), from the last step to the first, for four batch rows and some units. With dh and dc the gradients
 * of h_t and c_t, dz those before the activations,
 *
 *   dc += dh ∘ o ∘ (1 − tanh²(c_t))     dz = (dc ∘ g ∘ i(1−i), dc ∘ c_{t-1} ∘ f(1−f), dc ∘ i ∘ (1−g²), dh ∘ tanh(c_t) ∘ o(1−o))
 *   dc_{t-1} = dc ∘ f                   dh_{t-1} = dz_t Rᵀ
 *
 *   gates = (i, f, g, o), d_gates = dz [batch, steps, 4 · hidden]   Rᵀ [4 · hidden, hidden]   c, d_output [batch, steps, hidden]
 *
 * `weight` is Rᵀ, whose columns neighbouring invocations have. Place s between steps s − 1 and s, from `steps` down to 0, begins with what step
 * s gives to h and goes on with step s − 1, if there is one. `d_states` comes with the gradients of the last h and c, carries dc from step
 * to step, and ends with those of h_0 and c_0, [2, batch, hidden]. As in the forward, a workgroup with all units goes through all places.
 */

import type { WgslKernel } from '../program.ts';
import { isReset, LSTM_CHUNK, LSTM_PARAMETERS, LSTM_ROWS, ownUnit } from './lstm.ts';
import { ACTIVATIONS, entryPoint, unrolled } from './wgsl.ts';

/** Workgroup: {@link LSTM_ROWS} batch rows and as many units as it has `lanes`. */
export const lstmGradient: WgslKernel = {
  name: 'lstm_gradient',
  storage: () => ({
    ...{ weight: 'read f32', gates: 'read f32', cells: 'read f32', initial_cell: 'read f32', resets: 'read i32' },
    ...{ d_output: 'read f32', d_gates: 'write f32', d_states: 'write f32' },
  }),
  parameters: LSTM_PARAMETERS,
  code: ({ lanes }, has) => `
${ACTIVATIONS}
var<workgroup> upstream: array<vec4f, ${4 * LSTM_CHUNK}>;
${isReset(has('resets'))}

fn d_gate(row: u32, t: u32, column: u32) -> f32 {
  if (row >= parameters.batch) { return 0.0; }
  return d_gates[(row * parameters.steps + t) * 4u * parameters.hidden + column];
}

/** The step before place s of one row's unit, from what the step behind gives to its h. */
fn finish(row: u32, s: u32, unit: u32, recurrent: f32) {
  if (row >= parameters.batch) { return; }
  let hidden = parameters.hidden;
  let own_hidden = row * hidden + unit;
  let own_cell = (parameters.batch + row) * hidden + unit;
  var dh = recurrent;
  var dc = d_states[own_cell];
  if (s == parameters.steps) { dh = d_states[own_hidden]; }
  else if (is_reset(row, s)) { dh = 0.0; dc = 0.0; }
  if (s == 0u) {
    d_states[own_hidden] = dh;
    d_states[own_cell] = dc;
    return;
  }
  let t = s - 1u;
  let step = row * parameters.steps + t;
  let at = step * 4u * hidden + unit;
  let i = gates[at];
  let f = gates[at + hidden];
  let g = gates[at + 2u * hidden];
  let o = gates[at + 3u * hidden];
  var before = initial_cell[own_hidden];
  if (t > 0u) { before = cells[(step - 1u) * hidden + unit]; }
  if (is_reset(row, t)) { before = 0.0; }
  let c = tanh_of(cells[step * hidden + unit]);
  dh += d_output[step * hidden + unit];
  dc = fma(dh * o, 1.0 - c * c, dc);
  d_gates[at] = dc * g * i * (1.0 - i);
  d_gates[at + hidden] = dc * before * f * (1.0 - f);
  d_gates[at + 2u * hidden] = dc * i * (1.0 - g * g);
  d_gates[at + 3u * hidden] = dh * c * o * (1.0 - o);
  d_states[own_cell] = dc * f;
}

${entryPoint(lanes as number)}
${ownUnit(lanes as number)}
  for (var place = parameters.end; place > parameters.begin;) {
    place--;
    // dz Rᵀ of four rows, the part of each gate.
${unrolled(4, (gate) => `    var sum_${gate} = vec4f();`)}
    for (var first = 0u; first < hidden && place < parameters.steps; first += ${LSTM_CHUNK}u) {
      let count = min(${LSTM_CHUNK}u, hidden - first);
      workgroupBarrier();
      for (var i = lane; i < 4u * count; i += ${lanes}u) {
        let column = i / count * hidden + first + i % count;
        upstream[i / count * ${LSTM_CHUNK}u + i % count] = vec4f(${[0, 1, 2, 3].map((r) => `d_gate(row + ${r}u, place, column)`).join(', ')});
      }
      workgroupBarrier();
      for (var i = 0u; i < count && unit < hidden; i++) {
${unrolled(
  4,
  (gate) =>
    `        sum_${gate} = fma(vec4f(weight[(${gate}u * hidden + first + i) * hidden + unit]), upstream[${gate * LSTM_CHUNK}u + i], sum_${gate});`,
)}
      }
    }
    let sum = (sum_0 + sum_1) + (sum_2 + sum_3);
    if (unit < hidden) {
${unrolled(LSTM_ROWS, (r) => `      finish(row + ${r}u, place, unit, sum[${r}]);`)}
    }
    // The step before reads what other invocations wrote.
    storageBarrier();
  }
}`,
};
