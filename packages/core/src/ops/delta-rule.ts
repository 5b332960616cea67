/**
 * The delta rule (Schlag, Irie and Schmidhuber 2021, "Linear Transformers are secretly fast weight programmers",
 * equations 23 to 25): a fast weight matrix that corrects what it has stored under a key.
 *
 *   S_t = S_{t-1} + β_t (v_t − S_{t-1} k_t) k_tᵀ        y_t = S_t q_t
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, valueDim]   β [batch, heads, time]
 *
 * Each step is one of gradient descent, with rate β_t, on ½ |v_t − S k_t|². It is stable while β_t |k_t|² < 2; with keys
 * of length 1, β_t = 1 replaces what was stored under k_t by v_t, and β_t = 2 reflects.
 *
 * On the CPU engine one kernel runs over all steps (`csrc/delta-rule.c`), and on GPUs (`webgpu/fast-weight-scans.ts`); its gradient is exact for every input, the initial
 * state included, and keeps the prediction errors v_t − S_{t-1} k_t, no states.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { MAX_SCAN_KEY_DIM } from '../webgpu/kernels/scan-states.ts';
import { chunkwiseDeltaRule } from './delta-rule-chunkwise.ts';
import {
  assertScan,
  runScan,
  type ScanKernel,
  type ScanOptions,
  type ScanResult,
  type ScanStepResult,
  scanGradient,
  scanStep,
} from './fast-weight-scan.ts';
import type { Gradient } from './gradients/support.ts';

/** Longest keys that the kernel's scratch memory has room for, and on the GPU an invocation's registers. */
const MAX_KEY_DIM = 1024;

/** The kernel, without decays. */
export const DELTA_RULE_KERNEL: ScanKernel = {
  name: 'FwpDeltaRule',
  inputs: ['q', 'k', 'v', 'beta', 'initialState'],
  results: ['output', 'finalState'],
  savedResults: [],
  kept: { errors: ({ batch, heads, time, valueDim }) => [batch, heads, time, valueDim] },
  supports: ({ keyDim }, backend) => keyDim <= (backend === 'webgpu' ? MAX_SCAN_KEY_DIM : MAX_KEY_DIM),
};

/**
 * Runs the delta rule over sequences.
 *
 * @param q float32 queries, `[batch, heads, time, keyDim]`
 * @param k float32 keys, `[batch, heads, time, keyDim]`
 * @param v float32 values, `[batch, heads, time, valueDim]`
 * @param beta float32 write strengths, `[batch, heads, time]`
 * @param options initial state, resets, and what the output reads
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaRule(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  options: ScanOptions = {},
): ScanResult {
  const sizes = assertScan('deltaRule', { q, k, v }, options);
  assertFloatShape('deltaRule: beta', beta, ['batch', 'heads', 'time'], sizes);
  const { initialState, resetMask, read = 'after' } = options;
  return runScan(DELTA_RULE_KERNEL, sizes, { q, k, v, beta, initialState, resetMask }, { read }, () =>
    chunkwiseDeltaRule({ q, k, v, beta }, options, sizes),
  );
}

/**
 * One step of the delta rule, for streams: equal to {@link deltaRule} on one more element.
 *
 * @param q float32 `[batch, heads, keyDim]`
 * @param k float32 `[batch, heads, keyDim]`
 * @param v float32 `[batch, heads, valueDim]`
 * @param beta float32 `[batch, heads]`
 * @param state S before the step, float32 `[batch, heads, valueDim, keyDim]`
 * @returns the output and S after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaRuleStep(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  beta: tf.Tensor,
  state: tf.Tensor,
): ScanStepResult {
  return scanStep('deltaRuleStep', { q, k, v, beta }, state, (x, options) => deltaRule(x.q, x.k, x.v, x.beta, options));
}

/** Gradient of the kernel, for `registerGradients`. */
export const deltaRuleGradients: readonly Gradient[] = [scanGradient(DELTA_RULE_KERNEL)];
