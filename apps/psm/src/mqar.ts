/**
 * Multi-query associative recall (the paper's section 5.2; the task of Arora et al., "Zoology", 2023): pairs of a key and a value, then
 * the keys again among random tokens. Attention looks values up, if it sees them; a PSM sees them through the prefix, which has
 * as many places as a chunk: the larger the chunks, the more it recalls.
 */

import { multiQueryAssociativeRecall, type TokenTask } from '@fwp/datasets';
import { defineExperiment, type TrialContext } from '@fwp/lab';
import { z } from 'zod';
import { type ChunkedKey, chunkedTrials, modelSettings, sizesOf } from './chunked-models.ts';
import { makeModel } from './models.ts';
import { mqarClaims } from './mqar-claims.ts';
import { paper } from './paper.ts';
import { labelScore, trainTagger } from './tagging-training.ts';

const settings = z.object({
  ...modelSettings,
  vocabularySize: z.int().min(6).default(64),
  pairs: z.int().min(1).default(4),
  length: z.int().min(8).default(32).describe('tokens of a sequence'),
  exponent: z.number().positive().default(0.01).describe('of the distribution of gaps; 1: all places equally likely'),
  batchSize: z.int().min(1).default(64),
  steps: z.int().min(1).default(1500).describe('training steps at most'),
  learningRate: z.number().positive().default(3e-3),
  weightDecay: z.number().min(0).default(0.01),
  warmup: z.int().min(0).default(100),
  evaluateEvery: z.int().min(1).default(100),
  validationSequences: z.int().min(1).default(256),
  testSequences: z.int().min(1).default(512),
  solved: z.number().min(0).max(1).default(0.995).describe('fraction of right answers at which training ends'),
  settleSteps: z.int().min(0).default(0).describe('steps after that'),
});

/** Configuration. */
export type MqarConfig = z.infer<typeof settings>;

/** Measurements of a trial. */
export type MqarResult = {
  /** Fraction of right answers. */
  readonly accuracy: number;
  readonly steps: number;
  readonly parameters: number;
};

async function train(context: TrialContext<MqarConfig, ChunkedKey>): Promise<MqarResult> {
  const { config, key, random, seed } = context;
  const { vocabularySize, pairs, length, exponent } = config;
  const task: TokenTask = multiQueryAssociativeRecall({ vocabularySize, pairs, length, exponent, seed });
  const sizes = { vocabularySize, targetCount: vocabularySize, maximumLength: length };
  const model = makeModel(key.model, sizesOf(config, key), sizes, random.split('weights'));
  const { steps } = await trainTagger(context, model, task, config);
  const { accuracy } = await labelScore(model, task, { split: 'test', sequences: config.testSequences });
  const { parameterCount: parameters } = model;
  model.dispose();
  return { accuracy, steps, parameters };
}

export const mqar = defineExperiment({
  id: 'psm/mqar',
  title: 'Multi-query associative recall: how much passes through a prefix of one chunk',
  description:
    'Trains Transformer-PSMs with chunks of different sizes, a Transformer and a DeltaNet to give the values of keys that were ' +
    'shown before, among random tokens.',
  paper,
  config: settings,
  presets: {
    quick: {
      summary: '4 pairs in 32 tokens; chunks of 4 and 16, and a Transformer',
      config: { chunkSizes: [4, 16], baselines: ['transformer'] },
    },
    standard: {
      summary: '8 pairs in 64 tokens; chunks of 4 to 32, a Transformer and a DeltaNet',
      config: { pairs: 8, length: 64, vocabularySize: 128, chunkSizes: [4, 8, 16, 32] },
    },
    paper: {
      summary: "the paper's vocabulary of 8192, 512 tokens, chunks of 32 and 64, two layers of size 512",
      config: {
        vocabularySize: 8192,
        pairs: 64,
        length: 512,
        chunkSizes: [32, 64],
        size: 512,
        heads: 1,
        aggregatorLayers: 2,
        batchSize: 32,
        steps: 312_500,
        warmup: 1000,
        learningRate: 1e-3,
        validationSequences: 3000,
        testSequences: 3000,
      },
    },
  },
  trials: (config) => chunkedTrials(config),
  run: train,
  published: [],
  claims: mqarClaims,
  report: {
    metric: 'accuracy',
    rows: 'model',
    columns: 'chunkSize',
    charts: [
      {
        title: 'Answers that are right during training',
        from: 'metrics',
        x: 'step',
        y: 'accuracy',
        series: 'chunkSize',
        facet: 'model',
      },
    ],
  },
});
