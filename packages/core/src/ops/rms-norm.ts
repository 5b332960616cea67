/**
 * Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019, equation 4), with the residual addition
 * of Transformer blocks fused in if wanted.
 *
 *     y = x / √(mean x² + ε) · gain          x [..., features], gain [features]
 *
 * The gradient needs x and, for each row, r = 1 / √(mean x² + ε); with x̂ = x r and g = dy · gain
 *
 *     dx = r (g - x̂ mean(g x̂))      dgain = Σ dy x̂
 *
 * where the sum runs over all rows, in an order that does not depend on the number of threads.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertNumber } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';

/** Options of {@link rmsNorm} and {@link addRmsNorm}. */
export interface RmsNormOptions {
  /** ε, added to the mean of squares. Default 1e-5. */
  epsilon?: number;
}

/**
 * RMS normalisation of `x` over its last axis.
 *
 * @param x [..., features]
 * @param gain [features]
 * @returns [..., features]
 * @throws TypeError or RangeError for a wrong dtype or shape
 */
export function rmsNorm<T extends tf.Tensor>(x: T, gain: tf.Tensor, { epsilon = 1e-5 }: RmsNormOptions = {}): T {
  const { features } = assertFloatShape('rmsNorm: x', x, ['...', 'features']);
  checkParameters('rmsNorm', gain, epsilon, features as number);
  return tf.tidy(() =>
    canFuse('FwpRmsNorm')
      ? (runFused('FwpRmsNorm', { x, gain }, { epsilon })[0] as T)
      : (composed(x, gain, epsilon) as T),
  );
}

/**
 * Adds a residual branch and normalises the sum; a pre-norm block goes on with both.
 *
 * @param x [..., features]
 * @param residual the same shape as x
 * @param gain [features]
 * @returns `sum` = x + residual and `output` = rmsNorm(sum), both [..., features]
 * @throws TypeError or RangeError for a wrong dtype or shape
 */
export function addRmsNorm<T extends tf.Tensor>(
  x: T,
  residual: tf.Tensor,
  gain: tf.Tensor,
  { epsilon = 1e-5 }: RmsNormOptions = {},
): { sum: T; output: T } {
  const { features } = assertFloatShape('addRmsNorm: x', x, ['...', 'features']);
  assertFloatShape('addRmsNorm: residual', residual, x.shape);
  checkParameters('addRmsNorm', gain, epsilon, features as number);
  return tf.tidy(() => {
    if (canFuse('FwpAddRmsNorm')) {
      const [output, sum] = runFused('FwpAddRmsNorm', { x, residual, gain }, { epsilon }) as [T, T];
      return { sum, output };
    }
    const sum = tf.add(x, residual) as T;
    return { sum, output: composed(sum, gain, epsilon) as T };
  });
}

function checkParameters(name: string, gain: tf.Tensor, epsilon: number, features: number): void {
  assertFloatShape(`${name}: gain`, gain, [features]);
  assertNumber(`${name}: epsilon`, epsilon, 0);
}

/** The equation in tfjs operations. */
function composed(x: tf.Tensor, gain: tf.Tensor, epsilon: number): tf.Tensor {
  const meanSquare = tf.mean(tf.square(x), -1, true);
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, epsilon))), gain);
}

/** Gradients of {@link rmsNorm} and {@link addRmsNorm}, for `registerGradients`. */
export const rmsNormGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpRmsNorm',
    inputsToSave: ['x', 'gain'],
    outputsToSave: [false, true],
    reads: [0],
    gradFunc: (dys, saved) => {
      const [x, gain, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const dy = (dys as tf.Tensor[])[0] as tf.Tensor;
      const [dx, dgain] = runFused('FwpRmsNormGrad', { x, gain, scale, dy }) as [tf.Tensor, tf.Tensor];
      return { x: () => dx, gain: () => dgain };
    },
  },
  {
    kernelName: 'FwpAddRmsNorm',
    inputsToSave: ['gain'],
    outputsToSave: [false, true, true],
    reads: [0],
    gradFunc: (dys, saved) => {
      const [gain, x, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const [dy, dsum] = dys as unknown as [tf.Tensor, tf.Tensor | undefined];
      const [dx, dgain] = runFused('FwpRmsNormGrad', { x, gain, scale, dy, ...(dsum && { dsum }) }) as [
        tf.Tensor,
        tf.Tensor,
      ];
      return { x: () => dx, residual: () => tf.clone(dx), gain: () => dgain };
    },
  },
];
