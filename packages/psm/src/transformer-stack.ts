/**
 * Causal Transformer blocks and a normalisation behind them (Radford et al., "Language Models are Unsupervised Multitask Learners",
 * 2019, section 2.3), without embeddings and positions: what usually is Inf of a prefix-scannable model.
 *
 *     y = norm(block_L(… block_1(x)))        x, y [batch, length, size]
 */

import { LayerNorm, type MixerOptions, Module, type TransformerBlock } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Inference } from './prefix-scannable-layer.ts';
import { type TransformerBlocksOptions, transformerBlocks } from './transformer-blocks.ts';

/** Options of {@link TransformerStack}. */
export interface TransformerStackOptions extends TransformerBlocksOptions {}

/** States of all blocks: their keys and values. */
export type TransformerStackState = tf.TensorContainer[];

/** Pre-norm Transformer blocks, one after the other, and a LayerNorm. */
export class TransformerStack extends Module implements Inference<TransformerStackState> {
  readonly outputSize: number;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: LayerNorm;

  constructor(options: TransformerStackOptions) {
    super();
    const { size } = options;
    this.outputSize = size;
    try {
      this.blocks = this.addModules('blocks', transformerBlocks('TransformerStack', options, true));
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

  /** See {@link Inference.applyToLast}. */
  applyToLast(x: tf.Tensor3D, count: number, options: MixerOptions = {}): tf.Tensor3D {
    const last = this.blocks.at(-1) as TransformerBlock;
    return tf.tidy(() => {
      const before = this.blocks.slice(0, -1).reduce((y, block) => block.apply(y, options), x);
      return this.norm.forward(last.applyToLast(before, count, options));
    });
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
