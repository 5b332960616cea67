/**
 * The cell of mLSTM (Beck et al. 2024, "xLSTM: extended long short-term memory", equations 19 to 27): gated linear
 * attention with exponential gates and a normaliser.
 *
 *   C_t = f_t C_{t-1} + i_t v_t κ_tᵀ      n_t = f_t n_{t-1} + i_t κ_t      h_t = C_t q_t / max(|n_t · q_t|, 1)
 *   i_t = exp(ĩ_t)      f_t = σ(f̃_t) or exp(f̃_t)      κ_t = k_t / √keyDim
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   ĩ, f̃ [batch, heads, time]
 *
 * Gates would overflow, so C and n are kept divided by exp(m_t), m_t the largest exponent of anything that they hold:
 *
 *   m_t = max(log f_t + m_{t-1}, ĩ_t)      i'_t = exp(ĩ_t − m_t)      f'_t = exp(log f_t + m_{t-1} − m_t)
 *   h_t = C'_t q_t / max(|n'_t · q_t|, exp(−m_t))
 *
 * h does not depend on m, which is therefore a constant for the gradient, and exactly so: what flows through m cancels.
 * The output gate is up to the caller.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertNumber, assertOneOf } from '../shape-checks.ts';
import { assertScan, type ScanOptions, type ScanSizes, timesFactors } from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
import { sumRule } from './sum-rule.ts';

/** The least denominator, from m = 85 on: exp(−m) comes to nothing soon after, and h of a query that is 0 to 0 / 0 instead of 0. */
const LEAST_FLOOR = 1e-37;

/** How gates and keys of an mLSTM are meant. */
export interface MLstmGateOptions {
  /** What makes f of the forget gate's input: `'sigmoid'` or `'exp'`. Default `'sigmoid'`. */
  forgetActivation?: 'sigmoid' | 'exp' | undefined;
  /** Factor of the keys. Default `1 / √keyDim`. */
  scale?: number | undefined;
}

/** Options of {@link mLstm}. */
export interface MLstmOptions extends MLstmGateOptions, Omit<ScanOptions, 'read' | 'initialState'> {
  /** What {@link mLstm} or {@link mLstmStep} returned before the first step. Default: zeros. */
  initialState?: MLstmState | undefined;
}

/** State of an mLSTM. */
export interface MLstmState {
  /** C / exp(m), float32 `[batch, heads, valueDim, keyDim]`. */
  memory: tf.Tensor;
  /** n / exp(m), float32 `[batch, heads, keyDim]`. */
  normalizer: tf.Tensor;
  /**
   * m, float32 `[batch, heads]`: the other two are given in units of exp(m). As a result it is a constant for the gradient; as part of
   * an initial state it has the gradient of that factor.
   */
  maximum: tf.Tensor;
}

/** Result of {@link mLstm}. */
export interface MLstmResult {
  /** h of all steps, `[batch, heads, time, valueDim]`. */
  output: tf.Tensor4D;
  /** The state after the last step. */
  finalState: MLstmState;
}

/**
 * Runs mLSTM cells over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param inputGate ĩ, float32 `[batch, heads, time]`
 * @param forgetGate f̃, float32 `[batch, heads, time]`
 * @param options activation of the forget gate, factor of the keys, initial state and resets
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function mLstm(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  inputGate: tf.Tensor,
  forgetGate: tf.Tensor,
  options: MLstmOptions = {},
): MLstmResult {
  const { initialState, resetMask, forgetActivation = 'sigmoid' } = options;
  const sizes = assertScan('mLstm', { q, k, v }, { resetMask, initialState: initialState?.memory });
  const { scale = 1 / Math.sqrt(Math.max(1, sizes.keyDim)) } = options;
  assertFloatShape('mLstm: inputGate', inputGate, ['batch', 'heads', 'time'], sizes);
  assertFloatShape('mLstm: forgetGate', forgetGate, ['batch', 'heads', 'time'], sizes);
  assertOneOf('mLstm: forgetActivation', forgetActivation, ['sigmoid', 'exp']);
  assertNumber('mLstm: scale', scale);
  if (initialState !== undefined) {
    const { normalizer, maximum } = initialState;
    assertFloatShape('mLstm: initialState.normalizer', normalizer, ['batch', 'heads', 'keyDim'], sizes);
    assertFloatShape('mLstm: initialState.maximum', maximum, ['batch', 'heads'], sizes);
  }
  return inTidy(() => {
    // log σ. tf.logSigmoid's gradient would read its input after the forward's tidy has disposed of it.
    const logForget = forgetActivation === 'sigmoid' ? tf.neg(tf.softplus(tf.neg(forgetGate))) : forgetGate;
    const { before, after, last } = runningMaximum(inputGate, logForget, initialState?.maximum, resetMask, sizes);
    const { output, finalState, finalNormalizer } = sumRule(
      sizes,
      {
        q,
        k: timesFactors(k, tf.mul(tf.exp(tf.sub(inputGate, after)), scale)),
        v,
        decay: tf.exp(tf.sub(tf.add(logForget, before), after)),
      },
      { initialState: initialState?.memory, resetMask },
      { initial: initialState?.normalizer, floor: tf.maximum(tf.exp(tf.neg(after)), LEAST_FLOOR) },
    );
    const normalizer = finalNormalizer as tf.Tensor3D;
    return { output, finalState: { memory: finalState, normalizer, maximum: tf.squeeze(last, [2]) } };
  });
}

/** Result of {@link mLstmStep}. */
export interface MLstmStepResult {
  /** h, `[batch, heads, valueDim]`. */
  output: tf.Tensor3D;
  /** The state after the step. */
  state: MLstmState;
}

