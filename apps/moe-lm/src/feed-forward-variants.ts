/**
 * The feed-forward blocks that are compared, in (nearly) equal numbers of parameters: a dense one, its sparse approximations, and
 * the dense one that costs as many multiply-adds as σ-MoE, router included.
 */

import type { RandomStream } from '@fwp/core';
import {
  DenseBlock,
  type FeedForwardBlock,
  MixtureOfExperts,
  type MixtureOfExpertsOptions,
  ProductKeyMemory,
  type ProductKeyMemoryOptions,
  preNormScale,
  TopKBlock,
} from '@fwp/moe';
import { z } from 'zod';

/** Settings of all blocks. */
export const feedForwardSettings = {
  hiddenSize: z.int().min(1).default(264).describe('hidden units of the dense block'),
  experts: z.int().min(1).default(16),
  expertSize: z.int().min(1).default(16).describe('hidden units of an expert'),
  active: z.int().min(1).default(4).describe('experts for each token'),
  activeUnits: z.int().min(1).default(32).describe('hidden units that top-k keeps'),
  subKeys: z.int().min(1).default(21).describe('sub-keys of a product-key memory: it has as many values squared'),
  memoryHeads: z.int().min(1).default(4).describe('heads of a product-key memory'),
  retrieved: z.int().min(1).default(16).describe('values that a head of a product-key memory retrieves'),
  regularization: z.number().min(0).default(1e-3).describe('weight γ of the entropy of the choice of experts'),
  switchRegularization: z.number().min(0).default(0.01).describe('weight of the balance term of Switch Transformers'),
  expertDropout: z.number().min(0).lt(1).default(0.05).describe('probability δ that an expert is dropped for a token'),
};

const settings = z.object(feedForwardSettings);
export type FeedForwardConfig = z.infer<typeof settings>;

/** Names of the variants. */
export const FEED_FORWARDS = [
  'dense',
  'dense-compute-equal',
  'top-k',
  'pkm-relu',
  'pkm-softmax',
  'pkm-dense-relu',
  'pkm-dense-softmax',
  'sigma-moe',
  'sigma-moe-standard-init',
  'sigma-moe-unregularized',
  'sigma-moe-standard-dropout',
  'sigma-moe-one-expert',
  'sigma-moe-small-experts',
  'softmax-before-top-k',
  'softmax-after-top-k',
  'switch',
  's-base',
] as const;

/** Name of a variant. */
export type FeedForwardName = (typeof FEED_FORWARDS)[number];

/** What all blocks of a model have in common. */
export interface BlockContext {
  readonly config: FeedForwardConfig;
  /** Size of input and output. */
  readonly size: number;
  /** Number of layers of the model. */
  readonly layers: number;
  /** Of hidden units, in the blocks that have it in the paper. */
  readonly dropout: number;
  readonly random: RandomStream;
}

/** Makes the block of one layer. */
export function makeFeedForward(name: FeedForwardName, context: BlockContext): FeedForwardBlock {
  const { config, size, layers, dropout, random } = context;
  const common = { size, initialScale: preNormScale(layers), random };
  const { hiddenSize, experts, expertSize, active, expertDropout } = config;
  const mixture = (options: Partial<MixtureOfExpertsOptions>) =>
    new MixtureOfExperts({ experts, expertSize, active, expertDropout, ...common, ...options });
  /** Without expert dropout or a term that balances, as the paper has the methods of others. */
  const plain = (options: Partial<MixtureOfExpertsOptions>) =>
    mixture({ expertDropout: 0, regularization: 'none', ...options });
  const memory = (options: Partial<ProductKeyMemoryOptions>) =>
    new ProductKeyMemory({
      ...{ subKeys: config.subKeys, heads: config.memoryHeads, retrieved: config.retrieved },
      ...{ ...common, ...options },
    });
  switch (name) {
    case 'dense':
      return new DenseBlock({ hiddenSize, dropout, ...common });
    case 'dense-compute-equal':
      return new DenseBlock({ hiddenSize: computeEqualSize(config), dropout, ...common });
    case 'top-k':
      return new TopKBlock({ hiddenSize, active: config.activeUnits, dropout, ...common });
    case 'pkm-relu':
      return memory({ activation: 'relu' });
    case 'pkm-softmax':
      return memory({ activation: 'softmax' });
    case 'pkm-dense-relu':
      return memory({ activation: 'relu', retrieval: 'dense' });
    case 'pkm-dense-softmax':
      return memory({ activation: 'softmax', retrieval: 'dense' });
    case 'sigma-moe':
      return mixture({});
    case 'sigma-moe-standard-init':
      return mixture({ initialization: 'standard' });
    case 'sigma-moe-unregularized':
      return plain({});
    case 'sigma-moe-standard-dropout':
      return mixture({ expertDropout: 0, dropout });
    case 'sigma-moe-one-expert':
      return mixture({ experts: experts / active, expertSize: expertSize * active, active: 1 });
    case 'sigma-moe-small-experts':
      return mixture({ experts: 2 * experts, expertSize: expertSize / 2, active: 2 * active });
    case 'softmax-before-top-k':
      return mixture({ routing: 'softmaxBeforeTopK' });
    case 'softmax-after-top-k':
      return mixture({ routing: 'softmaxAfterTopK' });
    case 'switch':
      return mixture({
        ...{ experts: experts / active, expertSize: expertSize * active, active: 1, expertDropout: 0 },
        ...{ routing: 'softmaxBeforeTopK', regularization: 'switch', initialization: 'standard' },
        // A tenth of the usual variance (Fedus et al., 2022, section 2.4).
        initialScale: preNormScale(layers) * Math.sqrt(0.1),
      });
    case 's-base':
      return plain({ routing: 'sinkhorn' });
  }
}

/** Weight of the term that balances experts. */
export function regularizationWeight(name: FeedForwardName, config: FeedForwardConfig): number {
  return name === 'switch' ? config.switchRegularization : config.regularization;
}

/** Hidden units of the dense block that costs what σ-MoE does: its experts and its router. */
function computeEqualSize({ active, expertSize, experts }: FeedForwardConfig): number {
  return active * expertSize + Math.ceil(experts / 2);
}
