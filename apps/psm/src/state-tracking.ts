/**
 * State tracking: products in a group, element by element (the paper's section 5.1 with S5; the protocol of Li, Guo, Andreas,
 * "(How) Do Language Models Track State?", 2025). The models learn on short sequences; on longer ones, up to eight times as long,
 * only those have the product that apply the same function again and again. Groups: `Z2` is parity, `S3` and `S5` are the
 * permutations of three and five items, whose order matters; `S5`'s are the paper's.
 */

import { type TokenTask, wordProblem } from '@fwp/datasets';
import { defineExperiment, type TrialContext } from '@fwp/lab';
import { z } from 'zod';
import { MODELS, type ModelName, makeModel } from './models.ts';
import { paper } from './paper.ts';
import { stateTrackingClaims } from './state-tracking-claims.ts';
import { labelScore, trainTagger } from './tagging-training.ts';
import { treePicture } from './tree-picture.ts';

/** How many times as long as in training the test sequences are. */
export const FACTORS = [1, 2, 4, 8] as const;

const settings = z.object({
  groups: z
    .array(z.object({ name: z.string(), models: z.array(z.enum(MODELS)).min(1) }))
    .min(1)
    .default([{ name: 'S3', models: ['psm', 'transformer'] }])
    .describe('groups, and which models learn each'),
  trainElements: z
    .tuple([z.int().min(1), z.int().min(1)])
    .default([16, 16])
    .describe('least and most elements of a training sequence'),
  size: z.int().min(1).default(32).describe('size of embeddings and hidden vectors'),
  heads: z.int().min(1).default(2),
  aggregatorLayers: z.int().min(1).default(1).describe('blocks of Agg'),
  inferenceLayers: z.int().min(1).default(1).describe('blocks of Inf'),
  transformer: z
    .object({
      size: z.int().min(1).default(64),
      heads: z.int().min(1).default(4),
      layers: z.int().min(1).default(2),
      learningRate: z.number().positive().default(1e-3),
      steps: z.int().min(1).default(3000),
      dropout: z.number().min(0).max(0.9).default(0),
    })
    .prefault({})
    .describe('models that are no PSM: their sizes and training'),
  chunkSize: z.int().min(1).default(1),
  dropout: z.number().min(0).max(0.9).default(0.1).describe("the paper's"),
  batchSize: z.int().min(1).default(64),
  steps: z.int().min(1).default(1500).describe('training steps of a PSM at most'),
  learningRate: z.number().positive().default(3e-3),
  weightDecay: z.number().min(0).default(0.01),
  warmup: z.int().min(0).default(100),
  evaluateEvery: z.int().min(1).default(50),
  validationSequences: z.int().min(1).default(64),
  testSequences: z.int().min(1).default(128).describe('of each length'),
  solved: z
    .number()
    .min(0)
    .max(1)
    .default(0.99)
    .describe('fraction of right labels from which the length of the training counts as solved'),
  settleSteps: z.int().min(0).default(400).describe('steps after that'),
});

/** Configuration. */
export type StateTrackingConfig = z.infer<typeof settings>;

/** Names a trial. */
export type StateTrackingKey = { readonly group: string; readonly model: ModelName };

/** Measurements of a trial: fractions of right labels, those of longer sequences in their second halves. */
export type StateTrackingResult = {
  readonly accuracy1: number;
  readonly accuracy2: number;
  readonly accuracy4: number;
  readonly accuracy8: number;
  /** Step at which the length of the training was solved; `null`: it was not. */
  readonly solvedAt: number | null;
  readonly steps: number;
  readonly parameters: number;
};

/** A task whose training sequences are as configured, and whose evaluation sequences are `factor` times as long at most. */
export function taskOf({ trainElements }: StateTrackingConfig, group: string, factor: number, seed: number): TokenTask {
  const [least, most] = trainElements;
  const evaluationElements: [number, number] = factor === 1 ? [least, most] : [factor * most, factor * most];
  return wordProblem({ group, trainElements: [least, most], evaluationElements, seed });
}

