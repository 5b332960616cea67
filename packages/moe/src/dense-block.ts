/**
 * The dense block, which the others approximate (Csordás, Irie & Schmidhuber, 2023, equations 1 and 2):
 *
 *     u = relu(x W₁ + b₁)        y = dropout(u) W₂ + b₂
 *
 * x, y [..., size]   W₁ [size, hiddenSize]   W₂ [hiddenSize, size]. Weights as in `initialization.ts`, biases 0.
 */

import { constantInitializer, FeedForward, type RandomStream } from '@fwp/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { FeedForwardBlock, type FeedForwardResult } from './feed-forward-block.ts';
import { denseInitializer } from './initialization.ts';

/** Options of {@link DenseBlock}. */
export interface DenseBlockOptions {
  /** Size of input and output. */
  size: number;
  /** Number of hidden units. */
  hiddenSize: number;
  /** Whether the linear maps have biases. Default true. */
  bias?: boolean;
  /** Dropout rate of the hidden units. Default 0. */
  dropout?: number;
  /** Scale of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Two linear maps with a ReLU between them. */
export class DenseBlock extends FeedForwardBlock {
  readonly size: number;
  readonly multiplyAdds: number;
  readonly layers: FeedForward;

  constructor(options: DenseBlockOptions) {
    super();
    const { size, hiddenSize, bias = true, dropout = 0, initialScale = 1, random } = options;
    this.size = size;
    this.multiplyAdds = 2 * size * hiddenSize;
    const initializers = {
      weightInitializer: denseInitializer(initialScale),
      biasInitializer: constantInitializer(0),
    };
    this.layers = this.addModule(
      'layers',
      new FeedForward({ size, hiddenSize, bias, dropout, random, ...initializers }),
    );
  }

  /** See {@link FeedForwardBlock.apply}. */
  apply<T extends Tensor>(inputs: T): FeedForwardResult<T> {
    return { outputs: this.layers.forward(inputs), selections: [] };
  }
}
