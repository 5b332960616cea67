/** The blocks that Agg and Inf are made of: pre-norm, GELU, biases 0 at first, one initialisation for all matrices. */

import {
  assertCount,
  constantInitializer,
  type FeedForwardOptions,
  type Initializer,
  lecunNormal,
  type RandomStream,
  TransformerBlock,
} from '@fwp/core';

/** Options of Transformer blocks. */
export interface TransformerBlocksOptions {
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

/**
 * Makes blocks.
 *
 * @param name of the class that they are for, for messages
 * @param options of the blocks
 * @param causal whether elements see only those before them
 */
export function transformerBlocks(
  name: string,
  options: TransformerBlocksOptions,
  causal: boolean,
): readonly TransformerBlock[] {
  const { size, heads = 1, layers = 1, feedForward = {}, dropout = 0, random } = options;
  const { weightInitializer = lecunNormal() } = options;
  assertCount(`${name}: layers`, layers);
  const biasInitializer = constantInitializer(0);
  const make = () =>
    new TransformerBlock({
      size,
      mixer: { heads, causal, weightInitializer },
      feedForward: { activation: 'gelu', ...feedForward, dropout, weightInitializer, biasInitializer },
      dropout,
      random,
    });
  return Array.from({ length: layers }, make);
}
