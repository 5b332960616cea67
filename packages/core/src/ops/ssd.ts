/**
 * State space duality (Dao and Gu 2024, "Transformers are SSMs", the scan of Mamba-2): gated linear attention with one decay
 * a step and head, in the terms of a discretised state space model.
 *
 *   S_t = exp(Δ_t A) S_{t-1} + x_t (Δ_t B_t)ᵀ        y_t = S_t C_t + D x_t
 *
 *   C, B [batch, groups, time, stateDim]   x [batch, heads, time, dim]   Δ [batch, heads, time]   A, D [heads]
 *
 * C is the query, B the key, x the value; heads of one group share C and B. Δ_t > 0 is the length of a step (usually softplus of a
 * projection plus a bias), A < 0 the rate at which a head forgets (usually −exp of a parameter).
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import {
  assertScan,
  type ScanOptions,
  type ScanResult,
  type ScanStepResult,
  scanStep,
  timesFactors,
} from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
import { sumRule } from './sum-rule.ts';

/** D of a state space model. */
export interface SsdSkipOptions {
  /** D, float32 `[heads]`: how much of x is added to y. Default: none. */
  skip?: tf.Tensor | undefined;
}

/** Options of {@link ssd}. */
export interface SsdOptions extends ScanOptions, SsdSkipOptions {}

/**
 * Runs a diagonal state space model with one rate a head over sequences.
 *
 * @param c float32 queries, `[batch, groups, time, stateDim]`; the number of heads is a multiple of that of groups
 * @param b float32 keys, `[batch, groups, time, stateDim]`
 * @param x float32 values, `[batch, heads, time, dim]`
 * @param dt float32 lengths of the steps, `[batch, heads, time]`
 * @param a float32 rates, negative, `[heads]`
 * @param options skip connection, initial state `[batch, heads, dim, stateDim]`, resets, and what the output reads
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function ssd(
  c: tf.Tensor,
  b: tf.Tensor,
  x: tf.Tensor,
  dt: tf.Tensor,
  a: tf.Tensor,
  options: SsdOptions = {},
): ScanResult {
  const { skip } = options;
  let extents = assertFloatShape('ssd: c', c, ['batch', 'groups', 'time', 'stateDim']);
  extents = assertFloatShape('ssd: b', b, ['batch', 'groups', 'time', 'stateDim'], extents);
  extents = assertFloatShape('ssd: x', x, ['batch', 'heads', 'time', 'dim'], extents);
  assertFloatShape('ssd: dt', dt, ['batch', 'heads', 'time'], extents);
  assertFloatShape('ssd: a', a, ['heads'], extents);
  if (skip !== undefined) assertFloatShape('ssd: skip', skip, ['heads'], extents);
  const { heads, groups } = extents as { heads: number; groups: number };
  if (groups !== heads && (groups === 0 || heads % groups !== 0)) {
    throw new RangeError(
      `ssd: the ${heads} heads of x must be a multiple of the ${groups} groups of b and c, but are not.`,
    );
  }
  return inTidy(() => {
    const [q, keys] = [inHeads(c, heads), inHeads(b, heads)];
    const k = timesFactors(keys, dt);
    const decay = tf.exp(tf.mul(dt, tf.reshape(a, [heads, 1])));
    const sizes = assertScan('ssd', { q, k, v: x }, options);
    const { output, finalState } = sumRule(sizes, { q, k, v: x, decay }, options);
    if (skip === undefined) return { output, finalState };
    return { output: tf.add(output, tf.mul(x, tf.reshape(skip, [heads, 1, 1]))) as tf.Tensor4D, finalState };
  });
}

/**
 * One step of a state space model, for streams: equal to {@link ssd} on one more element.
 *
 * @param c float32 `[batch, heads, stateDim]`, one for each head
 * @param b float32 `[batch, heads, stateDim]`, one for each head
 * @param x float32 `[batch, heads, dim]`
 * @param dt float32 `[batch, heads]`
 * @param a float32 `[heads]`
 * @param state S before the step, float32 `[batch, heads, dim, stateDim]`
 * @param options skip connection
 * @returns the output and S after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function ssdStep(
  c: tf.Tensor,
  b: tf.Tensor,
  x: tf.Tensor,
  dt: tf.Tensor,
  a: tf.Tensor,
  state: tf.Tensor,
  options: SsdSkipOptions = {},
): ScanStepResult {
  return scanStep('ssdStep', { q: c, k: b, v: x, dt }, state, (inputs, scanOptions) =>
    ssd(inputs.q, inputs.k, inputs.v, inputs.dt, a, { ...scanOptions, ...options }),
  );
}

/** `[batch, groups, time, n]` with each group repeated for its heads. */
function inHeads(x: tf.Tensor, heads: number): tf.Tensor {
  const [batch, groups, time, n] = x.shape as [number, number, number, number];
  if (groups === heads) return x;
  const repeated = tf.tile(tf.expandDims(x, 2), [1, 1, heads / groups, 1, 1]);
  return tf.reshape(repeated, [batch, heads, time, n]);
}
