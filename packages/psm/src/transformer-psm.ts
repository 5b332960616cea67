/**
 * The Transformer-PSM (Yau et al., "Sequential-Parallel Duality in Prefix-Scannable Models", 2025, section 4): a
 * {@link PrefixScannableLayer} whose Agg is a bidirectional Transformer on two chunks and whose Inf is a causal one on prefix and
 * chunk. With chunks as long as the sequence it is an ordinary causal Transformer; with shorter ones, memory is logarithmic.
 */

import { type ChunkEncoder, PrefixScannableLayer } from './prefix-scannable-layer.ts';
import { TransformerAggregator } from './transformer-aggregator.ts';
import type { TransformerBlocksOptions } from './transformer-blocks.ts';
import { TransformerStack } from './transformer-stack.ts';

/** Options of {@link TransformerPsm}. */
export interface TransformerPsmOptions extends Omit<TransformerBlocksOptions, 'layers'> {
  /** c: elements of a chunk. */
  chunkSize: number;
  /** Blocks of Agg. Default 1. */
  aggregatorLayers?: number | undefined;
  /** Blocks of Inf. Default 1. */
  inferenceLayers?: number | undefined;
  /** Enc. Default: the chunk as it is. */
  encoder?: ChunkEncoder | undefined;
}

/** A prefix-scannable layer made of Transformers. */
export class TransformerPsm extends PrefixScannableLayer {
  constructor(options: TransformerPsmOptions) {
    const { chunkSize, aggregatorLayers, inferenceLayers, encoder, ...common } = options;
    const { size, random } = common;
    const aggregator = new TransformerAggregator({ ...common, chunkSize, layers: aggregatorLayers });
    const inference = new TransformerStack({ ...common, layers: inferenceLayers });
    super({ chunkSize, size, aggregator, inference, encoder, random });
  }
}
