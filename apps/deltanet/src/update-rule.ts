/**
 * Setting 2 (section 6.1): can a memory replace what it holds? Keys are drawn with replacement in sequences of length 2N, so
 * that most of them are given several values, and the last one is asked for. Adding up mixes the values; the delta rule
 * first takes out what the key held.
 */

import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { paper } from './paper.ts';
import { publishedUpdateRule } from './published.ts';
import { FAILED, lossesAsPublished, lossesWithin, SOLVED } from './retrieval-claims.ts';
import { retrievalReport } from './retrieval-report.ts';
import { numbers, retrievalSettings, retrievalTrials, trainRetrieval } from './retrieval-training.ts';

export const updateRule = defineExperiment({
  id: 'deltanet/update-rule',
  title: 'Sum rule against delta rule',
  description:
    'Stores pairs of a key and a value where keys come back with new values, and asks for the latest one. The sum rule ' +
    'keeps a mixture of all values of a key; the delta rule replaces the old value by the new one.',
  paper,
  config: z.object(retrievalSettings),
  presets: {
    quick: {
      summary: 'DPFP-1 with sum and delta rule, 20 and 40 keys, at most 1500 steps',
      measuredSeconds: { wasm: 20 },
      config: { models: ['dpfp-1 sum', 'dpfp-1 delta'], keys: [20, 40], maxSteps: 1500 },
    },
    standard: {
      summary: 'DPFP-1 sum and delta, linear delta and DPFP-2 delta, 20 to 180 keys, until nothing improves',
      config: { models: ['dpfp-1 sum', 'dpfp-1 delta', 'linear delta', 'dpfp-2 delta'], keys: numbers(20, 180, 40) },
    },
    paper: {
      summary: 'all features and rules, 20 to 200 keys',
      config: {
        models: [
          'dpfp-1 sum',
          'dpfp-1 delta',
          'dpfp-1 fwm',
          'dpfp-2 delta',
          'linear delta',
          'tanh fwm',
          'favor-64 delta',
          'favor-128 delta',
        ],
        keys: numbers(20, 200, 20),
      },
    },
  },
  trials: retrievalTrials,
  run: (context) => trainRetrieval(context, true),
  published: publishedUpdateRule,
  claims: [
    {
      text: 'The sum rule recalls a mixture: its loss stays near 0.1 with 20 and 40 keys.',
      holds: (rows) => lossesWithin(rows, 'dpfp-1 sum', { most: 40 }, { least: 0.06, most: 0.15 }),
    },
    {
      text: 'The delta rule recalls the latest value of 20 and of 40 keys.',
      holds: (rows) => lossesWithin(rows, 'dpfp-1 delta', { most: 40 }, { most: SOLVED }),
    },
    {
      text: 'With more features (DPFP-2) the delta rule recalls the latest value of up to 180 keys.',
      holds: (rows) => lossesWithin(rows, 'dpfp-2 delta', {}, { most: SOLVED }),
    },
    {
      text: 'The delta rule with 64 features fails with 100 keys and more.',
      holds: (rows) => lossesWithin(rows, 'linear delta', { least: 100 }, { least: FAILED }),
    },
    {
      text: 'Where the task is not solved, the losses are the authors’ (± 0.03).',
      holds: (rows) => lossesAsPublished(rows, publishedUpdateRule, 0.03),
    },
  ],
  report: retrievalReport,
});
