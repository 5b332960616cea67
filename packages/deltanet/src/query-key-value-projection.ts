/**
 * Queries, keys and values of all heads from one linear map without bias, and a short convolution behind it:
 *
 *     y_t = activation(convolution(W x))_t,     without a convolution activation(W x_t)
 *
 * x [batch, length, size], y [batch, length, heads · (2 headSize + valueSize)]. Columns of W come head by head, each with its query,
 * key and value. What becomes of the three is up to the layer.
 */

import { type Initializer, Linear, Module, type RandomStream } from '@fwp/core';
import type { Tensor3D } from '@tensorflow/tfjs-core';
import type { LayerSizes } from './fast-weight-layer.ts';
import { ShortConvolution } from './short-convolution.ts';

/** Options of {@link QueryKeyValueProjection}. */
export interface QueryKeyValueProjectionOptions {
  sizes: LayerSizes;
  /** Number of elements that the convolution sees; 0 for none. */
  convolution: number;
  random: RandomStream;
  weightInitializer: Initializer;
}

/** What layers derive their queries, keys and values from. */
export abstract class QueryKeyValueProjection extends Module {
  readonly projection: Linear;
  readonly convolution: ShortConvolution | undefined;
  protected readonly sizes: LayerSizes;

  /** @param activation of the convolution, or of the linear map if there is none */
  constructor(options: QueryKeyValueProjectionOptions, activation: 'silu' | 'none') {
    super();
    const { sizes, convolution, random, weightInitializer } = options;
    this.sizes = sizes;
    const { size, heads, headSize, valueSize } = sizes;
    const channels = heads * (2 * headSize + valueSize);
    const ofLinear = convolution > 0 ? 'none' : activation;
    try {
      this.projection = this.addModule(
        'projection',
        new Linear({
          ...{ inputSize: size, outputSize: channels, bias: false, random, weightInitializer },
          activation: ofLinear,
        }),
      );
      if (convolution > 0) {
        this.convolution = this.addModule(
          'convolution',
          new ShortConvolution({ channels, width: convolution, activation, random }),
        );
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** y, and the convolution's history; see {@link ShortConvolution.forward} for `history` and `presence`. */
  protected project(
    x: Tensor3D,
    history: Tensor3D | undefined,
    presence: Tensor3D | undefined,
  ): { output: Tensor3D; history: Tensor3D | undefined } {
    const projected = this.projection.forward(x);
    return this.convolution?.forward(projected, history, presence) ?? { output: projected, history: undefined };
  }
}
