/** Parity: whether the number of ones so far is even. One bit of state, but one that must flip. */

import { defineExperiment } from '@fwp/lab';
import { accuraciesWithin } from './claims.ts';
import { paper } from './paper.ts';
import { report } from './report.ts';
import { settings, train, trials } from './training.ts';

const PARITY = ['parity'] as const;

export const parity = defineExperiment({
  id: 'formal-languages/parity',
  title: 'Parity, for words longer than those of the training',
  description:
    'Trains on words of at most 50 bits and tests on longer ones. The transition of linear attention adds, that of the ' +
    'DeltaNet forgets; neither can flip a state, and they learn nothing that holds for other lengths. Recurrence, ' +
    'self-reference, or a delta rule that may overshoot (β up to 2) can.',
  paper,
  config: settings,
  presets: {
    quick: {
      summary: 'five models of one layer of size 32; words of up to 200 bits',
      measuredSeconds: { wasm: 32 },
      config: {
        models: ['linearTransformer', 'deltaNet', 'deltaNetBeta2', 'recurrentDeltaNet', 'srwm'],
        steps: 500,
        evaluateEvery: 25,
        validationWords: 200,
        testWords: 200,
      },
    },
    standard: {
      summary: 'all nine models of one layer of size 32; words of up to 400 bits; three seeds',
      seeds: [1, 2, 3],
      config: { steps: 1000, bins: 4, validationWords: 200, testWords: 500 },
    },
    paper: {
      summary: "the paper's training set and number of epochs, two layers of size 64",
      config: { layers: 2, size: 64, steps: 47_000, bins: 4, validationWords: 500, testWords: 2000 },
    },
  },
  trials,
  run: train,
  published: [],
  claims: [
    {
      text: 'The Recurrent Delta Net and the SRWM have parity: all words of 51 to 100 bits are right.',
      holds: (rows) =>
        accuraciesWithin(rows, { models: ['recurrentDeltaNet', 'srwm'], languages: PARITY }, { least: 1 }),
    },
    {
      text: 'The Linear Transformer and the DeltaNet (β in (0, 1)) have not: less than one word in twenty is right.',
      holds: (rows) =>
        accuraciesWithin(rows, { models: ['linearTransformer', 'deltaNet'], languages: PARITY }, { most: 0.05 }),
    },
    {
      text: 'β in (0, 2) gives parity to the DeltaNet: all words of 51 to 100 bits are right.',
      holds: (rows) => accuraciesWithin(rows, { models: ['deltaNetBeta2'], languages: PARITY }, { least: 1 }),
    },
    {
      text: 'The LSTM has parity as well: at least 95 of 100 words of 51 to 100 bits are right.',
      holds: (rows) => accuraciesWithin(rows, { models: ['lstm'], languages: PARITY }, { least: 0.95 }),
    },
    {
      text: 'The Transformer has not: less than one word in twenty is right.',
      holds: (rows) => accuraciesWithin(rows, { models: ['transformer'], languages: PARITY }, { most: 0.05 }),
    },
  ],
  report,
});
