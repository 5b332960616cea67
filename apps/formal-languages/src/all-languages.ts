/**
 * All eight languages: which of a flip, a count and a reset a model can hold in its state. The paper's three-way split: counting
 * is within reach of all, a state that goes round in circles (parity, (aa)*, (abab)*) needs recurrence, self-reference or an
 * overshooting delta rule, and forgetting (reset Dyck) at least a delta rule.
 */

import { defineExperiment } from '@fwp/lab';
import { accuraciesWithin, FAILED, FORGETS, LEARNED, LEARNED_SHORT, together } from './claims.ts';
import { paper } from './paper.ts';
import { report } from './report.ts';
import { LANGUAGES, settings, train, trials } from './training.ts';

const COUNTING = ['counter-2', 'counter-3', 'dyck-1', 'shuffle-2'] as const;
const CIRCLING = ['parity', 'aa-star', 'abab-star'] as const;
const FORGETTING = ['reset-dyck-1'] as const;

/** A short training: small batches, of which the last make small steps. */
const SHORT = {
  layers: 2,
  batchSize: 16,
  learningRate: 1e-2,
  schedule: 'cosine',
  evaluateEvery: 100,
  testWords: 200,
} as const;

export const allLanguages = defineExperiment({
  id: 'formal-languages/all-languages',
  title: 'Eight formal languages, for words longer than those of the training',
  description:
    'Trains every model on words of every language with at most 50 symbols (of the counter languages: at most 50 of each ' +
    'letter) and tests on longer ones. Which languages a model learns tells what its state can do.',
  paper,
  config: settings,
  presets: {
    quick: {
      summary: 'one language of each kind and three models of one layer of size 32, at most 1600 steps',
      config: {
        ...SHORT,
        layers: 1,
        languages: ['dyck-1', 'aa-star', 'reset-dyck-1'],
        models: ['linearTransformer', 'deltaNet', 'recurrentDeltaNet'],
        steps: 1600,
        bins: 2,
      },
    },
    standard: {
      summary: 'eight languages, nine models of two layers of size 32, at most 1000 steps',
      measuredSeconds: { native: 3470 },
      config: { ...SHORT, languages: [...LANGUAGES], steps: 1000 },
    },
    paper: {
      summary: "the paper's training sets and number of epochs, two layers of size 64",
      config: {
        languages: [...LANGUAGES],
        layers: 2,
        size: 64,
        steps: 47_000,
        bins: 4,
        validationWords: 500,
        testWords: 2000,
      },
    },
  },
  trials,
  run: train,
  published: [],
  claims: [
    {
      text: 'The Linear Transformer learns the languages that count, Dyck-1 and Shuffle-2, and keeps them for longer words.',
      holds: (rows) =>
        accuraciesWithin(rows, { models: ['linearTransformer'], languages: COUNTING }, { least: LEARNED }),
    },
    {
      text: 'The DeltaNet learns them for words as long as those of training.',
      holds: (rows) =>
        accuraciesWithin(
          rows,
          { models: ['deltaNet'], languages: COUNTING },
          { field: 'accuracy50', least: LEARNED_SHORT },
        ),
    },
    {
      text: 'Neither learns parity, (aa)* or (abab)*, where a state must go round.',
      holds: (rows) =>
        accuraciesWithin(rows, { models: ['linearTransformer', 'deltaNet'], languages: CIRCLING }, { most: FAILED }),
    },
    {
      text: 'The Recurrent Delta Net and the SRWM learn these three, and keep them for longer words.',
      holds: (rows) =>
        accuraciesWithin(rows, { models: ['recurrentDeltaNet', 'srwm'], languages: CIRCLING }, { least: LEARNED }),
    },
    {
      text: 'The delta rule learns to forget: reset Dyck-1, for words as long as those of training.',
      holds: (rows) =>
        accuraciesWithin(
          rows,
          { models: ['deltaNet'], languages: FORGETTING },
          { field: 'accuracy50', least: LEARNED_SHORT },
        ),
    },
    {
      // With two layers it can count in the second what the first has marked as behind the last reset.
      text: 'A single sum rule does not: a Linear Transformer of one layer.',
      holds: (rows) =>
        accuraciesWithin(
          rows.filter(({ layers }) => layers === 1),
          { models: ['linearTransformer'], languages: FORGETTING },
          { field: 'accuracy50', most: FORGETS },
        ),
    },
    {
      text: 'So do the Recurrent Delta Net and the SRWM.',
      holds: (rows) =>
        accuraciesWithin(
          rows,
          { models: ['recurrentDeltaNet', 'srwm'], languages: FORGETTING },
          { field: 'accuracy50', least: LEARNED_SHORT },
        ),
    },
    {
      text: 'The Transformer learns neither parity nor (aa)* nor (abab)*; the LSTM learns all three.',
      holds: (rows) =>
        together(
          accuraciesWithin(rows, { models: ['transformer'], languages: CIRCLING }, { most: FAILED }),
          accuraciesWithin(rows, { models: ['lstm'], languages: CIRCLING }, { least: LEARNED }),
        ),
    },
  ],
  report,
});
