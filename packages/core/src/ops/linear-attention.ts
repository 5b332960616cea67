/**
 * Linear attention (Katharopoulos et al. 2020, "Transformers are RNNs", equations 16 to 20), which is the fast weight
 * programmer of 1991 (Schlag, Irie and Schmidhuber 2021, section 3): a sum of outer products of values and keys.
 *
 *   S_t = S_{t-1} + v_t k_tᵀ        y_t = S_t q_t
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   S [batch, heads, valueDim, keyDim]
 *
 * With `normalize`, y_t = S_t q_t / (z_t · q_t + ε) with z_t = z_{t-1} + k_t: weights over the values so far that add up
 * to 1. Queries and keys come already mapped to features (see `eluPlusOne`, `dpfp`, `favorPlus`). At most keyDim keys can be
 * orthogonal to each other: beyond that, what is read interferes.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { assertScan, type ScanOptions, scanStep } from './fast-weight-scan.ts';
import {
  type LinearAttentionResult,
  type LinearAttentionStepResult,
  type NormalizerOptions,
  type NormalizerStepOptions,
  namedStep,
  normalizerOf,
  stepNormalizer,
  sumRule,
} from './sum-rule.ts';

/** Options of {@link linearAttention}. */
export interface LinearAttentionOptions extends ScanOptions, NormalizerOptions {}

/**
 * Runs linear attention over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param options normaliser, initial state, resets, and what the output reads
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function linearAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  options: LinearAttentionOptions = {},
): LinearAttentionResult {
  const sizes = assertScan('linearAttention', { q, k, v }, options);
  return sumRule(sizes, { q, k, v }, options, normalizerOf('linearAttention', sizes, options));
}

/**
 * One step of linear attention, for streams: equal to {@link linearAttention} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param state S before the step, float32 `[batch, heads, valueDim, keyDim]`
 * @param options z before the step, if outputs are normalised
 * @returns the output, and S (and z) after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function linearAttentionStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  state: tf.Tensor,
  options: NormalizerStepOptions = {},
): LinearAttentionStepResult {
  return namedStep(
    scanStep('linearAttentionStep', { q, k, v }, state, (x, scanOptions) =>
      linearAttention(x.q, x.k, x.v, { ...scanOptions, ...stepNormalizer(options) }),
    ),
  );
}
