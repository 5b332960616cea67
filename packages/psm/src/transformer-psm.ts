/**
 * The Transformer-PSM (Yau et al., "Sequential-Parallel Duality in Prefix-Scannable Models", 2025, section 4): a
 * {@link PrefixScannableLayer} whose Agg is a bidirectional Transformer on two chunks and whose Inf is a causal one on prefix and
 * chunk. With chunks as long as the sequence it is an ordinary causal Transformer; with shorter ones, memory is logarithmic.
 */

import type { FeedForwardOptions, Initializer, RandomStream } from '@fwp/core';
import { type ChunkEncoder, PrefixScannableLayer } from './prefix-scannable-layer.ts';
import { TransformerAggregator } from './transformer-aggregator.ts';
import { TransformerStack } from './transformer-stack.ts';

/** Options of {@link TransformerPsm}. */
export interface TransformerPsmOptions {
  /** c: elements of a chunk. */
  chunkSize: number;
  /** Size of a vector. */
  size: number;
  /** Heads of every attention. Default 1. */
  heads?: number | undefined;
  /** Blocks of Agg. Default 1. */
  aggregatorLayers?: number | undefined;
  /** Blocks of Inf. Default 1. */
  inferenceLayers?: number | undefined;
  /** Enc. Default: the chunk as it is. */
  encoder?: ChunkEncoder | undefined;
  /** Feed-forward parts. Default: 4 · size hidden units and GELU. */
  feedForward?: Pick<FeedForwardOptions, 'hiddenSize' | 'activation' | 'bias'> | undefined;
  /** Dropout rate of the branches and hidden layers. Default 0. */
  dropout?: number | undefined;
  /** Of all matrices. Default N(0, 1 / inputs). */
  weightInitializer?: Initializer | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A prefix-scannable layer made of Transformers. */
export class TransformerPsm extends PrefixScannableLayer {
  constructor(options: TransformerPsmOptions) {
    const { chunkSize, size, heads, aggregatorLayers, inferenceLayers, encoder, random } = options;
    const { feedForward, dropout, weightInitializer } = options;
    const common = {
      size,
      heads,
      feedForward,
      dropout,
      weightInitializer,
      random,
    };
    const aggregator = new TransformerAggregator({
      ...common,
      chunkSize,
      layers: aggregatorLayers,
    });
    const inference = new TransformerStack({
      ...common,
      layers: inferenceLayers,
    });
    super({ chunkSize, size, aggregator, inference, encoder, random });
  }
}
