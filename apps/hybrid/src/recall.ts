/**
 * Recall of what was read once (multi-query associative recall): pairs of a key and a value, then the keys again. Attention over
 * a window recalls what the window still holds; a DeltaNet as much as fits into its fast weights; a blend what one of both
 * holds. The paper measures recall by three sets of questions about texts.
 */

import { multiQueryAssociativeRecall } from '@fwp/datasets';
import { defineExperiment, type TrialContext } from '@fwp/lab';
import { z } from 'zod';
import { hasWindow, type ModelName, makeModel, modelSettings } from './models.ts';
import { paper } from './paper.ts';
import { accuracyOn, trainingSettings, trainOnTask, validateAnswers } from './token-task.ts';

const settings = z.object({
  ...modelSettings,
  heads: z.int().min(1).default(8),
  layers: z.int().min(1).default(1).describe('blocks of each model'),
  initializerRange: z.number().positive().default(0.1).describe('standard deviation of matrices at first'),
  windows: z.array(z.int().min(1)).min(1).default([8, 32]).describe('S of the models that have a window'),
  pairs: z.array(z.int().min(1)).min(1).default([8]).describe('pairs of a sequence'),
  length: z.int().min(4).default(32).describe('tokens of a sequence'),
  vocabularySize: z.int().min(4).default(32),
  randomFiller: z.boolean().default(false).describe('whether other places hold random tokens instead of blanks'),
  steps: z.int().min(1).default(300).describe('training steps at most'),
  ...trainingSettings,
  learningRate: z.number().positive().default(0.015).describe("AdamW's largest step size, before a cosine to nearly 0"),
});
type RecallConfig = z.infer<typeof settings>;

/** Names a trial: the model, with its window if it has one. */
export type RecallKey = { readonly model: string; readonly pairs: number };

/** Measurements. */
export type RecallResult = {
  /** Fraction of the queries that are answered. */
  readonly accuracy: number;
  /** Training steps made. */
  readonly steps: number;
  readonly parameters: number;
};

/** The name of a model in the table. */
function labelOf(model: ModelName, window: number): string {
  return hasWindow(model) ? `${model}, S = ${window}` : model;
}

/** Models with the windows that are asked for. */
function variants({ models, windows }: Pick<RecallConfig, 'models' | 'windows'>) {
  return models.flatMap((model) =>
    (hasWindow(model) ? windows : windows.slice(0, 1)).map((window) => ({
      model,
      window,
      label: labelOf(model, window),
    })),
  );
}

async function train({
  config,
  key,
  random,
  seed,
  steps,
  log,
}: TrialContext<RecallConfig, RecallKey>): Promise<RecallResult> {
  const { length, vocabularySize, randomFiller } = config;
  const variant = variants(config).find(({ label }) => label === key.model) as ReturnType<typeof variants>[number];
  const task = multiQueryAssociativeRecall({ length, vocabularySize, randomFiller, pairs: key.pairs, seed });
  const model = makeModel(
    variant.model,
    { ...config, window: variant.window },
    vocabularySize,
    random.split('weights'),
  );
  const validate = validateAnswers(model, task, config.validationSequences);
  const made = await trainOnTask({ model, task, total: config.steps, validate }, config, { steps, log });
  const accuracy = await accuracyOn(model, task, 'test', config.testSequences);
  const { parameterCount: parameters } = model;
  model.dispose();
  return { accuracy, steps: made, parameters };
}

/** Fraction of the queries from which recall counts as solved: nineteen of twenty. */
const SOLVED = 0.95;
/** By how much fewer queries are answered where a memory is too small; chance alone gives about 0.06. */
const FAR = 0.2;

type AccuracyRow = RecallKey & Pick<RecallResult, 'accuracy'>;

/** The window in a row's name; undefined for models without one. */
function windowOf({ model }: AccuracyRow): number | undefined {
  const window = /, S = (\d+)$/.exec(model)?.[1];
  return window === undefined ? undefined : Number(window);
}

