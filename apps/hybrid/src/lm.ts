/**
 * Language models of bytes with one memory or both (section 4.1 of the paper, at the size of a small machine): what a byte of
 * the validation text costs, and on synthetic text the fraction of look-ups that are predicted.
 */

import { lookUpMask, randomCrops, type SlidingWindows, slidingWindows } from '@fwp/datasets';
import { openTextBytes, SYNTHETIC } from '@fwp/datasets/corpora';
import type { HybridLanguageModel } from '@fwp/hybrid';
import { defineExperiment, type TrialContext, type Verdict } from '@fwp/lab';
import { scoreTagging } from '@fwp/rfwp';
import { z } from 'zod';
import { type ModelName, makeModel, modelSettings } from './models.ts';
import { paper } from './paper.ts';
import { trainingSettings, trainOnTask } from './token-task.ts';

const VOCABULARY = 256;
const EVALUATION_BATCH = 16;

const settings = z.object({
  ...modelSettings,
  corpus: z
    .string()
    .default(SYNTHETIC)
    .describe('"synthetic" (no download), the name of a corpus (enwik8, text8, …), or the path of a text file'),
  trainBytes: z.int().min(1000).default(1_000_000).describe('bytes of the text to train on'),
  validationBytes: z.int().min(100).default(8192).describe('bytes of the text to measure on'),
  length: z.int().min(8).default(256).describe('bytes of a training sequence, and of context in validation'),
  steps: z.int().min(1).default(400).describe('training steps'),
  ...trainingSettings,
});
type LanguageModelConfig = z.infer<typeof settings>;

/** Names a trial. */
export type LanguageModelKey = { readonly model: ModelName };

/** Measurements of a trial. */
export type LanguageModelResult = {
  /** Validation loss. */
  readonly bitsPerByte: number;
  /** Fraction of the look-ups of the synthetic text that are predicted; `null` for other texts. */
  readonly recall: number | null;
  readonly parameters: number;
};

async function train({
  config,
  key,
  random,
  seed,
  steps,
  log,
}: TrialContext<LanguageModelConfig, LanguageModelKey>): Promise<LanguageModelResult> {
  const { length } = config;
  const lengths = { train: config.trainBytes, validation: config.validationBytes };
  const text = await openTextBytes(config.corpus, { lengths, seed });
  const task = randomCrops(text.train, { length, seed });
  const windows = slidingWindows(text.validation, { length, stride: Math.ceil(length / 2) });
  const model = makeModel(key.model, config, VOCABULARY, random.split('weights'));
  const measure = () => measureText(model, windows, config.corpus === SYNTHETIC);
  const validate = async () => {
    const { bitsPerByte, recall } = await measure();
    return { metrics: { bitsPerByte, ...(recall === null ? {} : { recall }) }, isSolved: false };
  };
  await trainOnTask({ model, task, total: config.steps, validate }, config, { steps, log });
  const measured = await measure();
  const { parameterCount: parameters } = model;
  model.dispose();
  text.close();
  return { ...measured, parameters };
}

/** Bits per byte over all windows; of synthetic text, also how many of the look-ups are predicted. */
async function measureText(
  model: HybridLanguageModel,
  windows: SlidingWindows,
  isSynthetic: boolean,
): Promise<{ bitsPerByte: number; recall: number | null }> {
  const batches = Array.from({ length: Math.ceil(windows.count / EVALUATION_BATCH) }, (_, index) =>
    windows.batch(index, EVALUATION_BATCH),
  );
  const score = await scoreTagging(model, batches, { marks: isSynthetic ? lookUpMask : undefined });
  const { crossEntropy, labels, markedLabels, rightMarkedLabels } = score;
  return {
    bitsPerByte: crossEntropy / labels / Math.LN2,
    recall: markedLabels === 0 ? null : rightMarkedLabels / markedLabels,
  };
}

/** Bits per byte by which models count as equal. The paper's differences between blends are about as large. */
const EQUAL = 0.02;

