/** The two-stage variant: how many functions and symbols must two groups share to be understood by one another's successors? */

import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { paper } from './paper.ts';
import { MODELS, PAPER_SETTINGS, patternSettings, trainOnPattern } from './pattern-experiment.ts';

export const overlap = defineExperiment({
  id: 'ctlpp/overlap',
  title: 'How much two groups of functions must share',
  description:
    'Some functions may follow both halves of the data, with some symbols after both. The more of this overlap, the more ' +
    'reason there is to represent symbols alike after both halves, and the better is the accuracy across them.',
  paper,
  config: z.object({
    ...patternSettings,
    sharedFunctions: z.array(z.int().min(1)).min(1).default([2, 8]).describe('functions that both halves share'),
    sharedSymbols: z
      .array(z.int().min(1))
      .min(1)
      .default([2, 6])
      .describe('symbols that each is shown with after both'),
  }),
  presets: {
    quick: {
      summary: '4 symbols, 16 functions: 4 shared with 1 symbol up to 8 shared with 3; a bidirectional LSTM',
      config: {
        models: ['bidirectionalLstm'],
        symbols: 4,
        trainExamples: 1400,
        evaluationExamples: 200,
        sharedFunctions: [4, 8],
        sharedSymbols: [1, 3],
        learningRate: 4e-3,
      },
    },
    standard: {
      summary: '16 functions, depth 2 and 4; a corner of the grid for each model',
      config: {
        models: [...MODELS],
        heads: 4,
        layers: 6,
        batchSize: 128,
        learningRate: 1e-3,
        warmupSteps: 500,
        steps: 3000,
      },
    },
    paper: {
      summary: "the paper's grid: 4 to 16 functions by 2 to 6 symbols, 5 seeds",
      config: {
        ...PAPER_SETTINGS,
        lstm: { ...PAPER_SETTINGS.lstm, batchSize: 128, learningRate: 1e-3 },
        sharedFunctions: [4, 8, 12, 16],
        sharedSymbols: [2, 3, 4, 5, 6],
      },
      seeds: [1, 2, 3, 4, 5],
    },
  },
  trials: ({ models, sharedFunctions, sharedSymbols }) =>
    models.flatMap((model) =>
      sharedFunctions.flatMap((functions) => sharedSymbols.map((symbols) => ({ model, functions, symbols }))),
    ),
  run: (context) => {
    const { functions, symbols } = context.key;
    return trainOnPattern(context, { variant: 'two-stage', overlap: { functions, symbols } });
  },
  claims: [
    {
      text: 'With the most overlap the accuracy across groups is higher than with the least.',
      holds: (rows) => {
        const area = ({ functions, symbols }: (typeof rows)[number]) => functions * symbols;
        const sorted = [...rows].sort((a, b) => area(a) - area(b));
        const [least, most] = [sorted[0], sorted.at(-1)];
        if (least === undefined || most === undefined || area(least) === area(most)) return undefined;
        const mean = (size: number) => {
          const chosen = rows.filter((row) => area(row) === size);
          return chosen.reduce((sum, row) => sum + row.outOfDistribution, 0) / chosen.length;
        };
        const [low, high] = [mean(area(least)), mean(area(most))];
        return { pass: high >= low + 0.1, observed: `${high.toFixed(2)} against ${low.toFixed(2)}` };
      },
    },
  ],
  report: { metric: 'outOfDistribution', rows: 'functions', columns: 'symbols' },
});
