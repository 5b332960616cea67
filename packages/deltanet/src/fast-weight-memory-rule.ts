/**
 * The update rule of the Fast Weight Memory (Schlag, Munkhdalai and Schmidhuber, 2021, "Learning associative inference using
 * fast weight memory", as Schlag, Irie and Schmidhuber, 2021, use it): a delta rule whose state is bounded,
 *
 *     S′_t = S_{t−1} − (S_{t−1} k_t) k_tᵀ + (β_t v_t + (1 − β_t) S_{t−1} k_t) k_tᵀ = S_{t−1} + β_t (v_t − S_{t−1} k_t) k_tᵀ
 *     S_t = S′_t / max(1, ‖S′_t‖)                                  y_t = LayerNorm(S_t q_t)
 *
 *     q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   β [batch, heads, time]
 *     S [batch, heads, valueDim, keyDim]   ‖·‖: Frobenius norm   LayerNorm: over valueDim, without gain and bias
 *
 * The bound makes the recurrence non-linear, so that it has no parallel form: it runs step by step. Its gradient is taken
 * piece by piece, with the states at the beginnings of pieces kept and the others computed again.
 */

import { assertFloatShape, assertNumber, layerNorm } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link fastWeightMemory}. */
export interface FastWeightMemoryRuleOptions {
  /** S before the first step, float32 `[batch, heads, valueDim, keyDim]`. Default: zeros. */
  initialState?: tf.Tensor | undefined;
  /** ε of the LayerNorm. Default 1e-5. */
  epsilon?: number | undefined;
}

/** Steps whose states are in memory together while a gradient is taken. */
const PIECE = 16;

/**
 * Runs the rule over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param beta float32 write strengths, `[batch, heads, time]`
 * @param options initial state, and ε
 * @returns all outputs `[batch, heads, time, valueDim]`, and S after the last step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function fastWeightMemory(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  options: FastWeightMemoryRuleOptions = {},
): { output: tf.Tensor4D; finalState: tf.Tensor4D } {
  let sizes = assertFloatShape('fastWeightMemory: q', q, ['batch', 'heads', 'time', 'keyDim']);
  assertFloatShape('fastWeightMemory: k', k, ['batch', 'heads', 'time', 'keyDim'], sizes);
  sizes = assertFloatShape('fastWeightMemory: v', v, ['batch', 'heads', 'time', 'valueDim'], sizes);
  assertFloatShape('fastWeightMemory: beta', beta, ['batch', 'heads', 'time'], sizes);
  const { batch, heads, time, keyDim, valueDim } = sizes as Record<string, number> & Sizes;
  const { initialState = tf.zeros([batch, heads, valueDim, keyDim]), epsilon = 1e-5 } = options;
  assertFloatShape('fastWeightMemory: initialState', initialState, ['batch', 'heads', 'valueDim', 'keyDim'], sizes);
  assertNumber('fastWeightMemory: epsilon', epsilon, 0);
  return tf.tidy(() => {
    let state = initialState as tf.Tensor4D;
    const reads: tf.Tensor4D[] = [];
    for (let start = 0; start < time; start += PIECE) {
      const count = Math.min(PIECE, time - start);
      const part = (x: tf.Tensor) => tf.slice(x, [0, 0, start], [batch, heads, count]);
      const [read, next] = runPiece(part(q), part(k), part(v), part(tf.expandDims(beta, 3)), state);
      reads.push(read);
      state = next;
    }
    const read = reads.length === 0 ? tf.zeros([batch, heads, 0, valueDim]) : tf.concat(reads, 2);
    const output = layerNorm(read, tf.ones([valueDim]), tf.zeros([valueDim]), { epsilon });
    return { output: output as tf.Tensor4D, finalState: tf.clone(state) };
  });
}

type Sizes = Record<'batch' | 'heads' | 'time' | 'keyDim' | 'valueDim', number>;

/** q, k, v, β (as vectors of one element) of a piece, and S before it. */
type PieceInputs = [q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, beta: tf.Tensor, state: tf.Tensor];

/** Steps over a piece; keeps nothing but its inputs for the gradient. */
function runPiece(...inputs: PieceInputs): [read: tf.Tensor4D, state: tf.Tensor4D] {
  const [, , v, , state] = inputs;
  // tfjs's custom gradients are for functions of one result.
  const joined = tf.customGrad((...given) => {
    const save = given.pop() as unknown as tf.GradSaveFunc;
    save(given as tf.Tensor[]);
    return {
      value: join(readsOf(steps(...(given as PieceInputs)))),
      gradFunc: (dy, saved) => gradients(dy, saved as PieceInputs),
    };
  })(...inputs);
  const [read, next] = apart(joined, v, state);
  return [read as tf.Tensor4D, next as tf.Tensor4D];
}

