/**
 * Softmax as a feature map, φ(x) = softmax(x) over the last axis: the features are positive and add up to 1, so that
 * dividing them by their sum changes nothing.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../../shape-checks.ts';
import { type FeatureMapOptions, normalizationAttributes } from './normalization.ts';
import { l2Normalize } from './normalize.ts';

/**
 * softmax(x).
 *
 * @param x float32 `[..., features]`
 * @param options normalisation of the features
 * @returns float32, the shape of x
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function softmaxFeatures<T extends tf.Tensor>(x: T, options: FeatureMapOptions = {}): T {
  assertFloatShape('softmaxFeatures: x', x, ['...', 'features']);
  const { normalization, epsilon } = normalizationAttributes('softmaxFeatures', options);
  return tf.tidy(() => {
    const features = tf.softmax(x);
    return normalization === 'l2' ? l2Normalize(features, { epsilon }) : features;
  });
}
