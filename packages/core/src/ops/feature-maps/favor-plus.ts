/**
 * FAVOR+: positive orthogonal random features, whose products approximate the softmax kernel, E[φ(q)·φ(k)] = exp(q·k)
 * (Choromanski et al. 2021, lemma 1, hyperbolic form; the Performer). With m random directions, the columns of Ω,
 *
 *     u = x Ω      h = ‖x‖² / 2      φ(x) = ([exp(u − h), exp(−u − h)] + floor) / √(2m)
 *
 * x [..., size], Ω [size, m], φ(x) [..., 2m]. Directions are orthogonal within blocks of `size`, and have the lengths of
 * Gaussian vectors, which are χ(size) distributed. Exponents are cut at 80, so that sums of features stay finite; a feature that has
 * been cut has no gradient.
 *
 * Gradient, with E± = exp(±u − h) / √(2m):
 *
 *     du = dφ₊ E₊ − dφ₋ E₋      dh = −Σ (dφ₊ E₊ + dφ₋ E₋)      dx = dh x + du Ωᵀ      dΩ = Σ xᵀ du
 */

import * as tf from '@tensorflow/tfjs-core';
import type { FavorPlusAttributes } from '../../backend/kernels/feature-maps.ts';
import type { RandomStream } from '../../random/stream.ts';
import { assertCount, assertFloatShape, assertNumber } from '../../shape-checks.ts';
import { canFuse, runFused } from '../fused.ts';
import type { Gradient } from '../gradients/support.ts';
import { linear } from '../linear.ts';
import { composedNormalization, type FeatureMapOptions, normalizationAttributes } from './normalization.ts';

/** Options of {@link favorPlus}. */
export interface FavorPlusOptions extends FeatureMapOptions {
  /**
   * Added to each exponential. Default 0, as in the retrieval experiments of Schlag et al. 2021; their language models
   * have 1e-4.
   */
  floor?: number | undefined;
}

/** Exponents end here, as in the kernel. */
const MOST = 80;

/**
 * Random features of the softmax kernel exp(q·k). For attention with scores q·k / √size, divide q and k by size^¼ first.
 *
 * @param x float32 `[..., size]`
 * @param projection Ω, float32 `[size, m]`, for example from {@link favorProjection}
 * @param options floor, and normalisation of the features
 * @returns float32 `[..., 2m]`
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function favorPlus<T extends tf.Tensor>(x: T, projection: tf.Tensor, options: FavorPlusOptions = {}): T {
  const { size } = assertFloatShape('favorPlus: x', x, ['...', 'size']) as { size: number };
  assertFloatShape('favorPlus: projection', projection, ['size', 'm'], { size });
  const { floor = 0, ...normalization } = options;
  assertNumber('favorPlus: floor', floor, 0);
  const attributes: FavorPlusAttributes = { floor, ...normalizationAttributes('favorPlus', normalization) };
  return tf.tidy(() => {
    const u = linear(x, projection);
    return canFuse('FwpFavorPlus')
      ? (runFused('FwpFavorPlus', { x, u }, attributes)[0] as T)
      : (composedNormalization(composed(x, u, floor), attributes) as T);
  });
}

/**
 * Draws Ω: blocks of `size` orthogonal directions (the last one cut off), each as long as a Gaussian vector.
 *
 * @param random where the numbers come from
 * @param size of the vectors that will be projected
 * @param m number of directions; {@link favorPlus} makes two features of each
 * @returns float32 `[size, m]`
 */
export function favorProjection(random: RandomStream, size: number, m: number): tf.Tensor2D {
  assertCount('favorProjection: size', size);
  assertCount('favorProjection: m', m);
  const projection = new Float32Array(size * m);
  for (let first = 0; first < m; first += size) {
    const count = Math.min(size, m - first);
    const gaussian = Float64Array.from(random.normal(size * count));
    const vectors = Array.from({ length: count }, (_, i) => gaussian.subarray(i * size, (i + 1) * size));
    // A Gaussian vector's length is independent of its direction, so the vectors keep theirs.
    const lengths = vectors.map((v) => Math.sqrt(dot(v, v)));
    orthonormalize(vectors);
    for (const [i, v] of vectors.entries()) {
      for (let k = 0; k < size; k++) projection[k * m + first + i] = (v[k] as number) * (lengths[i] as number);
    }
  }
  return tf.tensor2d(projection, [size, m]);
}

/** Modified Gram-Schmidt, in place. */
function orthonormalize(vectors: readonly Float64Array[]): void {
  for (const [i, v] of vectors.entries()) {
    for (let j = 0; j < i; j++) {
      const other = vectors[j] as Float64Array;
      const projected = dot(v, other);
      for (let k = 0; k < v.length; k++) v[k] = (v[k] as number) - projected * (other[k] as number);
    }
    const length = Math.sqrt(dot(v, v));
    for (let k = 0; k < v.length; k++) v[k] = (v[k] as number) / length;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function composed(x: tf.Tensor, u: tf.Tensor, floor: number): tf.Tensor {
  const m = u.shape.at(-1) as number;
  const h = tf.mul(tf.sum(tf.square(x), -1, true), 0.5);
  const exponents = tf.sub(tf.concat([u, tf.neg(u)], -1), h);
  return tf.mul(tf.add(tf.exp(tf.minimum(exponents, MOST)), floor), 1 / Math.sqrt(2 * m));
}

/** Gradient of the kernel, for `registerGradients`. */
export const favorPlusGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpFavorPlus',
    inputsToSave: ['x'],
    outputsToSave: [true, true],
    reads: [0],
    gradFunc: (dys, saved, attrs) => {
      const [x, y, norm] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const dy = (dys as tf.Tensor[])[0] as tf.Tensor;
      const [dx, du] = runFused('FwpFavorPlusGrad', { x, y, norm, dy }, attrs) as [tf.Tensor, tf.Tensor];
      return { x: () => dx, u: () => du };
    },
  },
];