/** Whether the text costs a model no more than others, up to {@link EQUAL}, or at least `less` bits per byte less. */
function costs(
  rows: readonly (LanguageModelKey & Pick<LanguageModelResult, 'bitsPerByte'>)[],
  model: ModelName,
  others: readonly ModelName[],
  less = -EQUAL,
): Verdict | undefined {
  const ours = rows.find((row) => row.model === model);
  const theirs = rows.filter((row) => others.includes(row.model));
  if (ours === undefined || theirs.length === 0) return undefined;
  return {
    pass: theirs.every(({ bitsPerByte }) => ours.bitsPerByte <= bitsPerByte - less),
    observed: [ours, ...theirs].map((row) => `${row.model} ${row.bitsPerByte.toFixed(3)}`).join(', '),
  };
}

const COMPARED: readonly ModelName[] = [
  'attention',
  'window',
  'deltaNet',
  'delayedStream',
  'delayedChunk',
  'synchronous',
];

/** Models that learn to look names up within a few hundred steps: matrices N(0, 1 / inputs), and a large step size. */
const SMALL = {
  ...{ rotary: true, size: 64, layers: 2, window: 16, length: 128, batchSize: 16 },
  ...{ initializerRange: 0.125, learningRate: 0.003, evaluateEvery: 100 },
} as const;

export const lm = defineExperiment({
  id: 'hybrid/lm',
  title: 'Language models with blended memories',
  description:
    'Trains the same decoder with attention, fast weights or both on the same bytes. By default the text gives values to names, ' +
    'changes them and looks them up: it needs no download, its best possible loss is known, and the fraction of look-ups that a ' +
    'model gets right is measured ("recall"). Corpora of real text can be chosen with --set corpus=….',
  paper,
  config: settings,
  presets: {
    quick: {
      summary: 'two layers of size 64 on synthetic text, a window of 16: window, DeltaNet, Synchronous',
      config: { ...SMALL, models: ['window', 'deltaNet', 'synchronous'], steps: 300 },
    },
    standard: {
      summary: 'the same with attention over everything and both delayed blends, twice as long',
      config: { ...SMALL, models: [...COMPARED], steps: 600, validationBytes: 32_768 },
    },
    paper: {
      summary: "the paper's model of 340 million parameters and its settings, on the bytes of WikiText-103",
      config: {
        models: [...COMPARED],
        corpus: 'wikitext-103',
        trainBytes: 1_000_000_000,
        validationBytes: 2_000_000,
        size: 1024,
        heads: 8,
        layers: 24,
        window: 64,
        rotary: true,
        convolution: 0,
        outputGate: false,
        length: 2048,
        batchSize: 256,
        steps: 28_672,
        warmupSteps: 1024,
        learningRate: 1e-3,
        weightDecay: 0.1,
        evaluateEvery: 1000,
      },
    },
  },
  trials: ({ models }) => models.map((model) => ({ model })),
  run: train,
  published: [],
  claims: [
    {
      text: 'Synchronous costs no more bits per byte than the DeltaNet.',
      holds: (rows) => costs(rows, 'synchronous', ['deltaNet']),
    },
    {
      text: 'Synchronous costs no more bits per byte than attention over everything.',
      holds: (rows) => costs(rows, 'synchronous', ['attention']),
    },
    {
      text: 'Its fast weights hold what the window does not: it costs fewer bits per byte than the window alone.',
      holds: (rows) => costs(rows, 'synchronous', ['window'], EQUAL),
    },
    {
      text: 'Synchronous costs no more bits per byte than the delayed blends.',
      holds: (rows) => costs(rows, 'synchronous', ['delayedStream', 'delayedChunk']),
    },
  ],
  report: {
    metric: 'bitsPerByte',
    rows: 'model',
    charts: [
      {
        title: 'Validation loss during training, bits per byte',
        from: 'metrics',
        x: 'step',
        y: 'bitsPerByte',
        series: 'model',
      },
      { title: 'Look-ups that are predicted', from: 'metrics', x: 'step', y: 'recall', series: 'model' },
    ],
  },
});
