/**
 * Few-shot learning (section 4.1 of Irie et al., 2022): N classes with K labelled examples each in random order, then a query.
 * Classes of the test are none of those in training, and labels are dealt out anew in each episode, so that all that a model
 * can have learned is how to learn.
 */

import { fewShot } from '@fwp/datasets';
import { defineExperiment, readScalar, type TrialContext, type Verdict } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { CLASS_SOURCES, classSettings, openClasses } from './classes.ts';
import { accuracyOf, episodeLoss, evaluate, toTensors } from './episodes.ts';
import { LEARNERS, type LearnerName, learnerSettings, makeLearner, makeOptimizer } from './learner.ts';
import { srwmPaper } from './paper.ts';

const config = z.object({
  models: z.array(z.enum(LEARNERS)).min(1).default(['srwm', 'deltaNet', 'linearAttention', 'lstm', 'staticSrwm']),
  classes: z.enum(CLASS_SOURCES).default('gaussian').describe('where the examples come from'),
  labels: z
    .enum(['synchronous', 'delayed'])
    .default('synchronous')
    .describe('"synchronous": each example with its label, then a query; "delayed": with the label of the one before'),
  shots: z.array(z.int().min(1)).min(1).default([1]).describe('labelled examples of each class'),
  ways: z.int().min(2).default(5).describe('classes of an episode'),
  ...classSettings,
  ...learnerSettings,
  batchSize: z.int().min(1).default(32).describe('episodes of a training step'),
  steps: z.int().min(1).default(2400).describe('training steps'),
  evaluateEvery: z.int().min(1).default(200).describe('steps between validations'),
  validationEpisodes: z.int().min(1).default(320),
  testEpisodes: z.int().min(1).default(3200),
});
type Config = z.infer<typeof config>;

/** Names a trial. */
interface Key {
  readonly model: LearnerName;
  readonly shots: number;
  readonly [name: string]: string | number;
}

/** What a trial measures. */
interface Result {
  /** Share of right answers on classes of the test. */
  readonly accuracy: number;
  readonly parameters: number;
  readonly [name: string]: number;
}

type ResultRow = Key & Result;

/** Episodes that are evaluated together. */
const EVALUATION_BATCH = 32;

async function trainFewShot({ config, key, random, seed, steps, log }: TrialContext<Config, Key>): Promise<Result> {
  const { ways, labels, batchSize, testEpisodes, validationEpisodes } = config;
  const classes = await openClasses(config.classes, config, seed);
  const task = fewShot({ classes, ways, shots: key.shots, labels, seed });
  const model = makeLearner(key.model, config, { shape: task.exampleShape, ways }, random.split('weights'));
  const optimizer = makeOptimizer(model, config);
  const score = async (split: 'validation' | 'test', episodes: number) =>
    accuracyOf(
      await evaluate(model, task, split, {
        batches: Math.ceil(episodes / EVALUATION_BATCH),
        batchSize: EVALUATION_BATCH,
      }),
    );
  for await (const step of steps({ total: config.steps, module: model, optimizer, perStep: { episodes: batchSize } })) {
    const batch = task.batch(step, batchSize);
    const value = tf.tidy(() => {
      const tensors = toTensors(batch, task.exampleShape);
      return optimizer.minimize(() => episodeLoss(model, tensors));
    });
    const isEvaluated = step % config.evaluateEvery === 0;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    if (loss === undefined) continue;
    log({ loss, ...(isEvaluated ? { validationAccuracy: await score('validation', validationEpisodes) } : {}) });
  }
  const result = { accuracy: await score('test', testEpisodes), parameters: model.parameterCount };
  optimizer.dispose();
  model.dispose();
  return result;
}

const LOG_EVERY = 20;

/**
 * Accuracy above chance that counts as having learned something in the episode: five standard deviations of a share of
 * 3200 answers are less than 0.04.
 */
const ABOVE_CHANCE = 0.05;

