/**
 * Gated linear attention (Yang et al. 2024, "Gated linear attention transformers with hardware-efficient training",
 * equation 3): a sum of outer products that forgets, by one factor for the whole state or one for each key channel.
 *
 *   S_t = S_{t-1} diag(a_t) + v_t k_tᵀ        y_t = S_t q_t
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   a [batch, heads, time] or [batch, heads, time, keyDim]
 *
 * RetNet (`retention`), Mamba-2 (`ssd`) and mLSTM (`mLstm`) are special cases. With `normalize` the sum of keys decays likewise.
 * Nothing is divided by a decay, forward or backward, so that 0 (forget all) is an ordinary factor.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertTensor } from '../shape-checks.ts';
import { assertScan, type DecayOptions, decayFactors, type ScanOptions, scanStep } from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
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

/** Options of {@link gatedLinearAttention}. */
export interface GatedLinearAttentionOptions extends ScanOptions, DecayOptions, NormalizerOptions {}

/** Options of {@link gatedLinearAttentionStep}. */
export interface GatedLinearAttentionStepOptions extends DecayOptions, NormalizerStepOptions {}

/**
 * Runs gated linear attention over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param decay float32 factors of the state (or their logarithms, see `logDecay`), `[batch, heads, time]` or
 * `[batch, heads, time, keyDim]`
 * @param options what `decay` means, normaliser, initial state, resets, and what the output reads
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function gatedLinearAttention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  decay: tf.Tensor,
  options: GatedLinearAttentionOptions = {},
): LinearAttentionResult {
  const sizes = assertScan('gatedLinearAttention', { q, k, v }, options);
  assertTensor('gatedLinearAttention: decay', decay);
  const channels = decay.rank === 4 ? ['keyDim'] : [];
  assertFloatShape('gatedLinearAttention: decay', decay, ['batch', 'heads', 'time', ...channels], sizes);
  const normalizer = normalizerOf('gatedLinearAttention', sizes, options);
  return inTidy(() => sumRule(sizes, { q, k, v, decay: decayFactors(decay, options) }, options, normalizer));
}

/**
 * One step of gated linear attention, for streams: equal to {@link gatedLinearAttention} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param decay float32 `[batch, heads]` or `[batch, heads, keyDim]`
 * @param state S before the step, float32 `[batch, heads, valueDim, keyDim]`
 * @param options what `decay` means; z before the step, if outputs are normalised
 * @returns the output, and S (and z) after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function gatedLinearAttentionStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  decay: tf.Tensor,
  state: tf.Tensor,
  options: GatedLinearAttentionStepOptions = {},
): LinearAttentionStepResult {
  const { logDecay } = options;
  return namedStep(
    scanStep(
      'gatedLinearAttentionStep',
      { q, k, v, decay },
      state,
      (x, scanOptions) =>
        gatedLinearAttention(x.q, x.k, x.v, x.decay, { ...scanOptions, ...stepNormalizer(options), logDecay }),
      true,
    ),
  );
}
