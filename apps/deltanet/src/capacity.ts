/**
 * Setting 1 (section 6.1): how many pairs can a memory hold? N keys, each once, in a sequence of length N. A matrix that
 * is written with features of size p has room for p orthogonal keys; beyond that the pairs disturb each other.
 */

import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { paper } from './paper.ts';
import { publishedCapacity } from './published.ts';
import { FAILED, lossesAsPublished, lossesWithin, SOLVED, thresholdsAsPublished } from './retrieval-claims.ts';
import { retrievalReport } from './retrieval-report.ts';
import { numbers, retrievalSettings, retrievalTrials, trainRetrieval } from './retrieval-training.ts';

export const capacity = defineExperiment({
  id: 'deltanet/capacity',
  title: 'Capacity of linear attention',
  description:
    'Stores N pairs of a key and a value and asks for one value. Softmax attention recalls any number; linear attention ' +
    'fails once there are more keys than its features have dimensions, and DPFP, which has more of them, fails later.',
  paper,
  config: z.object(retrievalSettings),
  presets: {
    quick: {
      summary: 'softmax, linear and DPFP-1 with 20 to 160 keys, at most 1500 steps',
      measuredSeconds: { wasm: 38 },
      config: { models: ['softmax', 'linear', 'dpfp-1'], keys: [20, 60, 100, 160], maxSteps: 1500 },
    },
    standard: {
      summary: 'softmax, linear, DPFP-1 and DPFP-2 with 20 to 300 keys, until nothing improves',
      config: { models: ['softmax', 'linear', 'dpfp-1', 'dpfp-2'], keys: numbers(20, 300, 20) },
    },
    paper: {
      summary: 'all eight memories with 20 to 600 keys',
      config: {
        models: ['softmax', 'linear', 'dpfp-1', 'dpfp-2', 'dpfp-3', 'favor-64', 'favor-128', 'favor-512'],
        keys: numbers(20, 600, 20),
      },
    },
  },
  trials: retrievalTrials,
  run: (context) => trainRetrieval(context, false),
  published: publishedCapacity,
  claims: [
    {
      text: 'Softmax attention recalls every value with up to 160 keys.',
      holds: (rows) => lossesWithin(rows, 'softmax', { most: 160 }, { most: SOLVED }),
    },
    {
      text: 'The Linear Transformer (64 features) fails with 60 keys and more.',
      holds: (rows) => lossesWithin(rows, 'linear', { least: 60 }, { least: FAILED }),
    },
    {
      text: 'DPFP-1 (128 features) recalls every value with 60 keys, where the Linear Transformer fails.',
      holds: (rows) => lossesWithin(rows, 'dpfp-1', { most: 60 }, { most: SOLVED }),
    },
    {
      text: 'DPFP-1 loses at most one value in 25 with 100 keys, where the Linear Transformer loses one in three.',
      holds: (rows) => lossesWithin(rows, 'dpfp-1', { most: 100 }, { most: FAILED }),
    },
    {
      text: 'DPFP-1 fails with 160 keys and more, beyond its 128 features.',
      holds: (rows) => lossesWithin(rows, 'dpfp-1', { least: 160 }, { least: FAILED }),
    },
    {
      text: 'DPFP-2 (256 features) loses at most one value in 25 with up to 200 keys.',
      holds: (rows) => lossesWithin(rows, 'dpfp-2', { most: 200 }, { most: FAILED }),
    },
    {
      text: 'Every memory fails at the number of keys where the authors’ does, or one step of the grid before or after.',
      holds: (rows) => thresholdsAsPublished(rows, publishedCapacity),
    },
    {
      text: 'Beyond that the losses are the authors’ (± 0.03).',
      holds: (rows) => lossesAsPublished(rows, publishedCapacity, 0.03),
    },
  ],
  report: retrievalReport,
});
