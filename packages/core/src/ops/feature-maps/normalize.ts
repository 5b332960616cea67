/**
 * Normalisation of features over the last axis, alone or fused into a feature map φ:
 *
 *     none   y = φ          sum   y = φ / (Σ φ + ε)          l2   y = φ / √(Σ φ² + ε)
 *
 * Divided by their sum, non-negative features add up to 1, so that reading a memory with them gives a convex combination
 * of its columns, and ‖φ‖ ≤ 1 keeps the delta rule stable (Schlag et al. 2021, section 4.2, "sum normalisation"). Divided by
 * their length, keys are overwritten exactly by a delta rule with β = 1 (Yang et al. 2024, section 3.3).
 *
 * ε keeps features that are all zero from becoming NaN: they stay zero. Gradient, with n what φ was divided by:
 *
 *     sum   dφ = (dy − Σ dy y) / n          l2   dφ = (dy − y Σ dy y) / n
 */

import type * as tf from '@tensorflow/tfjs-core';
import { elementwiseFeatures } from './elementwise.ts';
import type { FeatureMapOptions } from './normalization.ts';

/**
 * Divides by the sum, x / (Σ x + ε): for features that are not negative.
 *
 * @param x float32 `[..., features]`
 * @param options ε; default 1e-6
 * @returns float32, the shape of x
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function sumNormalize<T extends tf.Tensor>(x: T, { epsilon }: Pick<FeatureMapOptions, 'epsilon'> = {}): T {
  return elementwiseFeatures('sumNormalize', 'identity', x, { normalization: 'sum', epsilon });
}

/**
 * Divides by the Euclidean length, x / √(Σ x² + ε).
 *
 * @param x float32 `[..., features]`
 * @param options ε; default 1e-6
 * @returns float32, the shape of x
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function l2Normalize<T extends tf.Tensor>(x: T, { epsilon }: Pick<FeatureMapOptions, 'epsilon'> = {}): T {
  return elementwiseFeatures('l2Normalize', 'identity', x, { normalization: 'l2', epsilon });
}
