/**
 * Adaptation to one task after the other (section 4.2 of Irie et al., 2022): two few-shot problems of different sources, one
 * right after the other, with the same labels; each label comes one step late. Nothing tells when the task changes. A model
 * has to notice, and to learn the second task over the first.
 */

import { type FewShotBatch, gaussianClasses, type SequentialFewShotBatch, sequentialFewShot } from '@fwp/datasets';
import { defineExperiment, readScalar, type TrialContext, type Verdict } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { CLASS_SOURCES, type ClassSourceName, classSettings, openClasses } from './classes.ts';
import { accuracyOf, episodeLoss, evaluate, type Score, toTensors } from './episodes.ts';
import { LEARNERS, type LearnerName, learnerSettings, makeLearner, makeOptimizer } from './learner.ts';
import { srwmPaper } from './paper.ts';

const config = z.object({
  models: z.array(z.enum(LEARNERS)).min(1).default(['srwm', 'deltaNet', 'staticSrwm']),
  sources: z
    .array(z.enum(CLASS_SOURCES))
    .min(2)
    .default(['gaussian', 'gaussian'])
    .describe('where the examples of each task come from; two of the same are two families of classes'),
  shots: z.int().min(2).default(15).describe('examples of each class in a task'),
  ways: z.int().min(2).default(5).describe('classes of a task'),
  ...classSettings,
  ...learnerSettings,
  batchSize: z.int().min(1).default(16).describe('sequences of a training step'),
  steps: z.int().min(1).default(2000).describe('training steps'),
  logEvery: z.int().min(1).default(20).describe('steps between losses in the log'),
  testSequences: z.int().min(1).default(320),
});
type Config = z.infer<typeof config>;

/** Names a trial. */
interface Key {
  readonly model: LearnerName;
  readonly [name: string]: string;
}

/** What a trial measures: shares of right answers, by how often the class has been seen in its task. */
interface Result {
  /** In the second half of the shots of the first task. */
  readonly firstTask: number;
  /** At the first position of the second task, with whatever was learned in the first. */
  readonly atTheSwitch: number;
  /** In the second half of the shots of the second task. */
  readonly secondTask: number;
  readonly parameters: number;
  readonly [name: string]: number;
}

type ResultRow = Key & Result;

const EVALUATION_BATCH = 16;

async function trainSequential({ config, key, random, seed, steps, log }: TrialContext<Config, Key>): Promise<Result> {
  const { ways, shots, batchSize, testSequences } = config;
  const classes = await Promise.all(
    config.sources.map((name: ClassSourceName, index) =>
      // A second family of vectors has means of its own.
      name === 'gaussian'
        ? gaussianClasses({ size: config.features, deviation: config.deviation, seed: 1000 * index + seed })
        : openClasses(name, config, seed),
    ),
  );
  const task = sequentialFewShot({ classes, ways, shots, seed });
  const model = makeLearner(key.model, config, { shape: task.exampleShape, ways }, random.split('weights'));
  const optimizer = makeOptimizer(model, config);
  for await (const step of steps({
    total: config.steps,
    module: model,
    optimizer,
    perStep: { sequences: batchSize },
  })) {
    const batch = task.batch(step, batchSize);
    const value = tf.tidy(() => {
      const tensors = toTensors(batch, task.exampleShape);
      return optimizer.minimize(() => episodeLoss(model, tensors));
    });
    const loss = await readScalar(value, step % config.logEvery === 0);
    if (loss !== undefined) log({ loss });
  }

  const extent = { batches: Math.ceil(testSequences / EVALUATION_BATCH), batchSize: EVALUATION_BATCH };
  const byShot = await evaluate(model, task, 'test', extent, shotOf(shots));
  const byPosition = await evaluate(model, task, 'test', extent);
  // Positions of a test sequence take the place of steps, so that the report can draw them.
  for await (const position of steps({ total: task.lengths.test })) {
    log({ accuracyAtPosition: accuracyOf(byPosition, position - 1, position) });
  }
  const result = {
    ...summary(byShot, shots),
    atTheSwitch: accuracyOf(byPosition, ways * shots, ways * shots + 1),
    parameters: model.parameterCount,
  };
  optimizer.dispose();
  model.dispose();
  return result;
}

