/**
 * Trains a tagger on the words of a language and measures how many words it has right, by their lengths. A word is right if
 * what may come next is predicted at each of its symbols. Training ends when all validation words of all bins are,
 * twice in a row; the results are those of other, test words, at the best validation.
 */

import { Adam, constant, cosineDecay } from '@fwp/core';
import { batches, type FormalLanguage, formalLanguage, type SymbolTask, trimPadding } from '@fwp/datasets';
import { readScalar, type TrialContext } from '@fwp/lab';
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
  schedule: z
    .enum(['constant', 'cosine'])
    .default('constant')
    .describe("of the step size: constant as the authors' or along half a cosine to zero"),
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
  /** Blocks of the model. */
  readonly layers: number;
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
  const short = tasks[0] as SymbolTask;
  const model = makeModel(name, config, short, random.split('weights'));
  const optimizer = new Adam(model, {
    learningRate: config.learningRate,
    schedule: config.schedule === 'cosine' ? cosineDecay(config.steps) : constant(),
    betas: [0.9, 0.995],
    epsilon: 1e-9,
  });
  const trainBatches = Math.max(1, Math.floor(config.trainWords / batchSize));
  const state = { step: 0, solved: 0, best: -1, scores: [] as Score[] };
  for await (const step of steps({
    total: config.steps,
    module: model,
    optimizer,
    state,
    perStep: { words: batchSize },
  })) {
    const batch = trimPadding(short.batch((step - 1) % trainBatches, batchSize));
    const value = optimizer.minimize(() => taggingLoss(model, batch));
    const isEvaluated = step % config.evaluateEvery === 0 || step === config.steps;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    state.step = step;
    if (loss === undefined) continue;
    if (isEvaluated) {
      const validation = await validate(model, tasks, config.validationWords);
      const [accuracy50, accuracy100] = validation.map(({ words }) => words) as [number, number];
      log({ loss, accuracy50, accuracy100 });
      // Where no word is right yet, single labels tell which model is best; of equally good ones it is the last.
      const score = validation.reduce((sum, { words, labels }) => sum + words + 1e-3 * labels, 0);
      if (score >= state.best) {
        state.best = score;
        state.scores = [];
        for (const task of tasks) state.scores.push(await measure(model, task, 'test', config.testWords));
      }
      const solved = validation.length === tasks.length && validation.every(({ words }) => words === 1);
      state.solved = solved ? state.solved + 1 : 0;
      if (state.solved === SOLVED_VALIDATIONS) break;
    } else {
      log({ loss });
    }
  }
  const { scores } = state;
  if (language === 'parity') {
    await artifact('state.svg', trajectoryPicture(name, await traceParity(model, random.split('picture'))));
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
    layers: config.layers,
    steps: state.step,
    parameters,
  };
}

const LOG_EVERY = 10;
/** Validations in a row, all of whose words are right, after which training ends: once may be luck. */
const SOLVED_VALIDATIONS = 2;
const EVALUATION_BATCH = 50;

/** Fractions of words and of single labels that are right. */
type Score = { readonly words: number; readonly labels: number };

/** Scores of the first two bins, and of the longer ones as far as all words of those before are right. */
async function validate(model: SequenceTagger, tasks: readonly SymbolTask[], count: number): Promise<Score[]> {
  const scores: Score[] = [];
  for (const task of tasks) {
    if (scores.length >= 2 && scores.some(({ words }) => words < 1)) break;
    scores.push(await measure(model, task, 'validation', count));
  }
  return scores;
}

async function measure(
  model: SequenceTagger,
  task: SymbolTask,
  split: 'validation' | 'test',
  count: number,
): Promise<Score> {
  const end = Math.ceil(count / EVALUATION_BATCH);
  const words = Array.from(batches(task, { batchSize: EVALUATION_BATCH, split, end }), trimPadding);
  const { sequences, rightSequences, labels, rightLabels } = await scoreTagging(model, words);
  return { words: rightSequences / sequences, labels: rightLabels / labels };
}