/** Rows with the most pairs of a model, from the smallest window to the largest. */
function withMostPairs(rows: readonly AccuracyRow[], model: ModelName): AccuracyRow[] {
  const most = Math.max(...rows.map(({ pairs }) => pairs));
  return rows
    .filter((row) => row.pairs === most && row.model.split(',')[0] === model)
    .sort((a, b) => (windowOf(a) ?? 0) - (windowOf(b) ?? 0));
}

function observed(rows: readonly AccuracyRow[]): string {
  return rows.map(({ model, accuracy }) => `${model}: ${accuracy.toFixed(3)}`).join('; ');
}

export const recall = defineExperiment({
  id: 'hybrid/recall',
  title: 'Recall by fast weights, and by fast weights with a window',
  description:
    'Sequences of pairs of a key and a value, then the keys again. Heads are small, so that the fast weights of a DeltaNet hold ' +
    'fewer pairs than a sequence has; attention beside them recalls what its window still holds, and the more of it, ' +
    'the larger the window is.',
  paper,
  config: settings,
  presets: {
    quick: {
      summary:
        '8 pairs, one layer with eight heads of size 4: DeltaNet, Synchronous with windows of 8 and of all 32 tokens',
      config: { models: ['deltaNet', 'synchronous'], evaluateEvery: 100, validationSequences: 128 },
    },
    standard: {
      summary: '8 pairs in 64 tokens, windows of 8 and 64; also attention over everything and Delayed-Stream',
      config: {
        models: ['attention', 'deltaNet', 'delayedStream', 'synchronous'],
        windows: [8, 64],
        length: 64,
        vocabularySize: 64,
        steps: 600,
        evaluateEvery: 100,
        validationSequences: 128,
      },
    },
    paper: {
      summary:
        "16 to 64 pairs of a large vocabulary in 256 tokens, windows of 64 to 256, at the size of the paper's synthetic tasks",
      config: {
        models: ['attention', 'deltaNet', 'delayedStream', 'delayedChunk', 'synchronous'],
        pairs: [16, 32, 64],
        windows: [64, 128, 256],
        length: 256,
        vocabularySize: 8192,
        randomFiller: true,
        size: 128,
        heads: 4,
        layers: 2,
        steps: 20_000,
        learningRate: 1e-3,
        validationSequences: 1024,
        testSequences: 4096,
        evaluateEvery: 1000,
      },
    },
  },
  trials: (config) => config.pairs.flatMap((pairs) => variants(config).map(({ label }) => ({ model: label, pairs }))),
  run: train,
  published: [],
  claims: [
    {
      text: 'With a window that holds all pairs, Synchronous recalls what the DeltaNet alone does not.',
      holds: (rows) => {
        const [deltaNet] = withMostPairs(rows, 'deltaNet');
        const synchronous = withMostPairs(rows, 'synchronous').at(-1);
        if (deltaNet === undefined || synchronous === undefined) return undefined;
        const pass = synchronous.accuracy >= SOLVED && deltaNet.accuracy <= synchronous.accuracy - FAR;
        return { pass, observed: observed([deltaNet, synchronous]) };
      },
    },
    {
      text: 'The larger its window, the more Synchronous recalls.',
      holds: (rows) => {
        const synchronous = withMostPairs(rows, 'synchronous');
        const [smallest, largest] = [synchronous[0], synchronous.at(-1)];
        if (smallest === undefined || largest === undefined || smallest === largest) return undefined;
        return { pass: largest.accuracy >= smallest.accuracy + FAR, observed: observed(synchronous) };
      },
    },
  ],
  report: {
    metric: 'accuracy',
    rows: 'model',
    columns: 'pairs',
    charts: [
      {
        title: 'Queries that are answered, during training',
        from: 'metrics',
        x: 'step',
        y: 'accuracy',
        series: 'model',
        facet: 'pairs',
      },
    ],
  },
});
