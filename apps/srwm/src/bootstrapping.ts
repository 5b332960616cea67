/**
 * Bootstrapped training (Irie and Schmidhuber, 2023): the model reads K examples of each class and is asked a query, then M
 * more, and is asked again; what it answers with more knowledge is what it should have answered with less. The three
 * objectives that are compared,
 *
 *     main        CE after K shots
 *     future      CE after K shots + CE after K + M shots
 *     bootstrap   CE after K shots + CE after K + M shots + weight · KL(later answer ‖ earlier answer)
 *
 * on classes of which there are few in training, where plain training begins to learn them by heart.
 */

import { type ClassSplits, type FewShotBatch, type FewShotTask, fewShot, gaussianClasses } from '@fwp/datasets';
import { defineExperiment, readScalar, type TrialContext, type Verdict } from '@fwp/lab';
import { bootstrapLoss, type FewShotModel, type FewShotState } from '@fwp/srwm';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { CLASS_SOURCES, classSettings, keepClasses, openClasses } from './classes.ts';
import { accuracyOf, evaluate, toTensors } from './episodes.ts';
import { LEARNERS, learnerSettings, makeLearner, makeOptimizer } from './learner.ts';
import { bootstrappingPaper } from './paper.ts';

const OBJECTIVES = ['main', 'future', 'bootstrap'] as const;
type Objective = (typeof OBJECTIVES)[number];

const config = z.object({
  objectives: z
    .array(z.enum(OBJECTIVES))
    .min(1)
    .default([...OBJECTIVES]),
  model: z.enum(LEARNERS).default('deltaNet'),
  classes: z.enum(CLASS_SOURCES).default('gaussian').describe('where the examples come from'),
  poolClasses: z.int().min(0).default(24).describe('gaussian classes for training; 0: new ones in every episode'),
  poolExamples: z.int().min(1).default(60).describe('examples of each of them'),
  shots: z.int().min(1).default(3).describe('K: labelled examples of each class before the query'),
  futureShots: z.int().min(1).default(3).describe('M: further examples of each class before the query is asked again'),
  ways: z.int().min(2).default(5).describe('classes of an episode'),
  bootstrapWeight: z.number().min(0).default(10).describe('weight of the KL term'),
  rampSteps: z.int().min(0).default(0).describe('steps over which that weight rises from 0'),
  ...classSettings,
  deviation: z
    .number()
    .min(0)
    .default(1)
    .describe('standard deviation within a gaussian class; between classes it is 1'),
  ...learnerSettings,
  batchSize: z.int().min(1).default(16).describe('episodes of a training step'),
  steps: z.int().min(1).default(4000).describe('training steps'),
  evaluateEvery: z.int().min(1).default(500).describe('steps between validations'),
  validationEpisodes: z.int().min(1).default(640),
  testEpisodes: z.int().min(1).default(3200),
});
type Config = z.infer<typeof config>;

/** Names a trial. */
interface Key {
  readonly objective: Objective;
  readonly [name: string]: string;
}

/** What a trial measures: shares of right answers on classes of the test. */
interface Result {
  /** After K shots. */
  readonly accuracy: number;
  /** After K + M shots. */
  readonly futureAccuracy: number;
  readonly steps: number;
  readonly parameters: number;
  readonly [name: string]: number;
}

type ResultRow = Key & Result;

const EVALUATION_BATCH = 32;
const LOG_EVERY = 50;

async function trainBootstrapped({
  config,
  key,
  random,
  seed,
  steps,
  log,
}: TrialContext<Config, Key>): Promise<Result> {
  const { ways, shots, futureShots, batchSize } = config;
  const classes = await openPool(config, seed);
  const task = fewShot({ classes, ways, shots, futureShots, seed });
  const tests = [shots, shots + futureShots].map((evaluationShots) =>
    fewShot({ classes, ways, shots: evaluationShots, seed }),
  );
  const model = makeLearner(config.model, config, { shape: task.exampleShape, ways }, random.split('weights'));
  const optimizer = makeOptimizer(model, config);
  const score = async (split: 'validation' | 'test', episodes: number) => {
    const extent = { batches: Math.ceil(episodes / EVALUATION_BATCH), batchSize: EVALUATION_BATCH };
    const accuracies: number[] = [];
    for (const test of tests) accuracies.push(accuracyOf(await evaluate(model, test, split, extent)));
    return accuracies as [number, number];
  };

  for await (const step of steps({ total: config.steps, module: model, optimizer, perStep: { episodes: batchSize } })) {
    const batch = task.batch(step, batchSize);
    const ramp = config.rampSteps === 0 ? 1 : Math.min(1, step / config.rampSteps);
    const weights = {
      main: 1,
      future: key.objective === 'main' ? 0 : 1,
      bootstrap: key.objective === 'bootstrap' ? ramp * config.bootstrapWeight : 0,
    };
    const value = tf.tidy(() => optimizer.minimize(() => lossOf(model, task, batch, shots * ways, weights)));
    const isEvaluated = step % config.evaluateEvery === 0;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    if (loss === undefined) continue;
    if (isEvaluated) {
      const [validationAccuracy, validationFutureAccuracy] = await score('validation', config.validationEpisodes);
      log({ loss, validationAccuracy, validationFutureAccuracy });
    } else log({ loss });
  }
  const [accuracy, futureAccuracy] = await score('test', config.testEpisodes);
  const result = { accuracy, futureAccuracy, steps: config.steps, parameters: model.parameterCount };
  optimizer.dispose();
  model.dispose();
  return result;
}

