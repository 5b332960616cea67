/**
 * The self-referential weight matrix (Irie, Schlag, Csordás and Schmidhuber 2022, equations 5 to 8), all steps of a head in one
 * workgroup:
 *
 *   (y_t, q′_t, k′_t, b′_t) = x_t W_{t-1}     q_t = softmax q′_t     k_t = softmax k′_t     β_t = σ(b′_t), one for each block of columns
 *   D_t = (q_t − k_t) W_{t-1}     w_t = β_t ∘ D_t, block by block     W_t = W_{t-1} + k_tᵀ w_t
 *
 *   x [heads, time, dim]   W [heads, dim, columns]   y [heads, time, outputDim]   columns = outputDim + 2 dim + 4
 *
 * Wᵀ stays in registers. `weights` is W_0 of each head, without the batch, `initial_state` what W is more than that, and `final_state`
 * what it has become more. `kept` gets what the gradient needs, of all heads one after the other: (q, k, β) and D of all steps,
 * and the anchors, W before every SELF_REFERENTIAL_SEGMENT-th step.
 */

import type { Constants, WgslKernel } from '../program.ts';
import {
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

/** Longest inputs and outputs: vectors and partial sums are in workgroup memory, W in registers. */
export const MAX_SELF_REFERENTIAL_DIM = 64;
/** Steps between anchors; how many there are is decided by `ops/self-referential.ts`. */
export const SELF_REFERENTIAL_SEGMENT = 128;

/** Constants of the kernel and of its gradient. */
export interface SelfReferentialConstants extends Constants {
  readonly dim: number;
  readonly outputDim: number;
}

/** `fn block_of(column) -> u32`: 0 for the output's, then the query's, the key's and the learning rates' columns. */
export function blocks(d: number, o: number): string {
  return `
fn block_of(column: u32) -> u32 {
  return u32(column >= ${o}u) + u32(column >= ${o + d}u) + u32(column >= ${o + 2 * d}u);
}`;
}

/** Workgroup: one head. */
export const selfReferential: WgslKernel = {
  name: 'self_referential',
  storage: () => ({
    x: 'read f32',
    weights: 'read f32',
    initial_state: 'read f32',
    resets: 'read i32',
    kept: 'write f32',
    output: 'write f32',
    final_state: 'write f32',
  }),
  parameters: { heads: 'u32', heads_per_batch: 'u32', time: 'u32' },
  code: (constants, has) => {
    const { dim: d, outputDim: o } = constants as SelfReferentialConstants;
    const [c, activations] = [o + 2 * d + 4, 2 * d + 4];
    const lanes = lanesFor(c, d);
    const state = new RegisterMatrix('state', c, d, lanes);
    const weight = `weights[(base % parameters.heads_per_batch * ${d}u + column) * ${c}u + row]`;
    const stateAt = `(base * ${d}u + column) * ${c}u + row`;
    const anchorsAt = `parameters.heads * parameters.time * ${activations + c}u`;
    return `
${workgroupVectors(
  {
    ...{ input: state.paddedColumns, change: state.paddedColumns, k: state.paddedColumns, q: d, exp_q: d, exp_k: d },
    ...{ rates: 4, write: state.paddedRows },
  },
  state.rowSums,
)}
${blocks(d, o)}
${headResets(has('resets'))}
${state.reader('weights', weight)}
${has('initial_state') ? state.reader('initial', `${weight} + initial_state[${stateAt}]`) : ''}
${state.writer('final', `final_state[${stateAt}] = x[i] - ${weight}`)}
${has('kept') ? state.writer('anchor', `kept[${anchorsAt} + ${stateAt}] = x[i]`) : ''}

${entryPoint(lanes)}
  let head = group_index(group, groups);
  if (head >= parameters.heads) { return; }
  let steps = parameters.heads * parameters.time;
${state.declare()}
${state.load(has('initial_state') ? 'initial' : 'weights', 'head')}
  for (var t = 0u; t < parameters.time; t++) {
    let step = head * parameters.time + t;
    if (is_reset(head, t)) {
${state.load('weights', 'head')}
    }
${
  has('kept')
    ? `    if (t % ${SELF_REFERENTIAL_SEGMENT}u == 0u) {
      let segments = (parameters.time + ${SELF_REFERENTIAL_SEGMENT - 1}u) / ${SELF_REFERENTIAL_SEGMENT}u;
      let anchor = head * segments + t / ${SELF_REFERENTIAL_SEGMENT}u;
${state.store('anchor', 'anchor')}
    }`
    : ''
}
${shared(d, lanes, `input[i] = x[step * ${d}u + i];`)}
    workgroupBarrier();
${state.multiply('input', 0)}
    workgroupBarrier();
${shared(
  c,
  lanes,
  `let y = ${state.product(0, 'i')};
switch (block_of(i)) {
  case 0u: { output[step * ${o}u + i] = y; }
  case 1u: { q[i - ${o}u] = y; }
  case 2u: { k[i - ${o + d}u] = y; }
  default: { rates[i - ${o + 2 * d}u] = sigmoid(y); }
}`,
)}
    workgroupBarrier();
${softmaxes(['q', 'k'], ['exp_q', 'exp_k'], d, lanes)}
${shared(
  d,
  lanes,
  `change[i] = q[i] - k[i];
${has('kept') ? `kept[step * ${activations}u + i] = q[i];\nkept[step * ${activations}u + ${d}u + i] = k[i];` : ''}`,
)}
    ${has('kept') ? `if (lane < 4u) { kept[step * ${activations}u + ${2 * d}u + lane] = rates[lane]; }` : ''}
    workgroupBarrier();
${state.multiply('change', 0)}
    workgroupBarrier();
${shared(
  c,
  lanes,
  `let difference = ${state.product(0, 'i')};
write[i] = rates[block_of(i)] * difference;
${has('kept') ? `kept[steps * ${activations}u + step * ${c}u + i] = difference;` : ''}`,
)}
    workgroupBarrier();
${state.add(elementOf('write'), vectorAt('k'))}
  }
${state.store('final', 'head')}
}`;
  },
};
