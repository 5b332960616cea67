/**
 * ListOps, balanced by dependency depth (section 4.3): the value of nested lists with minimum, maximum, median and sum. The
 * depth counts only elements that the value depends on.
 */

import { dependencyBalancedListOps, LIST_OPERATORS, shuffledBatches } from '@fwp/datasets';
import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { classificationSettings, settingsOf } from './classification-training.ts';
import { claimsOnNesting, learningCurves, trainOnDepths } from './deeper-sentences.ts';
import { paper } from './paper.ts';

export const listOps = defineExperiment({
  id: 'ndr/list-ops',
  title: 'Lists whose values depend on deeper ones',
  description:
    'Trains on nested lists whose values depend on few levels, and tests on more of them. Most of a deep list doesn’t matter ' +
    'for its value, so that depth is counted along what does.',
  paper,
  config: z.object({
    ...classificationSettings,
    depths: z.tuple([z.int(), z.int()]).default([2, 3]).describe('dependency depths of training, least and most'),
    validationDepths: z
      .tuple([z.int().min(3), z.int()])
      .default([4, 4])
      .describe('dependency depths of the deeper validation set, least and most'),
    testDepths: z.tuple([z.int(), z.int()]).default([5, 5]).describe('dependency depths of test lists'),
    maxElements: z.int().min(2).default(3).describe('most elements of a list'),
    maxSize: z.int().min(5).default(20).describe('largest size of an example: a digit counts 1, a list 3 more'),
    operators: z
      .array(z.enum(LIST_OPERATORS))
      .min(1)
      .default([...LIST_OPERATORS])
      .describe('minimum, maximum, median, sum'),
    modulus: z.int().min(2).max(10).default(10).describe('number of digits; sums are modulo it'),
    trainExamples: z.int().min(1).default(10_000),
    evaluationExamples: z.int().min(1).default(500).describe('lists of each other set'),
  }),
  presets: {
    quick: {
      summary:
        'MIN, MAX and sums of two digits 0 to 3, dependency depth 2 and 3 → 5, 64 units, 8 layers; against relative positions; too short for deeper ones',
      config: {
        operators: ['MIN', 'MAX', 'SM'],
        modulus: 4,
        maxElements: 2,
        trainExamples: 8000,
        heads: 4,
        steps: 3000,
      },
    },
    standard: {
      summary: 'up to 4 elements, dependency depth 2 to 4 → 6, 64 units, 10 layers; against universal Transformers',
      config: {
        models: ['neuralDataRouter', 'universal', 'relativeUniversal'],
        depths: [2, 4],
        validationDepths: [5, 5],
        testDepths: [6, 6],
        maxElements: 4,
        maxSize: 30,
        trainExamples: 50_000,
        evaluationExamples: 1000,
        layers: 10,
        heads: 4,
        learningRate: 1e-3,
        warmupSteps: 300,
        steps: 12_000,
        evaluateEvery: 1000,
        baselines: { steps: 4000 },
      },
    },
    paper: {
      summary: "the paper's configuration: dependency depth 2 to 6 → 8 and 9, 512 units, 20 layers, 100,000 steps",
      config: {
        models: ['neuralDataRouter', 'gatedPositions', 'relativeUniversal', 'universal'],
        depths: [2, 6],
        validationDepths: [7, 7],
        testDepths: [8, 9],
        maxElements: 5,
        maxSize: 50,
        trainExamples: 1_000_000,
        evaluationExamples: 1000,
        size: 512,
        hiddenSize: 1024,
        heads: 16,
        layers: 20,
        evaluationLayers: 24,
        gateDropout: 0.05,
        batchSize: 512,
        learningRate: 2e-4,
        warmupSteps: 0,
        weightDecay: 0.09,
        steps: 100_000,
        evaluateEvery: 1000,
        baselines: {
          size: 256,
          layers: 6,
          dropout: 0.015,
          attentionDropout: 0.05,
          learningRate: 4e-4,
          weightDecay: 0.05,
          steps: 200_000,
        },
      },
      seeds: [1, 2, 3, 4, 5],
    },
  },
  trials: ({ models }) => models.map((model) => ({ model })),
  run: async (context) => {
    const { config, seed } = context;
    const {
      depths,
      validationDepths,
      testDepths,
      maxElements,
      maxSize,
      operators,
      modulus,
      trainExamples,
      evaluationExamples,
    } = config;
    const task = dependencyBalancedListOps({
      depths,
      deeperValidationDepths: validationDepths,
      deeperDepths: testDepths,
      maxElements,
      maxSize,
      operators,
      modulus,
      trainExamples,
      evaluationExamples,
      seed,
    });
    const { batchSize } = settingsOf(context.key.model, config);
    const training = shuffledBatches(task.sets.train, { batchSize, sortedBatches: 16, seed });
    return trainOnDepths(context, { ...task, ...task.sets, readOut: 'first', batch: (step) => training.batch(step) });
  },
  claims: claimsOnNesting('lists'),
  report: { metric: 'deeper', rows: 'model', charts: learningCurves() },
});
