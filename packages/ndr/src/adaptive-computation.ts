/**
 * Adaptive computation time (Graves, 2016, equations 6 to 13) for each column of a sequence, as in universal Transformers
 * (Dehghani et al., 2019, section 2.3): before each application a column says with which probability it halts,
 *
 *     p_l = σ(halt(h_l))      N = first l with Σ_{k≤l} p_k > threshold      R = 1 − Σ_{k<N} p_k
 *     w_l = p_l for l < N, R for l = N, 0 afterwards                          h_{l+1} = layer(h_l)
 *
 *     weighting 'mean'           y = Σ_l w_l h_{l+1}                           the weights of a column add up to 1
 *     weighting 'interpolated'   y ← w_l h_{l+1} + (1 − w_l) y                  as published with universal Transformers
 *
 * The loss grows by the mean of N + R times a penalty; only R has a gradient.
 */

import { assertCount, assertFloatShape, assertNumber, assertOneOf } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** How outputs of several applications become one. */
export const ADAPTIVE_WEIGHTINGS = ['mean', 'interpolated'] as const;

/** Options of {@link adaptiveComputation}. */
export interface AdaptiveComputationOptions {
  /** Most applications. */
  maxSteps: number;
  /** A column halts when its probabilities add up to more. Default 0.99. */
  threshold?: number | undefined;
  /** Default `'mean'`. */
  weighting?: (typeof ADAPTIVE_WEIGHTINGS)[number] | undefined;
  /** bool `[batch, length]`: false for padding, which doesn't count. Default: no padding. */
  paddingMask?: tf.Tensor | undefined;
}

/** What {@link adaptiveComputation} gives. */
export interface AdaptiveComputationResult {
  /** y, `[batch, length, size]`. */
  output: tf.Tensor3D;
  /** Mean over columns of N + R: a scalar to be punished. */
  ponderTime: tf.Scalar;
  /** N of each column, float32 `[batch, length]`. */
  steps: tf.Tensor2D;
}

/**
 * Applies a layer to each column until it halts, at most `maxSteps` times.
 *
 * @param x float32 `[batch, length, size]`
 * @param halt from columns to numbers `[batch, length]`, before the sigmoid
 * @param layer one application
 * @param options limits and weighting
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function adaptiveComputation(
  x: tf.Tensor3D,
  halt: (h: tf.Tensor3D) => tf.Tensor2D,
  layer: (h: tf.Tensor3D, step: number) => tf.Tensor3D,
  { maxSteps, threshold = 0.99, weighting = 'mean', paddingMask }: AdaptiveComputationOptions,
): AdaptiveComputationResult {
  const sizes = assertFloatShape('adaptiveComputation: x', x, ['batch', 'length', 'size']);
  assertCount('adaptiveComputation: maxSteps', maxSteps);
  assertNumber('adaptiveComputation: threshold', threshold, 0, 1);
  assertOneOf('adaptiveComputation: weighting', weighting, ADAPTIVE_WEIGHTINGS);
  const result = tf.tidy(() => {
    const present = paddingMask === undefined ? tf.ones([x.shape[0], x.shape[1]]) : tf.cast(paddingMask, 'float32');
    let running: tf.Tensor = present;
    let total: tf.Tensor = tf.zerosLike(present);
    let remainders: tf.Tensor = tf.zerosLike(present);
    let steps: tf.Tensor = tf.zerosLike(present);
    let output: tf.Tensor = tf.zerosLike(x);
    let h = x;
    for (let step = 0; step < maxSteps; step++) {
      const logits = halt(h);
      assertFloatShape('adaptiveComputation: what halt returns', logits, ['batch', 'length'], sizes);
      const p = tf.sigmoid(logits);
      const isLast = step === maxSteps - 1;
      const ends = isLast ? tf.onesLike(total) : tf.cast(tf.greater(tf.add(total, p), threshold), 'float32');
      const halting = tf.mul(running, ends);
      const goingOn = tf.sub(running, halting);
      const remainder = tf.mul(halting, tf.sub(1, total));
      const weight = tf.expandDims(tf.add(tf.mul(p, goingOn), remainder), 2);
      h = layer(h, step);
      const part = tf.mul(weight, h);
      output = weighting === 'mean' ? tf.add(output, part) : tf.add(part, tf.mul(tf.sub(1, weight), output));
      total = tf.add(total, tf.mul(p, goingOn));
      remainders = tf.add(remainders, remainder);
      steps = tf.add(steps, running);
      running = goingOn;
      if (!isLast && hasAllHalted(running)) break;
    }
    const ponderTime = tf.div(tf.sum(tf.add(steps, remainders)), tf.sum(present));
    return { output, ponderTime, steps } as unknown as tf.TensorContainerObject;
  });
  return result as unknown as AdaptiveComputationResult;
}

/** Whether nothing is left to do. A GPU would have to stop for the answer: there all applications are made, the last with weight 0. */
function hasAllHalted(running: tf.Tensor): boolean {
  return tf.getBackend() !== 'webgpu' && tf.max(running).dataSync()[0] === 0;
}
