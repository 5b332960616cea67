/**
 * The gated delta rule (Yang, Kautz and Hatamizadeh 2024, "Gated delta networks", equation 10): the delta rule on a state
 * that decays by a factor a_t before each step.
 *
 *   S_t = a_t S_{t-1} + β_t (v_t − a_t S_{t-1} k_t) k_tᵀ        y_t = S_t q_t
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   β, a [batch, heads, time]
 *
 * With a_t = 1 it is the delta rule, with β_t k_t k_tᵀ → 0 inside the brackets a decaying sum (RetNet, Mamba-2).
 */

import type * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { DELTA_RULE_KERNEL } from './delta-rule.ts';
import { chunkwiseDeltaRule } from './delta-rule-chunkwise.ts';
import {
  assertScan,
  type DecayOptions,
  decayFactors,
  runScan,
  type ScanKernel,
  type ScanOptions,
  type ScanResult,
  type ScanStepResult,
  scanGradient,
  scanStep,
} from './fast-weight-scan.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';

/** Options of {@link gatedDeltaRule}. */
export interface GatedDeltaRuleOptions extends ScanOptions, DecayOptions {}

const KERNEL: ScanKernel = {
  ...DELTA_RULE_KERNEL,
  name: 'FwpGatedDeltaRule',
  inputs: ['q', 'k', 'v', 'beta', 'initialState', 'decay'],
};

/**
 * Runs the gated delta rule over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param beta float32 write strengths, `[batch, heads, time]`
 * @param decay float32 factors of the state (or their logarithms, see `logDecay`), `[batch, heads, time]`
 * @param options initial state, resets, what the output reads, and what `decay` means
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function gatedDeltaRule(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  decay: tf.Tensor,
  options: GatedDeltaRuleOptions = {},
): ScanResult {
  const sizes = assertScan('gatedDeltaRule', { q, k, v }, options);
  assertFloatShape('gatedDeltaRule: beta', beta, ['batch', 'heads', 'time'], sizes);
  assertFloatShape('gatedDeltaRule: decay', decay, ['batch', 'heads', 'time'], sizes);
  const { initialState, resetMask, read = 'after' } = options;
  return inTidy(() => {
    const factors = decayFactors(decay, options);
    return runScan(KERNEL, sizes, { q, k, v, beta, initialState, resetMask, decay: factors }, { read }, () =>
      chunkwiseDeltaRule({ q, k, v, beta, decay: factors }, options, sizes),
    );
  });
}

/**
 * One step of the gated delta rule, for streams: equal to {@link gatedDeltaRule} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param beta float32 `[batch, heads]`
 * @param decay float32 `[batch, heads]`
 * @param state S before the step, float32 `[batch, heads, valueDim, keyDim]`
 * @param options what `decay` means
 * @returns the output and S after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function gatedDeltaRuleStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  decay: tf.Tensor,
  state: tf.Tensor,
  options: DecayOptions = {},
): ScanStepResult {
  return scanStep('gatedDeltaRuleStep', { q, k, v, beta, decay }, state, (x, scanOptions) =>
    gatedDeltaRule(x.q, x.k, x.v, x.beta, x.decay, { ...options, ...scanOptions }),
  );
}

/** Gradient of the kernel, for `registerGradients`. */
export const gatedDeltaRuleGradients: readonly Gradient[] = [scanGradient(KERNEL)];
