/**
 * Clipping by the global norm: all gradients g_i together are scaled so that their joint norm is at most `maxNorm`,
 *
 *     norm = √(Σ_i ‖g_i‖²)        g_i ← g_i · min(1, maxNorm / norm)
 *
 * (Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013). The norm is summed in
 * double precision and in a fixed order: the same bits for every number of threads.
 */

import { addN, mul, type NamedTensorMap, sqrt, square, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { assertNumber, assertTensor } from '../shape-checks.ts';
import { activeEngineBackend, scaleAll, sumOfSquares } from './tensor-list.ts';

/** What {@link clipByGlobalNorm} returns. */
export interface ClippedGradients {
  /** New tensors, which share their data with the old ones if nothing had to be clipped; the caller disposes them. */
  readonly gradients: NamedTensorMap;
  /** The norm before clipping. */
  readonly norm: number;
}

/**
 * Scales gradients so that their joint norm is at most `maxNorm`.
 *
 * @param gradients float32 tensors by name; they stay as they are
 * @param maxNorm the largest norm allowed
 */
export function clipByGlobalNorm(gradients: Readonly<NamedTensorMap>, maxNorm: number): ClippedGradients {
  const names = Object.keys(gradients);
  const tensors = Object.values(gradients);
  const norm = globalNorm(tensors);
  const scale = clipFactor(norm, maxNorm);
  const backend = activeEngineBackend();
  let clipped: Tensor[];
  if (scale === 1) clipped = tensors.map((tensor) => tensor.clone());
  else if (backend !== undefined) clipped = scaleAll(backend, tensors, scale);
  else clipped = tensors.map((tensor) => mul(tensor, scale));
  return { gradients: Object.fromEntries(names.map((name, i) => [name, clipped[i] as Tensor])), norm };
}

/** The joint norm √(Σ_i ‖g_i‖²) of float32 tensors. */
export function globalNorm(tensors: readonly Tensor[]): number {
  tensors.forEach((tensor, i) => {
    assertTensor(`globalNorm: tensor ${i}`, tensor, 'float32');
  });
  const backend = activeEngineBackend();
  if (backend !== undefined) return Math.sqrt(sumOfSquares(backend, tensors));
  if (tensors.length === 0) return 0;
  const norm = tidy(() => sqrt(addN(tensors.map((tensor) => sum(square(tensor))))));
  const value = norm.dataSync()[0] as number;
  norm.dispose();
  return value;
}

/** The factor that brings a norm down to `maxNorm`; 1 if it is not above. */
export function clipFactor(norm: number, maxNorm: number): number {
  assertNumber('maxNorm', maxNorm, 0);
  return norm > maxNorm ? maxNorm / norm : 1;
}
