/**
 * Language modelling of bytes (the paper's section 5.3 has WikiText-103, for which this is too small a machine): how much of a
 * Transformer's loss is kept by a prefix of one chunk. The text needs no download: names are given values and looked up, so that
 * the smallest possible loss is known, with a memory and without.
 */

import { randomCrops, syntheticText, syntheticTextEntropy, type TokenTask } from '@fwp/datasets';
import { defineExperiment, type TrialContext } from '@fwp/lab';
import { z } from 'zod';
import { type ChunkedKey, chunkedTrials, modelSettings, sizesOf } from './chunked-models.ts';
import { lmClaims } from './lm-claims.ts';
import { makeModel } from './models.ts';
import { paper } from './paper.ts';
import { labelScore, trainTagger } from './tagging-training.ts';

const settings = z.object({
  ...modelSettings,
  convolution: z
    .int()
    .min(0)
    .default(4)
    .describe('elements that a convolution of the embeddings sees, before the blocks of every model; 0: none'),
  names: z.int().min(1).max(26).default(4).describe('names in a line: what the memory has to hold'),
  statements: z.int().min(1).default(28).describe('statements of a line'),
  trainBytes: z.int().min(1000).default(2_000_000),
  validationBytes: z.int().min(1000).default(50_000),
  length: z.int().min(8).default(128).describe('bytes of a sequence'),
  batchSize: z.int().min(1).default(16),
  steps: z.int().min(1).default(1000),
  learningRate: z.number().positive().default(3e-3),
  weightDecay: z.number().min(0).default(0.01),
  warmup: z.int().min(0).default(100),
  evaluateEvery: z.int().min(1).default(100),
  validationSequences: z.int().min(1).default(64),
  testSequences: z.int().min(1).default(128),
});

/** Configuration. */
export type LmConfig = z.infer<typeof settings>;

/** Measurements of a trial. */
export type LmResult = {
  readonly bitsPerByte: number;
  /** The smallest possible loss on whole lines, in bits per byte. */
  readonly perfectMemory: number;
  /** The same for who remembers no values. */
  readonly noMemory: number;
  readonly parameters: number;
};

/** ASCII: the synthetic text has no other bytes. */
const BYTES = 128;

function taskOf({ names, statements, trainBytes, validationBytes, length }: LmConfig, seed: number): TokenTask {
  const crops = (split: 'train' | 'validation', bytes: number) =>
    randomCrops(syntheticText({ length: bytes, seed, split, names, statements }), { length, seed });
  const [train, validation] = [crops('train', trainBytes), crops('validation', validationBytes)];
  return {
    ...{ name: 'synthetic-text', vocabularySize: BYTES, targetCount: BYTES },
    lengths: { train: length, validation: length, test: length },
    batch: (index, batchSize, split = 'train') =>
      split === 'train' ? train.batch(index, batchSize) : validation.batch(index, batchSize, split),
  };
}

async function train(context: TrialContext<LmConfig, ChunkedKey>): Promise<LmResult> {
  const { config, key, random, seed } = context;
  const task = taskOf(config, seed);
  const sizes = { vocabularySize: BYTES, targetCount: BYTES, maximumLength: config.length };
  const model = makeModel(key.model, sizesOf(config, key), sizes, random.split('weights'));
  // Nobody predicts all bytes: training ends with its steps.
  await trainTagger(context, model, task, { ...config, solved: 2, settleSteps: 0 });
  const { nats } = await labelScore(model, task, { split: 'test', sequences: config.testSequences });
  const { parameterCount: parameters } = model;
  model.dispose();
  return { bitsPerByte: nats / Math.LN2, ...syntheticTextEntropy(config), parameters };
}

export const lm = defineExperiment({
  id: 'psm/lm',
  title: 'Language models of bytes: the price of a prefix of one chunk',
  description:
    'Trains Transformer-PSMs with chunks of different sizes, a Transformer and a DeltaNet on text that gives values to names and ' +
    'looks them up.',
  paper,
  config: settings,
  presets: {
    quick: {
      summary: 'four names; chunks of 8 and 32 in 128 bytes, and a Transformer, size 32',
      config: { chunkSizes: [8, 32], baselines: ['transformer'], steps: 800 },
      // By two threads.
      measuredSeconds: { wasm: 113 },
    },
    standard: {
      // As many names as the smallest prefix has vectors.
      summary: 'eight names; chunks of 8 to 64 in 128 bytes, a Transformer and a DeltaNet, size 64',
      config: { names: 8, statements: 56, chunkSizes: [8, 16, 64], size: 64, heads: 4, steps: 800 },
    },
    paper: {
      summary: "the paper's size, 768 with 6 blocks each, on 512 bytes of synthetic text instead of WikiText-103",
      config: {
        chunkSizes: [32, 64, 128, 256],
        size: 768,
        heads: 12,
        layers: 6,
        aggregatorLayers: 6,
        dropout: 0.1,
        convolution: 0,
        trainBytes: 100_000_000,
        length: 512,
        batchSize: 32,
        steps: 200_000,
        warmup: 1000,
        learningRate: 1e-4,
      },
    },
  },
  trials: (config) => chunkedTrials(config),
  run: train,
  published: [],
  claims: lmClaims,
  report: {
    metric: 'bitsPerByte',
    rows: 'model',
    columns: 'chunkSize',
    charts: [
      {
        title: 'Loss in nats during training',
        from: 'metrics',
        x: 'step',
        y: 'loss',
        series: 'chunkSize',
        facet: 'model',
      },
    ],
  },
});
