/**
 * The models that are compared, all as embedding, sequence layers and a linear map to the labels:
 *
 *     psm              Transformer-PSM: Agg and Inf of `aggregatorLayers` and `inferenceLayers` blocks, chunks of `chunkSize`
 *     psmFeedForward   the same tree with an Agg without attention: is it the tree or the softmax?
 *     transformer      causal Transformer of `layers` blocks with learned absolute positions, as GPT-2
 *     deltaNet         DeltaNet of `layers` blocks: an affine state, by the delta rule
 *
 * Pre-norm blocks with GELU, 4 · size hidden units, matrices N(0, 1 / inputs): GPT-2's 0.02 is too little for sizes as small as these.
 */

import { lecunNormal, type RandomStream, type SequenceMixer, TransformerBlock } from '@fwp/core';
import { DeltaNet2024 } from '@fwp/deltanet';
import { FeedForwardAggregator, PrefixScannableLayer, TransformerPsm, TransformerStack } from '@fwp/psm';
import { SequenceTagger } from '@fwp/rfwp';
import { EmbeddingConvolution } from './embedding-convolution.ts';
import { LearnedPositions } from './learned-positions.ts';

/** Names of the models. */
export const MODELS = ['psm', 'psmFeedForward', 'transformer', 'deltaNet'] as const;

/** Name of a model. */
export type ModelName = (typeof MODELS)[number];

/** What a model is made of. */
export interface ModelSizes {
  readonly size: number;
  readonly heads: number;
  /** Blocks of models that are no PSM. */
  readonly layers: number;
  readonly aggregatorLayers: number;
  readonly inferenceLayers: number;
  readonly chunkSize: number;
  readonly dropout: number;
  /** Elements that a convolution of the embeddings sees; 0, or absent: none. */
  readonly convolution?: number;
}

/** Its symbols, labels and longest sequence. */
export interface TaskSizes {
  readonly vocabularySize: number;
  readonly targetCount: number;
  readonly maximumLength: number;
}

/** Makes a model. */
export function makeModel(
  name: ModelName,
  sizes: ModelSizes,
  { vocabularySize, targetCount, maximumLength }: TaskSizes,
  random: RandomStream,
): SequenceTagger {
  const { size, heads, layers, aggregatorLayers, inferenceLayers, chunkSize, dropout, convolution = 0 } = sizes;
  const weightInitializer = lecunNormal();
  const feedForward = { activation: 'gelu', dropout, weightInitializer } as const;
  const stack = (mixer: () => SequenceMixer | { heads: number; weightInitializer: typeof weightInitializer }) =>
    Array.from({ length: layers }, () => new TransformerBlock({ size, mixer: mixer(), feedForward, dropout, random }));
  const inference = () => new TransformerStack({ size, heads, layers: inferenceLayers, dropout, random });
  const blocks: Readonly<Record<ModelName, () => SequenceMixer[]>> = {
    psm: () => [
      new TransformerPsm({ ...{ chunkSize, size, heads, aggregatorLayers, inferenceLayers, dropout }, random }),
    ],
    psmFeedForward: () => {
      const aggregator = new FeedForwardAggregator({ size, random });
      return [new PrefixScannableLayer({ chunkSize, size, aggregator, inference: inference(), random })];
    },
    transformer: () => [
      new LearnedPositions({ size, maximumLength, random }),
      ...stack(() => ({ heads, weightInitializer })),
    ],
    deltaNet: () => stack(() => new DeltaNet2024({ size, heads, random })),
  };
  const first = convolution === 0 ? [] : [new EmbeddingConvolution({ size, width: convolution, random })];
  return new SequenceTagger({
    ...{ vocabularySize, targetCount, size, random },
    blocks: [...first, ...blocks[name]()],
    finalNorm: true,
  });
}
