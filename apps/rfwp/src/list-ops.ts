/** Sequential ListOps: the value of nested lists under MIN, MAX and FIRST, read token by token. */

import { listOps as lists } from '@fwp/datasets';
import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { type AccuracyRow, percent } from './claims.ts';
import { paper } from './paper.ts';
import { publishedListOps } from './published.ts';
import { DELTA_MODELS, type ModelName, PAPER_SETTINGS, train, trainingSettings } from './training.ts';

/** What always saying the most frequent value, 9, gets right at depth 10 (measured on the paper's lists); less at others. */
const MAJORITY = 0.21;

export const listOps = defineExperiment({
  id: 'rfwp/list-ops',
  title: 'Sequential ListOps',
  description:
    'Reads a nested list of operators and digits token by token and predicts its value at the last one. What is open must be ' +
    'remembered level by level.',
  paper,
  config: z.object({
    depth: z.array(z.int().min(1).max(20)).min(1).default([3]).describe('how deep lists are nested'),
    ...trainingSettings,
  }),
  presets: {
    quick: {
      summary: 'depth 3, two layers of size 64',
      config: {
        models: ['lstm', 'deltaNet', 'deltaRnn', 'recurrentDeltaNet'],
        trainSequences: 10_000,
        batchSize: 32,
        steps: 600,
        learningRate: 3e-3,
        schedule: 'cosine',
      },
    },
    standard: {
      summary: 'depth 6, two layers of size 128',
      config: { depth: [6], size: 128, lstmSize: 256, heads: 16, trainSequences: 10_000, steps: 1500 },
    },
    paper: {
      summary: 'depth 10 and 15, four layers of size 256, 200 epochs',
      config: {
        depth: [10, 15],
        ...PAPER_SETTINGS,
      },
    },
  },
  trials: ({ models, depth }) =>
    depth.flatMap((levels) => models.map((model) => ({ model: model as ModelName, depth: levels }))),
  run: (context) => {
    const task = lists({ depth: context.key.depth, seed: context.seed });
    return train(context, task, context.key.model, undefined);
  },
  published: publishedListOps,
  claims: [
    {
      text: 'Models with a delta rule find far more values than the most frequent one would give: at least 40 of 100.',
      holds: (rows) => {
        const ours = rows.filter(({ model }) => (DELTA_MODELS as readonly ModelName[]).includes(model));
        if (ours.length === 0) return undefined;
        return {
          pass: ours.every(({ sequenceAccuracy }) => sequenceAccuracy >= 2 * MAJORITY - 0.02),
          observed: ours.map(({ model, sequenceAccuracy }) => `${model} ${percent(sequenceAccuracy)}`).join(', '),
        };
      },
    },
    {
      text: 'At depth 15 the LSTM is left behind by them.',
      holds: (rows) => {
        const deep: AccuracyRow[] = rows.filter(({ depth }) => depth === 15);
        const lstm = deep.find(({ model }) => model === 'lstm')?.sequenceAccuracy;
        const ours = deep.filter(({ model }) => (DELTA_MODELS as readonly ModelName[]).includes(model));
        if (lstm === undefined || ours.length === 0) return undefined;
        return {
          pass: ours.every(({ sequenceAccuracy }) => sequenceAccuracy > lstm),
          observed: `${ours.map((row) => `${row.model} ${percent(row.sequenceAccuracy)}`).join(', ')}; lstm ${percent(lstm)}`,
        };
      },
    },
  ],
  report: {
    metric: 'sequenceAccuracy',
    rows: 'model',
    columns: 'depth',
    charts: [
      {
        title: 'Validation lists whose value is right, during training',
        from: 'metrics',
        x: 'step',
        y: 'sequenceAccuracy',
        series: 'model',
        facet: 'depth',
      },
    ],
  },
});
