/**
 * Sinusoidal positions (Vaswani et al., 2017, section 3.5), with all sines before all cosines:
 *
 *     p_t = (sin t θ_0, …, sin t θ_n, cos t θ_0, …, cos t θ_n)        θ_i = 10000^(−2i / size),  n = size / 2 − 1
 */

import { type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';

/**
 * Vectors for positions.
 *
 * @param positions t, for each row
 * @param size of a vector; even
 * @returns `[positions, size]`
 */
export function sinusoidalPositions(positions: readonly number[], size: number): Tensor2D {
  const half = size / 2;
  const values = new Float32Array(positions.length * size);
  for (let i = 0; i < half; i++) {
    const theta = 10_000 ** ((-2 * i) / size);
    for (const [row, t] of positions.entries()) {
      values[row * size + i] = Math.sin(t * theta);
      values[row * size + half + i] = Math.cos(t * theta);
    }
  }
  return tensor2d(values, [positions.length, size]);
}