/** Which example of its class a position has: 0 … shots − 1 in the first task, from `shots` on in the second, … */
function shotOf(shots: number): (batch: FewShotBatch, row: number, position: number) => number {
  return (batch, row, position) => {
    const { sources, targets, length } = batch as SequentialFewShotBatch;
    const begin = row * length;
    const place = begin + position;
    let [before, changes] = [0, 0];
    for (let i = begin; i < place; i++) {
      if (sources[i] === sources[place] && targets[i] === targets[place]) before++;
      if (sources[i] !== sources[i + 1]) changes++;
    }
    return changes * shots + before;
  };
}

function summary(byShot: Score, shots: number): Pick<Result, 'firstTask' | 'secondTask'> {
  const half = Math.floor(shots / 2);
  return {
    firstTask: accuracyOf(byShot, half, shots),
    secondTask: accuracyOf(byShot, shots + half, 2 * shots),
  };
}

/** Decides on a model's accuracies. */
function about(
  rows: readonly ResultRow[],
  model: LearnerName,
  decide: (row: ResultRow) => boolean,
): Verdict | undefined {
  const row = rows.find((candidate) => candidate.model === model);
  if (row === undefined) return undefined;
  const [first, at, second] = [row.firstTask, row.atTheSwitch, row.secondTask].map((x) => `${(100 * x).toFixed(1)} %`);
  return { pass: decide(row), observed: `first task ${first}, at the switch ${at}, second task ${second}` };
}

/**
 * A problem that can be learned in minutes. Late labels take two layers that work together: the first has to keep an example
 * for its label. Until that is found, which takes some 1000 steps here and many more with 5 ways, the loss is that of chance.
 */
const EASY = { ways: 3, features: 8, deviation: 0.2, shots: 6, steps: 4000, learningRate: 3e-3 };

export const sequentialAdaptation = defineExperiment({
  id: 'srwm/sequential',
  title: 'Adaptation to one task after the other',
  description:
    'Two few-shot problems in one sequence, the second with other classes under the same labels, and nothing that tells ' +
    'where it begins. Labels come one step late, and every example has to be labelled.',
  paper: srwmPaper,
  config,
  presets: {
    quick: {
      summary: 'two families of vectors, 3 ways, 6 shots each: SRWM, rewritten and not',
      config: { ...EASY, models: ['srwm', 'staticSrwm'] },
    },
    standard: {
      summary: 'the same with 10 shots, longer, and DeltaNet, LSTM',
      config: { ...EASY, models: ['srwm', 'deltaNet', 'lstm', 'staticSrwm'], shots: 10, steps: 8000 },
    },
    paper: {
      summary: 'Omniglot and Mini-ImageNet, 15 shots each',
      config: {
        models: ['srwm', 'deltaNet', 'lstm'],
        sources: ['omniglot', 'mini-imagenet'],
        imageSize: 84,
        layers: 3,
        size: 256,
        heads: 16,
        hiddenFactor: 1,
        lstmSize: 1024,
        queryScale: 1,
        normalization: 'batch',
        learningRate: 3e-4,
        batchSize: 64,
        steps: 1_000_000,
        testSequences: 3200,
      },
    },
  },
  trials: ({ models }) => models.map((model): Key => ({ model })),
  run: trainSequential,
  published: [],
  claims: [
    {
      text: 'A matrix that rewrites itself learns the first task from late labels, and after the switch the second.',
      holds: (rows) => about(rows, 'srwm', ({ firstTask, secondTask }) => firstTask > 0.7 && secondTask > 0.7),
    },
    {
      text: 'At the switch its accuracy falls, as labels mean other classes now, and recovers.',
      holds: (rows) =>
        about(
          rows,
          'srwm',
          ({ firstTask, atTheSwitch, secondTask }) => Math.min(firstTask, secondTask) - atTheSwitch > 0.3,
        ),
    },
    {
      text: 'A matrix that does not rewrite itself learns neither.',
      // With 3 ways chance is 0.33; some 5000 answers of each task have a standard deviation below 0.01.
      holds: (rows) => about(rows, 'staticSrwm', ({ firstTask, secondTask }) => Math.max(firstTask, secondTask) < 0.4),
    },
  ],
  report: {
    metric: 'secondTask',
    rows: 'model',
    charts: [
      {
        title: 'Accuracy at each position of a test sequence; the task changes half way',
        from: 'metrics',
        x: 'step',
        y: 'accuracyAtPosition',
        series: 'model',
      },
      { title: 'Loss during training', from: 'metrics', x: 'step', y: 'loss', series: 'model' },
    ],
  },
});
