/**
 * Trains a tagger on the words of a language and measures how many words it has right, by their lengths. A word is right if
 * what may come next is predicted at each of its symbols. Training ends when all validation words of all bins are,
 * twice in a row; the results are those of other, test words.
 */

import { Adam } from '@fwp/core';
import { type FormalLanguage, formalLanguage, type SymbolTask, trimPadding } from '@fwp/datasets';
import type { TrialContext } from '@fwp/lab';
import { type SequenceTagger, scoreTagging, taggingLoss } from '@fwp/rfwp';
import { z } from 'zod';
import { MODELS, type ModelName, makeModel } from './models.ts';
import { traceParity } from './parity-trace.ts';
import { trajectoryPicture } from './trajectory-picture.ts';

/** Names of the languages. */
export const LANGUAGES = [
  'parity',
  'aa-star',
  'abab-star',
  'counter-2',
  'counter-3',
  'dyck-1',
  'shuffle-2',
  'reset-dyck-1',
] as const satisfies readonly FormalLanguage[];

/** Lengths of the words of each bin; the first is that of the training words. */
export const BINS = [
  [2, 50],
  [51, 100],
  [101, 200],
  [201, 400],
] as const;

/** Settings of the experiments. */
export const settings = z.object({
  languages: z.array(z.enum(LANGUAGES)).min(1).default(['parity']),
  models: z
    .array(z.enum(MODELS))
    .min(1)
    .default([...MODELS])
    .describe('models to compare'),
  size: z.int().min(1).default(32).describe('D: size of embeddings and hidden vectors'),
  heads: z.int().min(1).default(4),
  layers: z.int().min(1).default(1).describe('blocks of each model'),
  trainWords: z.int().min(1).default(10_000).describe('words of the training set'),
  batchSize: z.int().min(1).default(64),
  steps: z.int().min(1).default(1000).describe('training steps at most'),
  learningRate: z.number().positive().default(1.5e-2).describe("Adam's step size; betas are 0.9 and 0.995"),
  evaluateEvery: z.int().min(1).default(50).describe('steps between validations'),
  validationWords: z.int().min(1).default(100).describe('words of each bin'),
  testWords: z.int().min(1).default(500).describe('words of each bin'),
  bins: z.int().min(2).max(BINS.length).default(3).describe('2: lengths to 100, 3: to 200, 4: to 400'),
});

/** Configuration of the experiments. */
export type FormalLanguagesConfig = z.infer<typeof settings>;

/** Names a trial. */
export type FormalLanguagesKey = { readonly language: FormalLanguage; readonly model: ModelName };

/** Measurements of a trial: fractions of words that are right, `null` for bins that were not measured. */
export type FormalLanguagesResult = {
  readonly accuracy50: number;
  readonly accuracy100: number;
  readonly accuracy200: number | null;
  readonly accuracy400: number | null;
  /** Fraction of single labels of the second bin that are right. */
  readonly labels100: number;
  /** Training steps made. */
  readonly steps: number;
  readonly parameters: number;
};

/** All languages with all models. */
export function trials({ languages, models }: FormalLanguagesConfig): readonly FormalLanguagesKey[] {
  return languages.flatMap((language) => models.map((model) => ({ language, model })));
}

/** One trial: a model on a language. */
export async function train({
  config,
  key: { language, model: name },
  random,
  seed,
  steps,
  log,
  artifact,
}: TrialContext<FormalLanguagesConfig, FormalLanguagesKey>): Promise<FormalLanguagesResult> {
  const { batchSize } = config;
  const tasks = BINS.slice(0, config.bins).map(([least, most]) =>
    formalLanguage({ language, trainLengths: BINS[0], evaluationLengths: [least, most], seed }),
  );
  const [short, long] = tasks as [SymbolTask, SymbolTask];
  const model = makeModel(name, config, short, random.split('weights'));
  const optimizer = new Adam(model, { learningRate: config.learningRate, betas: [0.9, 0.995], epsilon: 1e-9 });
  const batches = Math.max(1, Math.floor(config.trainWords / batchSize));
  const state = { step: 0, solved: 0 };
  for await (const step of steps({
    total: config.steps,
    module: model,
    optimizer,
    state,
    perStep: { words: batchSize },
  })) {
    const batch = trimPadding(short.batch((step - 1) % batches, batchSize));
    const value = optimizer.minimize(() => taggingLoss(model, batch));
    const loss = value.dataSync()[0] as number;
    value.dispose();
    state.step = step;
    if (step % config.evaluateEvery === 0 || step === config.steps) {
      const validated = (task: SymbolTask) => measure(model, task, 'validation', config.validationWords).words;
      const [accuracy50, accuracy100] = [validated(short), validated(long)];
      log({ loss, accuracy50, accuracy100 });
      // Words that are longer still are looked at only where those are right.
      const solved = accuracy50 === 1 && accuracy100 === 1 && tasks.slice(2).every((task) => validated(task) === 1);
      state.solved = solved ? state.solved + 1 : 0;
      if (state.solved === SOLVED_VALIDATIONS) break;
    } else if (step % LOG_EVERY === 0) {
      log({ loss });
    }
  }
  const scores = tasks.map((task) => measure(model, task, 'test', config.testWords));
  if (language === 'parity') {
    await artifact('state.svg', trajectoryPicture(name, traceParity(model, random.split('picture'))));
  }
  const { parameterCount: parameters } = model;
  optimizer.dispose();
  model.dispose();
  const accuracy = (bin: number): number | null => scores[bin]?.words ?? null;
  return {
    accuracy50: accuracy(0) as number,
    accuracy100: accuracy(1) as number,
    accuracy200: accuracy(2),
    accuracy400: accuracy(3),
    labels100: scores[1]?.labels as number,
    steps: state.step,
    parameters,
  };
}

const LOG_EVERY = 10;
/** Validations in a row, all of whose words are right, after which training ends: once may be luck. */
const SOLVED_VALIDATIONS = 2;
const EVALUATION_BATCH = 100;

/** Fractions of words and of single labels that are right. */
function measure(
  model: SequenceTagger,
  task: SymbolTask,
  split: 'validation' | 'test',
  count: number,
): { words: number; labels: number } {
  let [words, rightWords, labels, rightLabels] = [0, 0, 0, 0];
  for (let first = 0; first < count; first += EVALUATION_BATCH) {
    const size = Math.min(EVALUATION_BATCH, count - first);
    // Batches are numbered by their size; the last one may be smaller, and repeats words of the first ones.
    const index = size === EVALUATION_BATCH ? first / EVALUATION_BATCH : 0;
    const score = scoreTagging(model, trimPadding(task.batch(index, size, split)));
    words += score.sequences;
    rightWords += score.rightSequences;
    labels += score.labels;
    rightLabels += score.rightLabels;
  }
  return { words: rightWords / words, labels: rightLabels / labels };
}
