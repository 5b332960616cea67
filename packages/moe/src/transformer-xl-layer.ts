/**
 * A layer of {@link TransformerXl}: attention and feed-forward part, each normalised before and added to its input,
 *
 *     u = x + dropout(attention(norm₁(x), memory: norm₁(m)))        y = u + dropout(feedForward(norm₂(u)))
 *
 * x, y [batch, length, size]   m [batch, memoryLength, size].
 */

import { Dropout, LayerNorm, Module, type RandomStream } from '@fwp/core';
import { add, type Scalar, type Tensor3D } from '@tensorflow/tfjs-core';
import type { AttentionBlock } from './attention-block.ts';
import type { FeedForwardBlock } from './feed-forward-block.ts';
import type { Selection } from './selection.ts';

/** What the blocks of one layer chose. */
export interface LayerSelections {
  readonly attention: readonly Selection[];
  readonly feedForward: readonly Selection[];
}

/** Options of {@link TransformerXlLayer}. */
export interface TransformerXlLayerOptions {
  /** Size of input and output vectors. */
  size: number;
  /** The layer takes it over and disposes it with itself. */
  attention: AttentionBlock;
  /** See `attention`. */
  feedForward: FeedForwardBlock;
  /** Dropout rate of both branches. Default 0. */
  dropout?: number;
  /** Of dropout. */
  random: RandomStream;
}

/** One layer of the language model. */
export class TransformerXlLayer extends Module {
  readonly attention: AttentionBlock;
  readonly feedForward: FeedForwardBlock;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly #dropout1: Dropout;
  readonly #dropout2: Dropout;

  constructor({ size, attention, feedForward, dropout = 0, random }: TransformerXlLayerOptions) {
    super();
    this.attention = this.addModule('attention', attention);
    this.feedForward = this.addModule('feedForward', feedForward);
    try {
      for (const [name, block] of Object.entries({ attention, feedForward })) {
        if (block.size === size) continue;
        throw new RangeError(
          `TransformerXl: the ${name} block must have size ${size}, as its outputs are added to its inputs, but has ` +
            `size ${block.size}.`,
        );
      }
      this.norm1 = this.addModule('norm1', new LayerNorm({ size }));
      this.norm2 = this.addModule('norm2', new LayerNorm({ size }));
      this.#dropout1 = this.addModule('dropout1', new Dropout({ rate: dropout, random }));
      this.#dropout2 = this.addModule('dropout2', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * To be called in `tf.tidy`.
   *
   * @param x float32 `[batch, length, size]`
   * @param memory float32 `[batch, memoryLength, size]`: inputs of this layer before x
   */
  apply(
    x: Tensor3D,
    memory: Tensor3D | undefined,
  ): { outputs: Tensor3D; regularization: Scalar | undefined; selections: LayerSelections } {
    const before = memory === undefined ? undefined : this.norm1.forward(memory);
    const attended = this.attention.apply(this.norm1.forward(x), { memory: before });
    const { sum, output } = this.norm2.addAndNormalize(x, this.#dropout1.forward(attended.outputs));
    const fed = this.feedForward.apply(output);
    return {
      outputs: add(sum, this.#dropout2.forward(fed.outputs)),
      regularization: fed.regularization,
      selections: { attention: attended.selections, feedForward: fed.selections },
    };
  }
}
