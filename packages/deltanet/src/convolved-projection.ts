/**
 * Queries, keys and values as the delta nets of 2024 make them:
 *
 *     [q̃_t, k̃_t, v_t] = SiLU(convolution(W x))_t        q = q̃ / ‖q̃‖ / √headSize      k = k̃ / ‖k̃‖
 *
 * x [batch, length, size], q, k [batch, heads, length, headSize], v [batch, heads, length, valueSize]. Without a
 * convolution, SiLU(W x). Columns of W come head by head; norms are √(Σ x² + 10⁻⁶).
 */

import { l2Normalize } from '@fwp/core';
import { mul, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import { splitHeads, splitParts } from './heads.ts';
import { QueryKeyValueProjection, type QueryKeyValueProjectionOptions } from './query-key-value-projection.ts';

/** Options of {@link ConvolvedProjection}. */
export interface ConvolvedProjectionOptions extends QueryKeyValueProjectionOptions {}

/** Queries, keys and values. */
export class ConvolvedProjection extends QueryKeyValueProjection {
  constructor(options: ConvolvedProjectionOptions) {
    super(options, 'silu');
  }

  /** See `ShortConvolution.forward` for `history` and `presence`. */
  forward(
    x: Tensor3D,
    history: Tensor3D | undefined,
    presence: Tensor3D | undefined,
  ): { q: Tensor4D; k: Tensor4D; v: Tensor4D; history: Tensor3D | undefined } {
    const { heads, headSize, valueSize } = this.sizes;
    const seen = this.project(x, history, presence);
    const parts = splitParts(splitHeads(seen.output, heads), [headSize, headSize, valueSize]);
    const [q, k, v] = parts as [Tensor4D, Tensor4D, Tensor4D];
    const scaled = mul<Tensor4D>(l2Normalize(q), 1 / Math.sqrt(headSize));
    return { q: scaled, k: l2Normalize(k), v, history: seen.history };
  }
}
