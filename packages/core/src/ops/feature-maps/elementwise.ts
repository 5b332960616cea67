/**
 * Feature maps that act on single elements:
 *
 *     ELU + 1   φ(x) = x + 1 for x > 0, else eˣ      (Katharopoulos et al. 2020, equation 7: the Linear Transformer)
 *     ReLU      φ(x) = max(x, 0)
 *
 * x and φ(x) are [..., features]. Slopes follow from values, φ' = min(φ, 1) and φ' = [φ > 0], so that the gradient needs the
 * output and what it was divided by, not the input.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { ElementwiseAttributes } from '../../backend/kernels/feature-maps.ts';
import { assertFloatShape } from '../../shape-checks.ts';
import { canFuse, runFused } from '../fused.ts';
import type { Gradient } from '../gradients/support.ts';
import { composedNormalization, type FeatureMapOptions, normalizationAttributes } from './normalization.ts';

/**
 * ELU(x) + 1: positive, and linear where x is.
 *
 * @param x float32 `[..., features]`
 * @param options normalisation of the features
 * @returns float32, the shape of x
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function eluPlusOne<T extends tf.Tensor>(x: T, options: FeatureMapOptions = {}): T {
  return elementwiseFeatures('eluPlusOne', 'eluPlusOne', x, options);
}

/**
 * max(x, 0).
 *
 * @param x float32 `[..., features]`
 * @param options normalisation of the features
 * @returns float32, the shape of x
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function reluFeatures<T extends tf.Tensor>(x: T, options: FeatureMapOptions = {}): T {
  return elementwiseFeatures('reluFeatures', 'relu', x, options);
}

/** Checks, then the kernel or its composition; `name` is what messages call the operation. */
export function elementwiseFeatures<T extends tf.Tensor>(
  name: string,
  map: ElementwiseAttributes['map'],
  x: T,
  options: FeatureMapOptions,
): T {
  assertFloatShape(`${name}: x`, x, ['...', 'features']);
  const attributes: ElementwiseAttributes = { map, ...normalizationAttributes(name, options) };
  return tf.tidy(() =>
    canFuse('FwpElementwiseFeatures')
      ? (runFused('FwpElementwiseFeatures', { x }, attributes)[0] as T)
      : (composedNormalization(COMPOSED[map](x), attributes) as T),
  );
}

const COMPOSED: Readonly<Record<ElementwiseAttributes['map'], (x: tf.Tensor) => tf.Tensor>> = {
  identity: (x) => x,
  // Unlike relu, minimum has slope 1 at 0, which makes the sum's slope there 1.
  eluPlusOne: (x) => tf.add(tf.relu(x), tf.exp(tf.minimum(x, 0))),
  relu: (x) => tf.relu(x),
};

/** Gradient of the kernel, for `registerGradients`. */
export const elementwiseFeatureGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpElementwiseFeatures',
    outputsToSave: [true, true],
    reads: [0],
    gradFunc: (dys, saved, attrs) => {
      const [y, norm] = saved as [tf.Tensor, tf.Tensor];
      const dy = (dys as tf.Tensor[])[0] as tf.Tensor;
      return { x: () => runFused('FwpElementwiseFeaturesGrad', { y, norm, dy }, attrs)[0] as tf.Tensor };
    },
  },
];