/**
 * One step of an mLSTM, for streams: equal to {@link mLstm} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param inputGate float32 `[batch, heads]`
 * @param forgetGate float32 `[batch, heads]`
 * @param state the state before the step; undefined: zeros
 * @param options activation of the forget gate and factor of the keys
 * @returns the output and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function mLstmStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  inputGate: tf.Tensor,
  forgetGate: tf.Tensor,
  state: MLstmState | undefined,
  options: MLstmGateOptions = {},
): MLstmStepResult {
  for (const [name, x] of Object.entries({ q, k, v }))
    assertFloatShape(`mLstmStep: ${name}`, x, ['batch', 'heads', 'dim']);
  assertFloatShape('mLstmStep: inputGate', inputGate, ['batch', 'heads']);
  assertFloatShape('mLstmStep: forgetGate', forgetGate, ['batch', 'heads']);
  return inTidy(() => {
    const [queries, keys, values, input, forget] = [q, k, v, inputGate, forgetGate].map((x) =>
      tf.expandDims(x, 2),
    ) as Five;
    const { output, finalState } = mLstm(queries, keys, values, input, forget, { ...options, initialState: state });
    return { output: tf.squeeze(output, [2]), state: finalState };
  });
}

type Five = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** m before and after each step, `[batch, heads, time]`, and after the last one, `[batch, heads, 1]`; without gradient. */
function runningMaximum(
  inputGate: tf.Tensor,
  logForget: tf.Tensor,
  initial: tf.Tensor | undefined,
  resetMask: tf.Tensor | undefined,
  { batch, heads, time }: ScanSizes,
): Record<'before' | 'after' | 'last', tf.Tensor> {
  const start = tf.expandDims(initial ?? tf.zeros([batch, heads]), 2);
  const steps = [batch, heads, time];
  if (time === 0) return { before: tf.zeros(steps), after: tf.zeros(steps), last: start };
  const reset = resetMask && tf.tile(tf.expandDims(resetMask, 1), [1, heads, 1]);
  const scan = tf.customGrad((...given) => {
    const [exponents, forgets, first] = given as unknown as [tf.Tensor, tf.Tensor, tf.Tensor];
    const value = maxPlusScan(exponents, forgets, first, reset);
    return { value, gradFunc: () => [tf.zeros(steps), tf.zeros(steps), tf.zeros([batch, heads, 1])] };
  });
  const after = scan(inputGate, logForget, start);
  const shifted = tf.concat([start, tf.slice(after, [0, 0, 0], [batch, heads, time - 1])], 2);
  // A new sequence begins with m = 0, like the first one.
  const before = reset === undefined ? shifted : tf.where(reset, tf.zerosLike(shifted), shifted);
  return { before, after, last: tf.slice(after, [0, 0, time - 1]) };
}

/**
 * m_t = max(A_t + m_{t-1}, B_t) for all t: pairs (A, B) of 1, 2, 4, … steps, combined as affine maps are, with max for + and + for ·.
 * A reset is a step with A = −∞.
 */
function maxPlusScan(
  exponents: tf.Tensor,
  forgets: tf.Tensor,
  first: tf.Tensor,
  reset: tf.Tensor | undefined,
): tf.Tensor {
  const time = exponents.shape[2] as number;
  let [slope, offset] = [forgets, exponents];
  if (reset !== undefined) {
    offset = tf.where(reset, tf.maximum(exponents, forgets), exponents);
    slope = tf.where(reset, tf.fill(forgets.shape, Number.NEGATIVE_INFINITY), forgets);
  }
  for (let span = 1; span < time; span *= 2) {
    offset = tf.maximum(tf.add(slope, later(offset, span, Number.NEGATIVE_INFINITY)), offset);
    slope = tf.add(slope, later(slope, span, 0));
  }
  return tf.maximum(tf.add(slope, first), offset);
}

/** x moved `places` steps later, `fill` coming in. */
function later(x: tf.Tensor, places: number, fill: number): tf.Tensor {
  const [batch, heads, time] = x.shape as [number, number, number];
  return tf.concat([tf.fill([batch, heads, places], fill), tf.slice(x, [0, 0, 0], [batch, heads, time - places])], 2);
}