/** Few classes with few examples for training; for the test other classes, without end. */
async function openPool(config: Config, seed: number): Promise<ClassSplits> {
  const { features: size, deviation, poolClasses, poolExamples } = config;
  if (config.classes !== 'gaussian' || poolClasses === 0) return openClasses(config.classes, config, seed);
  const pool = gaussianClasses({ size, deviation, classes: poolClasses, examples: poolExamples, seed });
  return { ...gaussianClasses({ size, deviation, seed }), train: keepClasses(pool).train };
}

/** The loss of a batch whose query is its last position, behind `support` examples and the future ones. */
function lossOf(
  model: FewShotModel,
  task: FewShotTask,
  batch: FewShotBatch,
  support: number,
  weights: { readonly main: number; readonly future: number; readonly bootstrap: number },
): tf.Scalar {
  const { examples, labels, targets } = toTensors(batch, task.exampleShape);
  const [count, last] = [batch.batchSize, batch.length - 1];
  const part = (from: number, to: number) =>
    [
      tf.slice(examples, [0, from], [count, to - from]),
      tf.slice(labels, [0, from], [count, to - from]) as tf.Tensor2D,
    ] as const;
  const ask = (state: FewShotState) =>
    tf.reshape(model.forward(...part(last, last + 1), state).logits, [count, task.ways]);
  const { state } = model.forward(...part(0, support));
  const logits = ask(state);
  const futureLogits =
    weights.future === 0 && weights.bootstrap === 0 ? logits : ask(model.forward(...part(support, last), state).state);
  const wanted = tf.reshape(tf.slice(targets, [0, last], [count, 1]), [count]) as tf.Tensor1D;
  return bootstrapLoss(logits, futureLogits, wanted, weights).loss;
}

function find(rows: readonly ResultRow[], objective: Objective): ResultRow | undefined {
  return rows.find((row) => row.objective === objective);
}

/** Whether the bootstrapped loss is better than the main loss alone by `gain`, after K shots. */
function compare(rows: readonly ResultRow[], gain: number): Verdict | undefined {
  const [main, bootstrap] = [find(rows, 'main'), find(rows, 'bootstrap')];
  if (main === undefined || bootstrap === undefined) return undefined;
  return {
    pass: bootstrap.accuracy >= main.accuracy + gain,
    observed: `${percent(bootstrap.accuracy)} against ${percent(main.accuracy)}`,
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

export const bootstrapping = defineExperiment({
  id: 'srwm/bootstrapping',
  title: 'Training on what the model will know later',
  description:
    'A few-shot learner is trained to answer after K examples of each class what it would answer after K + M. Where classes ' +
    'for training are few this keeps it from learning them by heart.',
  paper: bootstrappingPaper,
  config,
  presets: {
    quick: {
      summary: 'a DeltaNet on 24 classes of vectors, 3 + 3 shots: main loss alone and all three',
      config: { objectives: ['main', 'bootstrap'], steps: 3000 },
    },
    standard: { summary: 'the same with all objectives, twice as long', config: { steps: 8000 }, seeds: [1, 2, 3] },
    paper: {
      summary: 'SRWM on Mini-ImageNet, 10 + 5 shots, the setting of the authors',
      config: {
        objectives: ['main', 'bootstrap'],
        model: 'srwm',
        classes: 'mini-imagenet',
        imageSize: 84,
        shots: 10,
        futureShots: 5,
        layers: 3,
        size: 256,
        heads: 16,
        hiddenFactor: 8,
        queryScale: 1,
        normalization: 'batch',
        dropout: 0.1,
        visionDropout: 0.1,
        warmupSteps: 5000,
        steps: 600_000,
        evaluateEvery: 1000,
        validationEpisodes: 1600,
        testEpisodes: 16_000,
      },
    },
  },
  trials: ({ objectives }) => objectives.map((objective): Key => ({ objective })),
  run: trainBootstrapped,
  published: [],
  claims: [
    {
      text: 'Before the main loss over-fits, the bootstrapped loss is no worse (within two points).',
      holds: (rows) => compare(rows, -0.02),
    },
    {
      text: 'Once it over-fits, from some 6000 steps on, the bootstrapped loss gives a learner that is better by 5 points.',
      holds: (rows) => (rows.some(({ steps }) => steps < 6000) ? undefined : compare(rows, 0.05)),
    },
    {
      text: 'After K + M shots every model knows more than after K.',
      holds: (rows): Verdict | undefined => ({
        pass: rows.every(({ accuracy, futureAccuracy }) => futureAccuracy > accuracy),
        observed: rows
          .map((row) => `${row.objective}: ${percent(row.accuracy)}, then ${percent(row.futureAccuracy)}`)
          .join('; '),
      }),
    },
  ],
  report: {
    metric: 'accuracy',
    rows: 'objective',
    charts: [
      {
        title: 'Accuracy on new classes after K shots, during training',
        from: 'metrics',
        x: 'step',
        y: 'validationAccuracy',
        series: 'objective',
        rule: { y: 0.2, label: 'chance, 5 ways' },
      },
      {
        title: 'The same after K + M shots',
        from: 'metrics',
        x: 'step',
        y: 'validationFutureAccuracy',
        series: 'objective',
      },
    ],
  },
});
