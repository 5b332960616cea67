/**
 * Nested arithmetic (section 4.2): the value, modulo 10, of an expression with all its brackets. Training has shallow
 * expressions, the test deeper ones.
 */

import { depthBalanced, nestedArithmetic, shuffledBatches } from '@fwp/datasets';
import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { classificationSettings, settingsOf } from './classification-training.ts';
import { claimsOnNesting, learningCurves, trainOnDepths } from './deeper-sentences.ts';
import { paper } from './paper.ts';

export const arithmetic = defineExperiment({
  id: 'ndr/arithmetic',
  title: 'Deeper expressions of digits, + and *',
  description:
    'Trains on expressions that are nested a few levels deep, and tests on deeper ones. The Neural Data Router computes inner ' +
    'expressions first: a bracket waits until the values of its operands are there.',
  paper,
  config: z.object({
    ...classificationSettings,
    maxDepth: z.int().min(3).default(3).describe('deepest training expression; a digit has depth 1'),
    validationDepths: z
      .tuple([z.int().min(4), z.int()])
      .default([4, 4])
      .describe('depths of the deeper validation set, least and most'),
    testDepths: z.tuple([z.int(), z.int()]).default([5, 6]).describe('depths of test expressions, least and most'),
    maxLength: z.int().min(9).default(21).describe('most tokens of an expression'),
    modulus: z.int().min(2).max(10).default(10).describe('number of digits; values are modulo it'),
    trainExamples: z.int().min(1).default(10_000).describe('training expressions, besides those of two digits'),
    evaluationExamples: z.int().min(1).default(500).describe('expressions of each other set'),
    balanced: z
      .boolean()
      .default(false)
      .describe('whether training draws all depths equally often, not all expressions'),
  }),
  presets: {
    quick: {
      summary:
        'digits 0 to 3, depth up to 4 → 6, 64 units, 10 layers; against relative positions; not yet near-perfect',
      config: {
        modulus: 4,
        maxDepth: 4,
        validationDepths: [5, 5],
        testDepths: [6, 6],
        maxLength: 25,
        trainExamples: 4000,
        balanced: true,
        heads: 4,
        layers: 10,
        steps: 3000,
        baselines: { layers: 8 },
      },
    },
    standard: {
      summary: 'depth up to 4 → 6 and 7, 64 units, 10 layers; against universal Transformers',
      config: {
        models: ['neuralDataRouter', 'universal', 'relativeUniversal'],
        maxDepth: 4,
        validationDepths: [5, 5],
        testDepths: [6, 7],
        maxLength: 29,
        trainExamples: 50_000,
        evaluationExamples: 1000,
        layers: 10,
        learningRate: 1e-3,
        warmupSteps: 300,
        steps: 12_000,
        evaluateEvery: 1000,
        baselines: { heads: 4, steps: 4000 },
      },
    },
    paper: {
      summary: "the paper's configuration: depth up to 6 → 8 and 9, 256 units, 15 layers, 100,000 steps",
      config: {
        models: ['neuralDataRouter', 'gatedPositions', 'relativeUniversal', 'universal'],
        maxDepth: 6,
        validationDepths: [7, 7],
        testDepths: [8, 9],
        maxLength: 50,
        trainExamples: 100_000,
        evaluationExamples: 1000,
        size: 256,
        hiddenSize: 1024,
        heads: 4,
        layers: 15,
        dropout: 0.5,
        batchSize: 512,
        learningRate: 1.5e-4,
        warmupSteps: 0,
        steps: 100_000,
        evaluateEvery: 1000,
        baselines: {
          size: 128,
          hiddenSize: 256,
          layers: 11,
          attentionDropout: 0.1,
          weightDecay: 0.0025,
          steps: 200_000,
        },
      },
      seeds: [1, 2, 3, 4, 5],
    },
  },
  trials: ({ models }) => models.map((model) => ({ model })),
  run: async (context) => {
    const { config, seed } = context;
    const { maxDepth, validationDepths, testDepths, maxLength, modulus, trainExamples, evaluationExamples } = config;
    const task = nestedArithmetic({
      maxDepth,
      deeperValidationDepths: validationDepths,
      deeperDepths: testDepths,
      maxLength,
      modulus,
      trainExamples,
      evaluationExamples,
      seed,
    });
    const { train } = task.sets;
    const { batchSize, balanced } = settingsOf(context.key.model, config);
    const training = balanced
      ? depthBalanced(train, { seed })
      : shuffledBatches(train, { batchSize, sortedBatches: 16, seed });
    const batch = (step: number) => training.batch(step, batchSize);
    return trainOnDepths(context, { ...task, ...task.sets, readOut: 'last', batch });
  },
  claims: claimsOnNesting('expressions'),
  report: { metric: 'deeper', rows: 'model', charts: learningCurves() },
});
