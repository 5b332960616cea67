/**
 * Agg as a bidirectional Transformer (Yau et al., 2025, section 4):
 *
 *     Agg(a, b) = norm(right half of blocks([a | b] + P))
 *
 * a, b [nodes, chunkSize, size]; [· | ·] joins chunks along the elements, all of which see each other; P [2 · chunkSize, size] is learned,
 * so that the places of both chunks are told apart. With the default initialisation, in proportion to 1/√inputs, small sizes learn too.
 */

import { assertCount, LayerNorm, Module, normalInitializer, type TransformerBlock } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Aggregator } from './aggregator.ts';
import { type TransformerBlocksOptions, transformerBlocks } from './transformer-blocks.ts';

/** Options of {@link TransformerAggregator}. */
export interface TransformerAggregatorOptions extends TransformerBlocksOptions {
  /** Elements of a chunk. */
  chunkSize: number;
}

/** Blocks of a bidirectional Transformer on two chunks, of which the right half is kept. */
export class TransformerAggregator extends Module implements Aggregator {
  readonly chunkSize: number;
  readonly size: number;
  /** P, `[2 · chunkSize, size]`. */
  readonly positions: tf.Variable & tf.Tensor2D;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: LayerNorm;

  constructor(options: TransformerAggregatorOptions) {
    super();
    const { chunkSize, size, random } = options;
    assertCount('TransformerAggregator: chunkSize', chunkSize);
    this.chunkSize = chunkSize;
    this.size = size;
    try {
      const table = normalInitializer(0.02)([2 * chunkSize, size], random) as tf.Tensor2D;
      this.positions = this.addParameter('positions', table);
      this.blocks = this.addModules('blocks', transformerBlocks('TransformerAggregator', options, false));
      this.norm = this.addModule('norm', new LayerNorm({ size }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link Aggregator.combine}. */
  combine(earlier: tf.Tensor3D, later: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      let x = tf.add(tf.concat([earlier, later], 1), this.positions) as tf.Tensor3D;
      for (const block of this.blocks.slice(0, -1)) x = block.apply(x);
      const last = this.blocks.at(-1) as TransformerBlock;
      return this.norm.forward(last.applyToLast(x, this.chunkSize));
    });
  }
}
