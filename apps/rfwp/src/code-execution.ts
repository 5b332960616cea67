/** Code execution: programs that assign, count up and down, branch and print; what is printed is to be predicted. */

import { codeExecution as programs } from '@fwp/datasets';
import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { bestReaches, exceeds, percent } from './claims.ts';
import { paper } from './paper.ts';
import { publishedCodeExecution } from './published.ts';
import { DELTA_MODELS, type ModelName, PAPER_SETTINGS, train, trainingSettings } from './training.ts';

/** What is not printed. */
const BLANK = 0;
/**
 * By what fraction of printed values a delta model must exceed the sum rule, which overwrites nothing: two standard errors of a
 * difference between fractions of some 600 values.
 */
const CLEARLY = 0.05;

export const codeExecution = defineExperiment({
  id: 'rfwp/code-execution',
  title: 'Execution of programs that print',
  description:
    'Reads programs token by token and predicts what each print statement prints. Variables change all the time, so that a ' +
    'memory must replace what it holds; the sum rule cannot.',
  paper,
  config: z.object({
    variables: z.array(z.int().min(1).max(5)).min(1).default([3]).describe('numbers of variables'),
    statements: z.int().min(3).default(10).describe('statements of a program'),
    ...trainingSettings,
  }),
  presets: {
    quick: {
      summary: '3 variables, 6 statements, two layers of size 64; four models',
      config: {
        models: ['linearTransformer', 'deltaNet', 'deltaRnn', 'recurrentDeltaNet'],
        statements: 6,
        trainSequences: 5000,
        batchSize: 32,
        steps: 700,
        learningRate: 3e-3,
        schedule: 'cosine',
      },
    },
    standard: {
      summary: '3 variables, 10 statements, two layers of size 64; five models',
      config: {
        lstmSize: 128,
        trainSequences: 10_000,
        batchSize: 32,
        steps: 2500,
        learningRate: 3e-3,
        schedule: 'cosine',
        evaluateEvery: 250,
      },
    },
    paper: {
      summary: '3 and 5 variables, 100 statements, four layers of size 256, 200 epochs',
      config: {
        variables: [3, 5],
        statements: 100,
        ...PAPER_SETTINGS,
      },
    },
  },
  trials: ({ models, variables }) =>
    variables.flatMap((count) => models.map((model) => ({ model: model as ModelName, variables: count }))),
  run: (context) => {
    const { statements } = context.config;
    const task = programs({ variables: context.key.variables, statements, seed: context.seed });
    return train(context, task, context.key.model, BLANK);
  },
  published: publishedCodeExecution,
  claims: [
    {
      text: 'The Linear Transformer has less than half as many programs right as the best model with a delta rule.',
      holds: (rows) =>
        perCount(rows, (of) => {
          const linear = of.find(({ model }) => model === 'linearTransformer')?.sequenceAccuracy;
          const ours = of.filter(({ model }) => (DELTA_MODELS as readonly ModelName[]).includes(model));
          if (linear === undefined || ours.length === 0) return undefined;
          const best = Math.max(...ours.map(({ sequenceAccuracy }) => sequenceAccuracy));
          return { pass: linear < best / 2, observed: `${percent(linear)}, the best ${percent(best)}` };
        }),
    },
    {
      text: 'Every model with a delta rule has more programs right.',
      holds: (rows) =>
        perCount(rows, (of) =>
          exceeds(of, DELTA_MODELS, 'linearTransformer', { field: 'sequenceAccuracy', margin: 0 }),
        ),
    },
    {
      text: 'And clearly more printed values: at least 5 of 100.',
      holds: (rows) =>
        perCount(rows, (of) =>
          exceeds(of, DELTA_MODELS, 'linearTransformer', { field: 'labelAccuracy', margin: CLEARLY }),
        ),
    },
    {
      text: 'Recurrence helps: Delta RNN or Recurrent Delta Net has at least as many programs right as the DeltaNet.',
      holds: (rows) =>
        perCount(rows, (of) => bestReaches(of, ['deltaRnn', 'recurrentDeltaNet'], 'deltaNet', 'sequenceAccuracy')),
    },
  ],
  report: {
    metric: 'sequenceAccuracy',
    rows: 'model',
    columns: 'variables',
    charts: [
      {
        title: 'Printed values of the validation programs that are right, during training',
        from: 'metrics',
        x: 'step',
        y: 'labelAccuracy',
        series: 'model',
        facet: 'variables',
      },
    ],
  },
});

type CodeExecutionRow = Parameters<typeof exceeds>[0][number] & { readonly variables: number };

/** A verdict on each number of variables. */
function perCount(
  rows: readonly CodeExecutionRow[],
  decide: (rows: readonly CodeExecutionRow[]) => ReturnType<typeof exceeds>,
): ReturnType<typeof exceeds> {
  const verdicts = [...new Set(rows.map(({ variables }) => variables))].flatMap((count) => {
    const verdict = decide(rows.filter(({ variables }) => variables === count));
    return verdict === undefined ? [] : [verdict];
  });
  if (verdicts.length === 0) return undefined;
  return { pass: verdicts.every(({ pass }) => pass), observed: verdicts.map(({ observed }) => observed).join('; ') };
}
