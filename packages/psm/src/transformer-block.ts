/** The block that Agg and Inf are made of: pre-norm, GELU, biases 0 at first, one initialisation for all matrices. */

import {
  constantInitializer,
  type FeedForwardOptions,
  type Initializer,
  type RandomStream,
  TransformerBlock,
} from '@fwp/core';

/** Makes a block. */
export function transformerBlock({
  size,
  heads,
  causal,
  feedForward,
  dropout,
  weightInitializer,
  random,
}: {
  readonly size: number;
  readonly heads: number;
  readonly causal: boolean;
  readonly feedForward: Pick<FeedForwardOptions, 'hiddenSize' | 'activation' | 'bias'>;
  readonly dropout: number;
  readonly weightInitializer: Initializer;
  readonly random: RandomStream;
}): TransformerBlock {
  return new TransformerBlock({
    size,
    mixer: { heads, causal, weightInitializer },
    feedForward: {
      activation: 'gelu',
      ...feedForward,
      dropout,
      weightInitializer,
      biasInitializer: constantInitializer(0),
    },
    dropout,
    random,
  });
}
