/** PSMs with chunks of several sizes beside models without chunks: the grid of recall and of language modelling. */

import { z } from 'zod';
import type { ModelName, ModelSizes } from './models.ts';

/** Models without chunks. */
const BASELINES = ['transformer', 'deltaNet'] as const;

/** Settings that say what is compared. */
export const modelSettings = {
  chunkSizes: z.array(z.int().min(1)).default([4, 8, 16]).describe('elements of a chunk of each Transformer-PSM'),
  baselines: z
    .array(z.enum(BASELINES))
    .default([...BASELINES])
    .describe('models without chunks'),
  size: z.int().min(1).default(32).describe('size of embeddings and hidden vectors'),
  heads: z.int().min(1).default(2),
  layers: z.int().min(1).default(2).describe('blocks of Inf and of the models without chunks'),
  aggregatorLayers: z.int().min(1).default(1).describe('blocks of Agg'),
  dropout: z.number().min(0).max(0.9).default(0),
};

/** The values of {@link modelSettings}. */
export interface ChunkedConfig {
  readonly chunkSizes: readonly number[];
  readonly baselines: readonly (typeof BASELINES)[number][];
  readonly size: number;
  readonly heads: number;
  readonly layers: number;
  readonly aggregatorLayers: number;
  readonly dropout: number;
  /** See {@link ModelSizes.convolution}. */
  readonly convolution?: number;
}

/** Names a trial: `chunkSize` is `null` for models without chunks. */
export type ChunkedKey = { readonly model: ModelName; readonly chunkSize: number | null };

/** All of them. */
export function chunkedTrials({ chunkSizes, baselines }: ChunkedConfig): readonly ChunkedKey[] {
  const psms = chunkSizes.map((chunkSize) => ({ model: 'psm' as const, chunkSize }));
  return [...psms, ...baselines.map((model) => ({ model, chunkSize: null }))];
}

/** What a trial's model is made of. */
export function sizesOf({ layers, ...config }: ChunkedConfig, { chunkSize }: ChunkedKey): ModelSizes {
  return { ...config, layers, inferenceLayers: layers, chunkSize: chunkSize ?? 1 };
}

/** Rows of the PSMs, from the smallest chunks to the largest. */
export function byChunkSize<Row extends ChunkedKey>(rows: readonly Row[]): Row[] {
  return rows.filter(({ model }) => model === 'psm').sort((a, b) => (a.chunkSize ?? 0) - (b.chunkSize ?? 0));
}
