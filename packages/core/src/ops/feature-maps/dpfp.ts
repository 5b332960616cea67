/**
 * Deterministic parameter-free projection (Schlag et al. 2021, section 5.3): more features than dimensions without drawing
 * any. With r = [max(x, 0), max(−x, 0)], of length 2 · size,
 *
 *     φ(x) = [r ∘ roll(r, 1), …, r ∘ roll(r, ν)]          roll(r, j)_i = r_(i − j), indices modulo 2 · size
 *
 * x [..., size], φ(x) [..., 2 · size · ν]. All features are ≥ 0, and x_i and −x_i are never active together: vectors in
 * different orthants tend to be orthogonal. Gradient, with dφ_j that of the j-th part:
 *
 *     dr_i = Σ_j dφ_j,i r_(i − j) + dφ_j,(i + j) r_(i + j)          dx = dr_first ∘ [x > 0] − dr_second ∘ [x < 0]
 */

import * as tf from '@tensorflow/tfjs-core';
import type { DpfpAttributes } from '../../backend/kernels/feature-maps.ts';
import { assertCount, assertFloatShape } from '../../shape-checks.ts';
import { canFuse, runFused } from '../fused.ts';
import type { Gradient } from '../gradients/support.ts';
import { composedNormalization, type FeatureMapOptions, normalizationAttributes } from './normalization.ts';

/** Options of {@link dpfp}. */
export interface DpfpOptions extends FeatureMapOptions {
  /** ν: the number of rolls, below 2 · size. Default 1. */
  nu?: number | undefined;
}

/**
 * Products of rectified elements with their neighbours.
 *
 * @param x float32 `[..., size]`
 * @param options ν, and normalisation of the features
 * @returns float32 `[..., 2 · size · ν]`
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function dpfp<T extends tf.Tensor>(x: T, options: DpfpOptions = {}): T {
  const { size } = assertFloatShape('dpfp: x', x, ['...', 'size']) as { size: number };
  const { nu = 1, ...normalization } = options;
  assertCount('dpfp: nu', nu);
  if (size > 0 && nu >= 2 * size) {
    throw new RangeError(
      `dpfp: nu must be below 2 · size = ${2 * size}, but is ${nu}: a further roll repeats an earlier one.`,
    );
  }
  const attributes: DpfpAttributes = { nu, ...normalizationAttributes('dpfp', normalization) };
  return tf.tidy(() =>
    canFuse('FwpDpfp') && scratchFloats(size, nu) <= SCRATCH_FLOATS
      ? (runFused('FwpDpfp', { x }, attributes)[0] as T)
      : (composedNormalization(composed(x, nu), attributes) as T),
  );
}

/** What a thread of the engine has (`FWP_SCRATCH_BYTES`), and what the kernels need of it. */
const SCRATCH_FLOATS = 2 ** 18;
function scratchFloats(size: number, nu: number): number {
  return (nu + 2) * (2 * size + 2 * nu + 16);
}

function composed(x: tf.Tensor, nu: number): tf.Tensor {
  const rectified = tf.relu(tf.concat([x, tf.neg(x)], -1));
  const n = rectified.shape.at(-1) as number;
  const rolled = Array.from({ length: nu }, (_, i) => {
    const [front, back] = tf.split(rectified, [n - i - 1, i + 1], -1) as [tf.Tensor, tf.Tensor];
    return tf.mul(rectified, tf.concat([back, front], -1));
  });
  return tf.concat(rolled, -1);
}

/** Gradient of the kernel, for `registerGradients`. */
export const dpfpGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpDpfp',
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    reads: [0],
    gradFunc: (dys, saved, attrs) => {
      const [x, norm] = saved as [tf.Tensor, tf.Tensor];
      const dy = (dys as tf.Tensor[])[0] as tf.Tensor;
      return { x: () => runFused('FwpDpfpGrad', { x, norm, dy }, attrs)[0] as tf.Tensor };
    },
  },
];
