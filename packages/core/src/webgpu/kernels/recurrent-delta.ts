/**
 * The Recurrent Delta Net (Irie, Schlag, Csordás and Schmidhuber 2021, section 3.2), all steps of a head in one workgroup. With
 * r = tanh(y_{t-1}),
 *
 *   q = softmax(q_t + R_q r)    k = softmax(k_t + R_k r)    v = v_t + R_v r    β = σ(β_t + r_b · r)
 *   e = v − S_{t-1} k     w = β e     S_t = S_{t-1} + w kᵀ     y_t = S_t q = S_{t-1} q + w (k · q)
 *
 *   S [heads, valueDim, keyDim]   R_q, R_k [heads per batch, keyDim, valueDim]   R_v [heads per batch, valueDim, valueDim]
 *   r_b [heads per batch, valueDim]   y [heads, time, valueDim]
 *
 * S, and the recurrent weights one below the other, stay in registers. `sequences` holds q_t, k_t, v_t and β_t of all heads and
 * steps, one after the other, `weights` R_q, R_k, R_v and r_b; `kept` gets what the gradient needs: q, k, β, e and r.
 */

import type { Constants, WgslKernel } from '../program.ts';
import {
  dot,
  elementOf,
  lanesFor,
  RegisterMatrix,
  shared,
  softmaxes,
  vectorAt,
  workgroupVectors,
} from './register-matrix.ts';
import { headResets } from './scan-heads.ts';
import { entryPoint } from './wgsl.ts';

/** Longest keys and values: vectors and partial sums are in workgroup memory, matrices in registers. */
export const MAX_RECURRENT_DELTA_DIM = 64;

/** Constants of the kernel and of its gradient. */
export interface RecurrentDeltaConstants extends Constants {
  readonly keyDim: number;
  readonly valueDim: number;
}

/** `fn weight_at(head, row) -> u32`: where a row of R_q, R_k, R_v and r_b one below the other begins. */
export function recurrentWeightRows(n: number, m: number): string {
  return `
fn weight_at(head: u32, row: u32) -> u32 {
  let heads = parameters.heads_per_batch;
  if (row < ${n}u) { return (head * ${n}u + row) * ${m}u; }
  if (row < ${2 * n}u) { return ((heads + head) * ${n}u + row - ${n}u) * ${m}u; }
  if (row < ${2 * n + m}u) { return (2u * heads * ${n}u + head * ${m}u + row - ${2 * n}u) * ${m}u; }
  return (heads * ${2 * n + m}u + head) * ${m}u;
}`;
}

/** Workgroup: one head. */
export const recurrentDelta: WgslKernel = {
  name: 'recurrent_delta',
  storage: () => ({
    sequences: 'read f32',
    weights: 'read f32',
    initial_state: 'read f32',
    initial_output: 'read f32',
    resets: 'read i32',
    kept: 'write f32',
    output: 'write f32',
    final_state: 'write f32',
  }),
  parameters: { heads: 'u32', heads_per_batch: 'u32', time: 'u32' },
  code: (constants, has) => {
    const { keyDim: n, valueDim: m } = constants as RecurrentDeltaConstants;
    const lanes = lanesFor(m, n);
    const state = new RegisterMatrix('state', m, n, lanes);
    const recurrent = new RegisterMatrix('recurrent', 2 * n + m + 1, m, lanes);
    const key = state.paddedColumns;
    const value = Math.max(state.paddedRows, recurrent.paddedColumns);
    const stateAt = `(base * ${m}u + row) * ${n}u + column`;
    const [ofQueries, ofKeys] = [0, state.rowSums];
    return `
var<workgroup> rate: f32;
${workgroupVectors(
  { r: value, write: value, v: m, q: key, k: key, exp_q: n, exp_k: n },
  Math.max(recurrent.rowSums, 2 * state.rowSums),
)}
${recurrentWeightRows(n, m)}
${recurrent.reader('weights', 'weights[weight_at(base, row) + column]')}
${has('initial_state') ? state.reader('initial', `initial_state[${stateAt}]`) : ''}
${state.writer('final', `final_state[${stateAt}] = x[i]`)}

${entryPoint(lanes)}
  let head = group_index(group, groups);
  if (head >= parameters.heads) { return; }
  let steps = parameters.heads * parameters.time;
${state.declare()}
${recurrent.declare()}
${recurrent.load('weights', 'head % parameters.heads_per_batch')}
${has('initial_state') ? state.load('initial', 'head') : ''}
${has('initial_output') ? shared(m, lanes, `if (!is_reset(head, 0u)) { r[i] = tanh_of(initial_output[head * ${m}u + i]); }`) : ''}
  workgroupBarrier();
  for (var t = 0u; t < parameters.time; t++) {
    let step = head * parameters.time + t;
    if (is_reset(head, t)) {
${state.clear()}
    }
${recurrent.multiply('r', 0)}
    workgroupBarrier();
${shared(
  n,
  lanes,
  `q[i] = sequences[step * ${n}u + i] + ${recurrent.product(0, 'i')};
k[i] = sequences[(steps + step) * ${n}u + i] + ${recurrent.product(0, `${n}u + i`)};`,
)}
${shared(
  m,
  lanes,
  `v[i] = sequences[steps * ${2 * n}u + step * ${m}u + i] + ${recurrent.product(0, `${2 * n}u + i`)};
${has('kept') ? `kept[steps * ${2 * n + 1 + m}u + step * ${m}u + i] = r[i];` : ''}`,
)}
    if (lane == 0u) {
      rate = sigmoid(sequences[steps * ${2 * n + m}u + step] + ${recurrent.product(0, `${2 * n + m}u`)});
      ${has('kept') ? `kept[steps * ${2 * n}u + step] = rate;` : ''}
    }
    workgroupBarrier();
${softmaxes(['q', 'k'], ['exp_q', 'exp_k'], n, lanes)}
${state.multiply('q', ofQueries)}
${state.multiply('k', ofKeys)}
    workgroupBarrier();
    let beta = rate;
${dot('similarity', 'q', 'k', n)}
    let goes_on = t + 1u < parameters.time && !is_reset(head, t + 1u);
${shared(
  m,
  lanes,
  `let error = v[i] - ${state.product(ofKeys, 'i')};
let written = beta * error;
let y = fma(written, similarity, ${state.product(ofQueries, 'i')});
write[i] = written;
r[i] = select(0.0, tanh_of(y), goes_on);
output[step * ${m}u + i] = y;
${has('kept') ? `kept[steps * ${2 * n + 1}u + step * ${m}u + i] = error;` : ''}`,
)}
${has('kept') ? shared(n, lanes, `kept[step * ${n}u + i] = q[i];\nkept[(steps + step) * ${n}u + i] = k[i];`) : ''}
    workgroupBarrier();
${state.add(elementOf('write'), vectorAt('k'))}
  }
${state.store('final', 'head')}
}
${headResets(has('resets'))}`;
  },
};