function join([read, state]: [tf.Tensor, tf.Tensor]): tf.Tensor {
  return tf.concat([tf.reshape(read, [read.size]), tf.reshape(state, [state.size])]);
}

/** The inverse of `join`, for what has the shapes of v and S. */
function apart(joined: tf.Tensor, v: tf.Tensor, state: tf.Tensor): [read: tf.Tensor, state: tf.Tensor] {
  const [read, next] = tf.split(joined, [v.size, state.size]) as [tf.Tensor, tf.Tensor];
  return [tf.reshape(read, v.shape), tf.reshape(next, state.shape)];
}

/** A step: its inputs (as rows), the state before it, the prediction error, the state behind it and what bounds it. */
interface Step {
  readonly q: tf.Tensor;
  readonly k: tf.Tensor;
  readonly beta: tf.Tensor;
  readonly before: tf.Tensor;
  readonly error: tf.Tensor;
  readonly square: tf.Tensor;
  readonly state: tf.Tensor;
}

/** The recurrence. */
function steps(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, beta: tf.Tensor, initial: tf.Tensor): Step[] {
  const rows = (x: tf.Tensor) => tf.split(x, x.shape[2] as number, 2);
  const [queries, keys, values, strengths] = [rows(q), rows(k), rows(v), rows(beta)];
  let before = initial;
  return queries.map((query, t) => {
    const [key, value, strength] = [keys[t], values[t], strengths[t]] as [tf.Tensor, tf.Tensor, tf.Tensor];
    const error = tf.sub(value, tf.matMul(key, before, false, true));
    const written = tf.add(before, tf.matMul(tf.mul(strength, error), key, true, false));
    const square = tf.sum(tf.square(written), [2, 3], true);
    const state = tf.div(written, tf.sqrt(tf.maximum(square, 1)));
    const step: Step = { q: query, k: key, beta: strength, before, error, square, state };
    before = state;
    return step;
  });
}

/** S_t q_t of all steps, and the last S. */
function readsOf(all: Step[]): [reads: tf.Tensor, state: tf.Tensor] {
  const reads = all.map(({ q, state }) => tf.matMul(q, state, false, true));
  return [tf.concat(reads, 2), (all.at(-1) as Step).state];
}

/**
 * With G = ∂L/∂S_t, that of later steps included, n = ‖S′_t‖ and e = v − S_{t−1} k:
 *
 *     dS′ = (G − S_t ⟨S_t, G⟩) / n  for n > 1, else G
 *     u = dS′ k      dβ = u · e      dv = β u      dk = β dS′ᵀ e − S_{t−1}ᵀ dv      dS_{t−1} = dS′ − dv kᵀ
 */
function gradients(dy: tf.Tensor, [q, k, v, beta, initial]: PieceInputs): tf.Tensor[] {
  const all = steps(q, k, v, beta, initial);
  const [dReads, dFinal] = apart(dy, v, initial);
  const dReadRows = tf.split(dReads, all.length, 2);
  const [dq, dk, dv, dBeta]: [tf.Tensor[], tf.Tensor[], tf.Tensor[], tf.Tensor[]] = [[], [], [], []];
  let dState = dFinal;
  for (const [t, step] of [...all.entries()].reverse()) {
    const dRead = dReadRows[t] as tf.Tensor;
    dq.unshift(tf.matMul(dRead, step.state));
    dState = tf.add(dState, tf.matMul(dRead, step.q, true, false));
    const along = tf.mul(step.state, tf.sum(tf.mul(step.state, dState), [2, 3], true));
    const bounded = tf.cast(tf.greater(step.square, 1), 'float32');
    const dWritten = tf.div(tf.sub(dState, tf.mul(bounded, along)), tf.sqrt(tf.maximum(step.square, 1)));
    const u = tf.matMul(step.k, dWritten, false, true);
    const dValue = tf.mul(step.beta, u);
    dBeta.unshift(tf.sum(tf.mul(u, step.error), 3, true));
    dv.unshift(dValue);
    dk.unshift(tf.sub(tf.mul(step.beta, tf.matMul(step.error, dWritten)), tf.matMul(dValue, step.before)));
    dState = tf.sub(dWritten, tf.matMul(dValue, step.k, true, false));
  }
  return [...[dq, dk, dv, dBeta].map((rows) => tf.concat(rows, 2)), dState];
}
