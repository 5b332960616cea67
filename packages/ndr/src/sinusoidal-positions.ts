/**
 * Sinusoidal positions (Vaswani et al., 2017, section 3.5), sines and cosines in turn:
 *
 *     p_t = (sin t θ_0, cos t θ_0, sin t θ_1, cos t θ_1, …)        θ_i = 10000^(−2i / size)
 *
 * ‖p_t‖² = size / 2 for every t, if the size is even.
 */

import { type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';

/**
 * Vectors for positions.
 *
 * @param positions t, for each row; also negative
 * @param size of a vector
 * @returns float32 `[positions, size]`
 */
export function sinusoidalPositions(positions: readonly number[], size: number): Tensor2D {
  const values = new Float32Array(positions.length * size);
  for (const [row, t] of positions.entries()) {
    for (let i = 0; i < size; i++) {
      const angle = t * 10_000 ** (-(i - (i % 2)) / size);
      values[row * size + i] = i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return tensor2d(values, [positions.length, size]);
}
