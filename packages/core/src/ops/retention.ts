/**
 * Retention (Sun et al. 2023, "Retentive network", equations 5 to 8): gated linear attention whose decay is one constant
 * for each head.
 *
 *   S_t = γ_h S_{t-1} + v_t k_tᵀ        y_t = S_t q_t        γ_h = 1 − 2^(−5−h), h = 0, 1, …
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]
 *
 * Rotations of q and k by their positions, and the normalisation of y, are up to the caller.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertNumber } from '../shape-checks.ts';
import { assertScan, type ScanOptions, type ScanResult, type ScanStepResult, scanStep } from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
import { sumRule } from './sum-rule.ts';

/** What the heads of retention forget. */
export interface RetentionDecayOptions {
  /** γ of each head, from 0 to 1. Default: 1 − 2^(−5−h) for head h, counted from 0. */
  decay?: readonly number[] | undefined;
}

/** Options of {@link retention}. */
export interface RetentionOptions extends ScanOptions, RetentionDecayOptions {}

/**
 * Runs retention over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param options decays, initial state, resets, and what the output reads
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function retention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: RetentionOptions = {}): ScanResult {
  const sizes = assertScan('retention', { q, k, v }, options);
  const { batch, heads, time } = sizes;
  const factors = retentionDecays(heads, options);
  return inTidy(() => {
    const decay = tf.tile(tf.reshape(tf.tensor1d(factors), [1, heads, 1]), [batch, 1, time]);
    return sumRule(sizes, { q, k, v, decay }, options, undefined, false);
  });
}

/**
 * One step of retention, for streams: equal to {@link retention} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param state S before the step, float32 `[batch, heads, valueDim, keyDim]`
 * @param options decays
 * @returns the output and S after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function retentionStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  state: tf.Tensor,
  options: RetentionDecayOptions = {},
): ScanStepResult {
  return scanStep('retentionStep', { q, k, v }, state, (x, scanOptions) =>
    retention(x.q, x.k, x.v, { ...scanOptions, ...options }),
  );
}

function retentionDecays(heads: number, { decay }: RetentionDecayOptions): number[] {
  if (decay === undefined) return Array.from({ length: heads }, (_, head) => 1 - 2 ** (-5 - head));
  if (decay.length !== heads) {
    throw new RangeError(
      `retention: decay must have one number for each of the ${heads} heads, but has ${decay.length}.`,
    );
  }
  for (const [head, factor] of decay.entries()) assertNumber(`retention: decay[${head}]`, factor, 0, 1);
  return [...decay];
}
