/**
 * Queries, keys and values as the delta nets of 2024 make them:
 *
 *     [q̃_t, k̃_t, v_t] = SiLU(convolution(W x))_t        q = q̃ / ‖q̃‖ / √headSize      k = k̃ / ‖k̃‖
 *
 * x [batch, length, size], q, k [batch, heads, length, headSize], v [batch, heads, length, valueSize]. Without a
 * convolution, SiLU(W x). Columns of W come head by head; norms are √(Σ x² + 10⁻⁶).
 */

import { type Initializer, Linear, l2Normalize, Module, type RandomStream } from '@fwp/core';
import { mul, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import type { LayerSizes } from './fast-weight-layer.ts';
import { splitHeads, splitParts } from './heads.ts';
import { ShortConvolution } from './short-convolution.ts';

/** Options of {@link ConvolvedProjection}. */
export interface ConvolvedProjectionOptions {
  sizes: LayerSizes;
  /** Number of elements that the convolution sees; 0 for none. */
  convolution: number;
  random: RandomStream;
  weightInitializer: Initializer;
}

/** Queries, keys and values. */
export class ConvolvedProjection extends Module {
  readonly projection: Linear;
  readonly convolution: ShortConvolution | undefined;
  readonly #sizes: LayerSizes;

  constructor({ sizes, convolution, random, weightInitializer }: ConvolvedProjectionOptions) {
    super();
    this.#sizes = sizes;
    const { size, heads, headSize, valueSize } = sizes;
    const channels = heads * (2 * headSize + valueSize);
    const activation = convolution > 0 ? 'none' : 'silu';
    try {
      this.projection = this.addModule(
        'projection',
        new Linear({ inputSize: size, outputSize: channels, bias: false, activation, random, weightInitializer }),
      );
      if (convolution > 0) {
        this.convolution = this.addModule(
          'convolution',
          new ShortConvolution({ channels, width: convolution, random }),
        );
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link ShortConvolution.forward} for `history` and `presence`. */
  forward(
    x: Tensor3D,
    history: Tensor3D | undefined,
    presence: Tensor3D | undefined,
  ): { q: Tensor4D; k: Tensor4D; v: Tensor4D; history: Tensor3D | undefined } {
    const { heads, headSize, valueSize } = this.#sizes;
    const projected = this.projection.forward(x);
    const seen = this.convolution?.forward(projected, history, presence);
    const parts = splitParts(splitHeads(seen?.output ?? projected, heads), [headSize, headSize, valueSize]);
    const [q, k, v] = parts as [Tensor4D, Tensor4D, Tensor4D];
    const scaled = mul<Tensor4D>(l2Normalize(q), 1 / Math.sqrt(headSize));
    return { q: scaled, k: l2Normalize(k), v, history: seen?.history };
  }
}
