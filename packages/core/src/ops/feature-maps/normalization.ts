/** What all feature maps share: options and composition of the normalisation, whose equations are in `normalize.ts`. */

import * as tf from '@tensorflow/tfjs-core';
import { FEATURE_NORMALIZATIONS, type NormalizationAttributes } from '../../backend/kernels/feature-maps.ts';
import { assertNumber, assertOneOf } from '../../shape-checks.ts';

export { FEATURE_NORMALIZATIONS };

/** Name of a normalisation of features. */
export type FeatureNormalization = (typeof FEATURE_NORMALIZATIONS)[number];

/** Options of every feature map. */
export interface FeatureMapOptions {
  /** What the features are divided by: nothing, their sum, or their length. Default `'none'`. */
  normalization?: FeatureNormalization | undefined;
  /** ε, added to the sum, or to the sum of squares. Default 1e-6; with 0, features that are all zero give NaN. */
  epsilon?: number | undefined;
}

/** The options with their defaults, checked. */
export function normalizationAttributes(name: string, options: FeatureMapOptions): NormalizationAttributes {
  const { normalization = 'none', epsilon = 1e-6 } = options;
  assertOneOf(`${name}: normalization`, normalization, FEATURE_NORMALIZATIONS);
  assertNumber(`${name}: epsilon`, epsilon, 0);
  return { normalization, epsilon };
}

/** The normalisation in tfjs operations. */
export function composedNormalization(
  features: tf.Tensor,
  { normalization, epsilon }: NormalizationAttributes,
): tf.Tensor {
  if (normalization === 'none') return features;
  if (normalization === 'sum') return tf.div(features, tf.add(tf.sum(features, -1, true), epsilon));
  return tf.div(features, tf.sqrt(tf.add(tf.sum(tf.square(features), -1, true), epsilon)));
}
