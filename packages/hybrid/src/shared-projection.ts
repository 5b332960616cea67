/**
 * Queries, keys and values that both memories of a hybrid layer share:
 *
 *     [q̃_t, k̃_t, ṽ_t] = convolution(W x)_t        q = q̃      k = k̃      v = SiLU(ṽ)
 *
 * x [batch, length, size], q, k [batch, length, heads, headSize], v [batch, length, heads, valueSize]. Without a convolution,
 * W x. Queries and keys have neither activation nor norm: the attention takes them as they are, and the fast weights map
 * them to features of their own. Columns of W come head by head, and W has no bias.
 */

import { type Initializer, Linear, Module, type RandomStream } from '@fwp/core';
import { type LayerSizes, ShortConvolution } from '@fwp/deltanet';
import { mul, reshape, sigmoid, split, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';

/** Options of {@link SharedProjection}. */
export interface SharedProjectionOptions {
  sizes: LayerSizes;
  /** Number of elements that the convolution sees; 0 for none. */
  convolution: number;
  random: RandomStream;
  weightInitializer: Initializer;
}

/** Queries, keys and values. */
export class SharedProjection extends Module {
  readonly projection: Linear;
  readonly convolution: ShortConvolution | undefined;
  readonly #sizes: LayerSizes;

  constructor({ sizes, convolution, random, weightInitializer }: SharedProjectionOptions) {
    super();
    this.#sizes = sizes;
    const { size, heads, headSize, valueSize } = sizes;
    const channels = heads * (2 * headSize + valueSize);
    try {
      this.projection = this.addModule(
        'projection',
        new Linear({ inputSize: size, outputSize: channels, bias: false, random, weightInitializer }),
      );
      if (convolution > 0) {
        this.convolution = this.addModule(
          'convolution',
          new ShortConvolution({ channels, width: convolution, activation: 'none', random }),
        );
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See `ShortConvolution.forward` for `history` and `presence`. */
  forward(
    x: Tensor3D,
    history: Tensor3D | undefined,
    presence: Tensor3D | undefined,
  ): { q: Tensor4D; k: Tensor4D; v: Tensor4D; history: Tensor3D | undefined } {
    const { heads, headSize, valueSize } = this.#sizes;
    const [batch, length] = x.shape;
    const projected = this.projection.forward(x);
    const seen = this.convolution?.forward(projected, history, presence);
    const perHead = reshape(seen?.output ?? projected, [batch, length, heads, 2 * headSize + valueSize]);
    const [q, k, v] = split(perHead, [headSize, headSize, valueSize], 3) as [Tensor4D, Tensor4D, Tensor4D];
    return { q, k, v: mul<Tensor4D>(v, sigmoid(v)), history: seen?.history };
  }
}
