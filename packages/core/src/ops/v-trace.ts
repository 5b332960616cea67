/**
 * V-trace, targets and advantages of an actor-critic whose data come from an earlier policy μ (Espeholt et al., "IMPALA",
 * 2018, equation 1, in the recursive form of remark 1). With ρ_t = min(ρ̄, π/μ) and c_t = min(c̄, π/μ),
 *
 *   δ_t = ρ_t (r_t + γ_t V_{t+1} − V_t)
 *   v_t = V_t + δ_t + γ_t c_t (v_{t+1} − V_{t+1})             the target of the critic
 *   A_t = ρ_t (r_t + γ_t v_{t+1} − V_t)                       what multiplies ∇ log π
 *
 *   everything [batch, time]; v and V behind the last step are the bootstrap value, [batch]
 *
 * γ_t is 0 where step t ended an episode. With π = μ, v_t is the n-step return.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { VTraceAttributes } from '../backend/kernels/v-trace.ts';
import { assertFloatShape, assertNumber } from '../shape-checks.ts';
import { runFused } from './fused.ts';
import { isTapeOn } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';

/** What V-trace is computed from; float32 `[batch, time]` unless stated otherwise. */
export interface VTraceInputs {
  /** log π − log μ of the actions taken, π being the policy that learns and μ the one that acted. */
  logRhos: tf.Tensor;
  /** γ, and 0 where the step ended an episode. */
  discounts: tf.Tensor;
  /** What followed the actions. */
  rewards: tf.Tensor;
  /** V of the states in which the actions were taken. */
  values: tf.Tensor;
  /** `[batch]`: V of the state behind the last step. */
  bootstrapValue: tf.Tensor;
}

/** Options of {@link vTrace}. */
export interface VTraceOptions {
  /** ρ̄, which clips the ratios of δ and A. Default 1. */
  rhoClip?: number | undefined;
  /** c̄, which clips the ratios that carry corrections back in time. Default 1. */
  cClip?: number | undefined;
}

/** Result of {@link vTrace}. */
export interface VTraceResult {
  /** v, `[batch, time]`. */
  targets: tf.Tensor2D;
  /** A, `[batch, time]`. */
  advantages: tf.Tensor2D;
}

/**
 * Computes V-trace targets and advantages. They are constants: no gradient flows through them.
 *
 * @param inputs ratios, discounts, rewards and values
 * @param options where ratios are clipped
 * @throws TypeError or RangeError if an argument has another dtype or shape, or is out of range
 */
export function vTrace(inputs: VTraceInputs, options: VTraceOptions = {}): VTraceResult {
  const { logRhos, discounts, rewards, values, bootstrapValue } = inputs;
  const { rhoClip = 1, cClip = 1 } = options;
  let sizes = assertFloatShape('vTrace: logRhos', logRhos, ['batch', 'time']);
  for (const [name, tensor] of Object.entries({ discounts, rewards, values })) {
    sizes = assertFloatShape(`vTrace: ${name}`, tensor, ['batch', 'time'], sizes);
  }
  assertFloatShape('vTrace: bootstrapValue', bootstrapValue, ['batch'], sizes);
  assertNumber('vTrace: rhoClip', rhoClip, 0);
  assertNumber('vTrace: cClip', cClip, 0);
  const attributes: VTraceAttributes = { rhoClip, cClip };
  return inTidy(() => {
    if (tf.getKernel('FwpVTrace', tf.getBackend()) === undefined) return composed(inputs, attributes);
    const [targets, advantages] = runFused(
      'FwpVTrace',
      { logRhos, discounts, rewards, values, bootstrapValue },
      attributes,
    ) as [tf.Tensor2D, tf.Tensor2D];
    return { targets, advantages };
  });
}

/** The same numbers, through which no gradient flows. */
function constant(x: tf.Tensor): tf.Tensor {
  if (!isTapeOn()) return x;
  return tf.customGrad((given) => ({
    value: tf.clone(given as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
  }))(x);
}

/** The same in tfjs operations, on backends without the kernel. */
function composed(inputs: VTraceInputs, { rhoClip, cClip }: VTraceAttributes): VTraceResult {
  const names = ['logRhos', 'discounts', 'rewards', 'values', 'bootstrapValue'] as const;
  const [logRhos, discounts, rewards, values, bootstrapValue] = names.map((name) => constant(inputs[name])) as Five;
  const [batch, time] = values.shape as [number, number];
  const ratios = tf.exp(logRhos);
  const [rho, c] = [tf.minimum(ratios, rhoClip), tf.minimum(ratios, cClip)];
  const column = (x: tf.Tensor, t: number) => tf.reshape(tf.slice(x, [0, t], [batch, 1]), [batch]);
  let [nextValue, nextTarget] = [bootstrapValue, bootstrapValue];
  const targets: tf.Tensor[] = [];
  const advantages: tf.Tensor[] = [];
  for (let t = time - 1; t >= 0; t--) {
    const [value, reward, discount] = [values, rewards, discounts].map((x) => column(x, t)) as Three;
    const delta = tf.mul(column(rho, t), tf.sub(tf.add(reward, tf.mul(discount, nextValue)), value));
    advantages.unshift(tf.mul(column(rho, t), tf.sub(tf.add(reward, tf.mul(discount, nextTarget)), value)));
    const carried = tf.mul(tf.mul(discount, column(c, t)), tf.sub(nextTarget, nextValue));
    nextTarget = tf.add(tf.add(value, delta), carried);
    nextValue = value;
    targets.unshift(nextTarget);
  }
  const joined = (columns: tf.Tensor[]) => (time === 0 ? tf.zeros([batch, 0]) : tf.stack(columns, 1)) as tf.Tensor2D;
  return { targets: joined(targets), advantages: joined(advantages) };
}

type Three = [tf.Tensor, tf.Tensor, tf.Tensor];
type Five = [...Three, tf.Tensor, tf.Tensor];
