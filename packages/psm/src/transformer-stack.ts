/**
 * Causal Transformer blocks and a normalisation behind them (Radford et al., "Language Models are Unsupervised Multitask Learners",
 * 2019, section 2.3), without embeddings and positions: what usually is Inf of a prefix-scannable model.
 *
 *     y = norm(block_L(… block_1(x)))        x, y [batch, length, size]
 */

import {
  assertCount,
  type FeedForwardOptions,
  type Initializer,
  LayerNorm,
  lecunNormal,
  type MixerOptions,
  Module,
  type RandomStream,
  type SequenceMixer,
  type TransformerBlock,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { transformerBlock } from './transformer-block.ts';

/** Options of {@link TransformerStack}. */
export interface TransformerStackOptions {
  /** Size of a vector. */
  size: number;
  /** Heads of the attention. Default 1. */
  heads?: number | undefined;
  /** Number of blocks. Default 1. */
  layers?: number | undefined;
  /** Feed-forward parts. Default: 4 · size hidden units and GELU. */
  feedForward?: Pick<FeedForwardOptions, 'hiddenSize' | 'activation' | 'bias'> | undefined;
  /** Dropout rate of the branches and hidden layers. Default 0. */
  dropout?: number | undefined;
  /** Of all matrices. Default N(0, 1 / inputs). */
  weightInitializer?: Initializer | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** States of all blocks: their keys and values. */
export type TransformerStackState = tf.TensorContainer[];

/** Pre-norm Transformer blocks, one after the other, and a LayerNorm. */
export class TransformerStack extends Module implements SequenceMixer<TransformerStackState> {
  readonly outputSize: number;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: LayerNorm;

  constructor(options: TransformerStackOptions) {
    super();
    const { size, heads = 1, layers = 1, feedForward = {}, dropout = 0, random } = options;
    const { weightInitializer = lecunNormal() } = options;
    assertCount('TransformerStack: layers', layers);
    this.outputSize = size;
    try {
      const make = () =>
        transformerBlock({
          size,
          heads,
          causal: true,
          feedForward,
          dropout,
          weightInitializer,
          random,
        });
      this.blocks = this.addModules('blocks', Array.from({ length: layers }, make));
      this.norm = this.addModule('norm', new LayerNorm({ size }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link SequenceMixer.apply}. */
  apply(x: tf.Tensor3D, options: MixerOptions = {}): tf.Tensor3D {
    return tf.tidy(() => this.norm.forward(this.blocks.reduce((y, block) => block.apply(y, options), x)));
  }

  /** See {@link SequenceMixer.forward}. */
  forward(
    x: tf.Tensor3D,
    state?: TransformerStackState,
    options: MixerOptions = {},
  ): { output: tf.Tensor3D; state: TransformerStackState } {
    return tf.tidy(() => {
      let output = x;
      const next = this.blocks.map((block, i) => {
        const result = block.forward(output, state?.[i], options);
        output = result.output;
        return result.state;
      });
      return { output: this.norm.forward(output), state: next };
    });
  }

  /** See {@link SequenceMixer.step}. */
  step(x: tf.Tensor2D, state: TransformerStackState): { output: tf.Tensor2D; state: TransformerStackState } {
    return tf.tidy(() => {
      let output = x;
      const next = this.blocks.map((block, i) => {
        const result = block.step(output, state[i] as tf.TensorContainer);
        output = result.output;
        return result.state;
      });
      return { output: this.norm.forward(output), state: next };
    });
  }

  /** No keys and values yet. */
  initialState(batch: number): TransformerStackState {
    return this.blocks.map((block) => block.initialState(batch));
  }
}
