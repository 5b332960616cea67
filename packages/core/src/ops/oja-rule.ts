/**
 * Oja's rule as a fast-weight rule (Oja 1982; in this form Irie, Faccio and Schmidhuber 2022, "Neural differential
 * equations for learning to program neural nets through continuous learning rules", equation 9):
 *
 *   S_t = S_{t-1} + β_t v_t (k_t − S_{t-1}ᵀ v_t)ᵀ        y_t = S_t q_t
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   β [batch, heads, time]
 *
 * Each step is one of gradient descent, with rate β_t, on ½ |k_t − Sᵀ v_t|²: the key is to be recalled from the value. With one
 * value dimension and v = S k it is the classical rule, whose S converges to the first principal component of the keys,
 * with length 1. It is stable while β_t |v_t|² < 2.
 *
 * It is the delta rule with keys and values exchanged, on the transposed state. So the delta rule, reading before each
 * write with v_t as the query, gives the predictions p_t = S_{t-1}ᵀ v_t, and what remains is linear attention with the
 * errors as keys: S_t = S_{t-1} + v_t (β_t (k_t − p_t))ᵀ. Gradients follow from those two.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { deltaRule } from './delta-rule.ts';
import {
  assertScan,
  type ScanOptions,
  type ScanResult,
  type ScanStepResult,
  scanStep,
  timesFactors,
} from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
import { linearAttention } from './linear-attention.ts';

/**
 * Runs Oja's rule over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param beta float32 write strengths, `[batch, heads, time]`
 * @param options initial state, resets, and what the output reads
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function ojaRule(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  options: ScanOptions = {},
): ScanResult {
  const sizes = assertScan('ojaRule', { q, k, v }, options);
  assertFloatShape('ojaRule: beta', beta, ['batch', 'heads', 'time'], sizes);
  const { initialState, resetMask } = options;
  return inTidy(() => {
    const transposedState = initialState && tf.transpose(initialState, [0, 1, 3, 2]);
    const exchanged = { initialState: transposedState, resetMask, read: 'before' } as const;
    const { output: predictions } = deltaRule(v, v, k, beta, exchanged);
    const writes = timesFactors(tf.sub(k, predictions), beta);
    return linearAttention(q, writes, v, options);
  });
}

/**
 * One step of Oja's rule, for streams: equal to {@link ojaRule} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param beta float32 `[batch, heads]`
 * @param state S before the step, float32 `[batch, heads, valueDim, keyDim]`
 * @returns the output and S after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function ojaRuleStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  state: tf.Tensor,
): ScanStepResult {
  return scanStep('ojaRuleStep', { q, k, v, beta }, state, (x, options) => ojaRule(x.q, x.k, x.v, x.beta, options));
}