async function train(context: TrialContext<StateTrackingConfig, StateTrackingKey>): Promise<StateTrackingResult> {
  const { config, key, random, seed, artifact } = context;
  const tasks = FACTORS.map((factor) => taskOf(config, key.group, factor, seed));
  const [task] = tasks as [TokenTask];
  const isPsm = key.model.startsWith('psm');
  const sizes = { ...config, layers: config.transformer.layers, ...(isPsm ? {} : config.transformer) };
  const maximumLength = 8 * config.trainElements[1];
  const { vocabularySize, targetCount } = task;
  const model = makeModel(key.model, sizes, { vocabularySize, targetCount, maximumLength }, random.split('weights'));
  const training = isPsm ? config : { ...config, ...config.transformer };
  const { steps, solvedAt } = await trainTagger(context, model, task, training);
  const accuracies: number[] = [];
  for (const [i, longer] of tasks.entries()) {
    const from = FACTORS[i] === 1 ? 0 : 0.5;
    const { accuracy } = await labelScore(model, longer, { split: 'test', sequences: config.testSequences, from });
    accuracies.push(accuracy);
  }
  if (isPsm) await artifact('tree.svg', treePicture(Math.min(24, config.trainElements[1]), config.chunkSize));
  const { parameterCount: parameters } = model;
  model.dispose();
  const [accuracy1, accuracy2, accuracy4, accuracy8] = accuracies as [number, number, number, number];
  return { accuracy1, accuracy2, accuracy4, accuracy8, solvedAt, steps, parameters };
}

const LENGTHS = { accuracy1: 1, accuracy2: 2, accuracy4: 4, accuracy8: 8 };

export const stateTracking = defineExperiment({
  id: 'psm/state-tracking',
  title: 'Products in a group, for sequences up to eight times as long as in training',
  description:
    'Trains models on short sequences of group elements to tell the product so far at each, until they have it or are out of ' +
    'steps, and tests them on longer ones. A Transformer that has learned the length of the training has not learned the group.',
  paper,
  config: settings,
  presets: {
    quick: {
      summary: 'parity, and the permutations of three items with an Agg without attention; 16 elements, then 128',
      config: {
        groups: [
          { name: 'Z2', models: ['psm', 'transformer'] },
          { name: 'S3', models: ['psmFeedForward'] },
        ],
      },
      // By one thread.
      measuredSeconds: { wasm: 118 },
    },
    standard: {
      summary:
        'parity with trees, a Transformer and a DeltaNet, the permutations of three items with trees; 4 to 18 elements, then 144',
      config: {
        groups: [
          { name: 'Z2', models: ['psm', 'psmFeedForward', 'transformer', 'deltaNet'] },
          { name: 'S3', models: ['psm', 'psmFeedForward'] },
        ],
        trainElements: [4, 18],
        transformer: { steps: 2000 },
        dropout: 0,
        steps: 4000,
        // What is right for 18 elements needs some time until it is right for 144.
        settleSteps: 2000,
      },
    },
    paper: {
      summary: "S5 with the paper's sizes: 768, 12 heads, sequences of 4 to 18 elements",
      config: {
        groups: [{ name: 'S5', models: ['psm', 'transformer'] }],
        trainElements: [4, 18],
        size: 768,
        heads: 12,
        transformer: { size: 768, heads: 12, layers: 12, learningRate: 1e-4, steps: 40_000 },
        batchSize: 256,
        steps: 40_000,
        learningRate: 1e-4,
        settleSteps: 40_000,
      },
    },
  },
  trials: ({ groups }) => groups.flatMap(({ name: group, models }) => models.map((model) => ({ group, model }))),
  run: train,
  published: [],
  claims: stateTrackingClaims,
  report: {
    metric: 'accuracy8',
    rows: 'model',
    columns: 'group',
    charts: [
      {
        title: 'Labels that are right, against the length of the sequences (1: that of the training)',
        from: 'results',
        x: 'times the length of the training',
        y: 'accuracy',
        spread: LENGTHS,
        series: 'model',
        facet: 'group',
      },
      {
        title: 'Labels of validation sequences as long as those of the training, during training',
        from: 'metrics',
        x: 'step',
        y: 'accuracy',
        series: 'model',
        facet: 'group',
      },
    ],
  },
});