/** Decides on the accuracy of one model with the fewest shots. */
function about(
  rows: readonly ResultRow[],
  model: LearnerName,
  decide: (accuracy: number) => boolean,
): Verdict | undefined {
  const fewest = Math.min(...rows.map(({ shots }) => shots));
  const concerned = rows.filter((row) => row.model === model && row.shots === fewest);
  if (concerned.length === 0) return undefined;
  return {
    pass: concerned.every(({ accuracy }) => decide(accuracy)),
    observed: concerned.map(({ accuracy, shots }) => `${(100 * accuracy).toFixed(1)} %, ${shots}-shot`).join(', '),
  };
}

export const fewShotLearning = defineExperiment({
  id: 'srwm/few-shot',
  title: 'Few-shot learning by self-modification',
  description:
    'Sequence models read a few labelled examples of classes that they have never seen, and then have to label another one. ' +
    'A weight matrix that rewrites itself learns to do it; the same matrix without rewriting stays at chance.',
  paper: srwmPaper,
  config,
  presets: {
    quick: {
      summary: '5-way 1-shot with vectors: SRWM, DeltaNet, SRWM that is never rewritten',
      measuredSeconds: { wasm: 75 },
      config: { models: ['srwm', 'deltaNet', 'staticSrwm'] },
    },
    standard: {
      summary: '5-way 1-shot and 5-shot with vectors, all models',
      config: { shots: [1, 5] },
      seeds: [1, 2, 3],
    },
    characters: {
      summary: '5-way 1-shot with drawn characters of 28 × 28 pixels; needs no files',
      config: { models: ['srwm', 'deltaNet', 'staticSrwm'], classes: 'strokes', steps: 10_000, evaluateEvery: 1000 },
    },
    paper: {
      summary: 'Omniglot, 5-way 1-shot, the setting of the authors',
      config: {
        models: ['srwm', 'deltaNet', 'lstm'],
        classes: 'omniglot',
        size: 256,
        heads: 16,
        hiddenFactor: 4,
        lstmSize: 1024,
        queryScale: 1,
        filters: 64,
        normalization: 'batch',
        batchSize: 128,
        steps: 300_000,
        evaluateEvery: 1000,
        validationEpisodes: 12_800,
        testEpisodes: 80_000,
      },
    },
    miniImageNet: {
      summary: 'Mini-ImageNet, 5-way 1-shot and 5-shot, the setting of the authors',
      extends: 'paper',
      config: {
        classes: 'mini-imagenet',
        shots: [1, 5],
        imageSize: 84,
        layers: 3,
        filters: 32,
        dropout: 0.1,
        visionDropout: 0.1,
        warmupSteps: 5000,
        batchSize: 16,
        steps: 600_000,
        validationEpisodes: 1600,
      },
    },
  },
  trials: ({ models, shots }) => models.flatMap((model) => shots.map((count): Key => ({ model, shots: count }))),
  run: trainFewShot,
  published: [],
  claims: [
    {
      text: 'A matrix that rewrites itself learns new classes from labelled examples.',
      holds: (rows) => about(rows, 'srwm', (accuracy) => accuracy > 0.75),
    },
    {
      text: 'So does a DeltaNet.',
      holds: (rows) => about(rows, 'deltaNet', (accuracy) => accuracy > 0.9),
    },
    {
      text: 'Without self-modification the same model stays at chance.',
      holds: (rows) => about(rows, 'staticSrwm', (accuracy) => accuracy < 0.2 + ABOVE_CHANCE),
    },
  ],
  report: {
    metric: 'accuracy',
    rows: 'model',
    columns: 'shots',
    charts: [
      {
        title: 'Accuracy on new classes during training',
        from: 'metrics',
        x: 'step',
        y: 'validationAccuracy',
        series: 'model',
        facet: 'shots',
        rule: { y: 0.2, label: 'chance, 5 ways' },
      },
    ],
  },
});
