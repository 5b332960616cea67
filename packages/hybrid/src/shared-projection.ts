/**
 * Queries, keys and values that both memories of a hybrid layer share:
 *
 *     [q̃_t, k̃_t, ṽ_t] = convolution(W x)_t        q = q̃      k = k̃      v = SiLU(ṽ)
 *
 * x [batch, length, size], q, k [batch, length, heads, headSize], v [batch, length, heads, valueSize]. Without a convolution,
 * W x. Queries and keys have neither activation nor norm: the attention takes them as they are, and the fast weights map
 * them to features of their own. Columns of W come head by head, and W has no bias.
 */

import { QueryKeyValueProjection, type QueryKeyValueProjectionOptions } from '@fwp/deltanet';
import { mul, reshape, sigmoid, split, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';

/** Options of {@link SharedProjection}. */
export interface SharedProjectionOptions extends QueryKeyValueProjectionOptions {}

/** Queries, keys and values. */
export class SharedProjection extends QueryKeyValueProjection {
  constructor(options: SharedProjectionOptions) {
    super(options, 'none');
  }

  /** See `ShortConvolution.forward` for `history` and `presence`. */
  forward(
    x: Tensor3D,
    history: Tensor3D | undefined,
    presence: Tensor3D | undefined,
  ): { q: Tensor4D; k: Tensor4D; v: Tensor4D; history: Tensor3D | undefined } {
    const { heads, headSize, valueSize } = this.sizes;
    const [batch, length] = x.shape;
    const seen = this.project(x, history, presence);
    const perHead = reshape(seen.output, [batch, length, heads, 2 * headSize + valueSize]);
    const [q, k, v] = split(perHead, [headSize, headSize, valueSize], 3) as [Tensor4D, Tensor4D, Tensor4D];
    return { q, k, v: mul<Tensor4D>(v, sigmoid(v)), history: seen.history };
  }
}
