/**
 * Layer normalisation over the last axis (Ba, Kiros and Hinton 2016, equation 4), with the residual addition of
 * Transformer blocks fused in if wanted.
 *
 *     y = (x - mean x) / √(var x + ε) · gain + bias          x [..., features], gain and bias [features]
 *
 * The gradient needs x and, for each row, its mean and r = 1 / √(var x + ε); with x̂ = (x - mean x) r and g = dy · gain
 *
 *     dx = r (g - mean g - x̂ mean(g x̂))      dgain = Σ dy x̂      dbias = Σ dy
 *
 * where the sums run over all rows, in an order that does not depend on the number of threads.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertNumber } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';

/** Options of {@link layerNorm} and {@link addLayerNorm}. */
export interface LayerNormOptions {
  /** ε, added to the variance. Default 1e-5. */
  epsilon?: number;
}

/**
 * Layer normalisation of `x` over its last axis.
 *
 * @param x [..., features]
 * @param gain [features]
 * @param bias [features]
 * @returns [..., features]
 * @throws TypeError or RangeError for a wrong dtype or shape
 */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  gain: tf.Tensor,
  bias: tf.Tensor,
  { epsilon = 1e-5 }: LayerNormOptions = {},
): T {
  const { features } = assertFloatShape('layerNorm: x', x, ['...', 'features']);
  checkParameters('layerNorm', gain, bias, epsilon, features as number);
  return tf.tidy(() =>
    canFuse('FwpLayerNorm')
      ? (runFused('FwpLayerNorm', { x, gain, bias }, { epsilon })[0] as T)
      : (composed(x, gain, bias, epsilon) as T),
  );
}

/**
 * Adds a residual branch and normalises the sum; a pre-norm block goes on with both.
 *
 * @param x [..., features]
 * @param residual the same shape as x
 * @param gain [features]
 * @param bias [features]
 * @returns `sum` = x + residual and `output` = layerNorm(sum), both [..., features]
 * @throws TypeError or RangeError for a wrong dtype or shape
 */
export function addLayerNorm<T extends tf.Tensor>(
  x: T,
  residual: tf.Tensor,
  gain: tf.Tensor,
  bias: tf.Tensor,
  { epsilon = 1e-5 }: LayerNormOptions = {},
): { sum: T; output: T } {
  const { features } = assertFloatShape('addLayerNorm: x', x, ['...', 'features']);
  assertFloatShape('addLayerNorm: residual', residual, x.shape);
  checkParameters('addLayerNorm', gain, bias, epsilon, features as number);
  return tf.tidy(() => {
    if (canFuse('FwpAddLayerNorm')) {
      const [output, sum] = runFused('FwpAddLayerNorm', { x, residual, gain, bias }, { epsilon }) as [T, T];
      return { sum, output };
    }
    const sum = tf.add(x, residual) as T;
    return { sum, output: composed(sum, gain, bias, epsilon) as T };
  });
}

function checkParameters(name: string, gain: tf.Tensor, bias: tf.Tensor, epsilon: number, features: number): void {
  assertFloatShape(`${name}: gain`, gain, [features]);
  assertFloatShape(`${name}: bias`, bias, [features]);
  assertNumber(`${name}: epsilon`, epsilon, 0);
}

/** The equation in tfjs operations. */
function composed(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor, epsilon: number): tf.Tensor {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centered), -1, true);
  const normalized = tf.mul(centered, tf.rsqrt(tf.add(variance, epsilon)));
  return tf.add(tf.mul(normalized, gain), bias);
}

/** Gradients of {@link layerNorm} and {@link addLayerNorm}, for `registerGradients`. */
export const layerNormGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpLayerNorm',
    inputsToSave: ['x', 'gain'],
    outputsToSave: [false, true, true],
    reads: [0],
    gradFunc: (dys, saved) => {
      const [x, gain, mean, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const dy = (dys as tf.Tensor[])[0] as tf.Tensor;
      const [dx, dgain, dbias] = runFused('FwpLayerNormGrad', { x, gain, mean, scale, dy }) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      return { x: () => dx, gain: () => dgain, bias: () => dbias };
    },
  },
  {
    kernelName: 'FwpAddLayerNorm',
    inputsToSave: ['gain'],
    outputsToSave: [false, true, true, true],
    reads: [0],
    gradFunc: (dys, saved) => {
      const [gain, x, mean, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const [dy, dsum] = dys as unknown as [tf.Tensor, tf.Tensor | undefined];
      const [dx, dgain, dbias] = runFused('FwpLayerNormGrad', { x, gain, mean, scale, dy, ...(dsum && { dsum }) }) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      return { x: () => dx, residual: () => tf.clone(dx), gain: () => dgain, bias: () => dbias };
    },
  },
];
