/**
 * VQ-VAEs on small pictures (section 4 of the paper): EMA-VQ against self-organising maps with hard and gaussian
 * neighbourhoods, with counts that begin at 0 or 1.
 */

import { defineExperiment } from '@fwp/lab';
import { z } from 'zod';
import { allOf, bringsCodesBackLate, compareIn, digits } from './claims.ts';
import { paper } from './paper.ts';
import { quantizerKeys } from './quantizers.ts';
import { trainVqVae, vqVaeSettings } from './vqvae-training.ts';

/** A smaller network, which shows the same. */
const SMALL = {
  ...{ hiddenSize: 32, residualSize: 16, codeSize: 32, codes: [256], batchSize: 32 },
  ...{ evaluateEvery: 100, validationImages: 500, earlyStep: 300 },
};

/**
 * Steps from which a run says how training ends: unused codes of EMA-VQ come back after some 690 steps, and the random codes
 * of the beginning have a weight of 0.99^t in the averages.
 */
const LONG = 1000;
/** After 3000 steps of the standard preset EMA-VQ uses half of its codes only, and its error is still falling. */
const CAUGHT_UP = 10_000;

export const vqvae = defineExperiment({
  id: 'ksom/vqvae',
  title: "VQ-VAEs with Kohonen's maps",
  description:
    'Trains VQ-VAEs on pictures of 32 × 32 pixels, whose codes follow EMA-VQ or a self-organising map, with counts that begin ' +
    'at 0 or 1: error, speed, codes in use, and whether neighbouring codes mean similar things.',
  paper,
  config: z.object(vqVaeSettings),
  presets: {
    quick: {
      summary: 'EMA-VQ and the hard neighbourhood on made-up pictures, a very small network, 300 steps',
      measuredSeconds: { wasm: 21 },
      config: {
        ...SMALL,
        ...{ neighborhoods: ['none', 'hard'], hiddenSize: 16, residualSize: 8, batchSize: 16, steps: 300 },
        ...{ evaluateEvery: 50, validationImages: 200, earlyStep: 200 },
      },
    },
    standard: {
      summary: 'all neighbourhoods and initial counts on made-up pictures, a small network, 3000 steps',
      config: { ...SMALL, steps: 3000 },
    },
    paper: {
      summary: 'CIFAR-10, the network of the paper, 30,000 steps',
      config: { data: 'cifar10' },
      seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    },
  },
  trials: (settings) => quantizerKeys(settings),
  run: trainVqVae,
  claims: [
    {
      // What the abstract says: much more robust, for example to initialisation.
      text: 'Maps are robust against counts that begin at 0: early on they use more than twice as many codes as EMA-VQ, and err less.',
      holds: (rows) =>
        compareIn(rows, ['none c0=0', 'hard c0=0'], ([plain, hard]) => {
          if (!bringsCodesBackLate(plain)) return undefined;
          return {
            pass: hard.earlyCodes >= 2 * plain.earlyCodes && hard.earlyLoss < plain.earlyLoss,
            observed: `${hard.earlyCodes} against ${plain.earlyCodes} codes, error ${digits(hard.earlyLoss)} against ${digits(plain.earlyLoss)}`,
          };
        }),
    },
    {
      text: 'At the beginning maps learn faster than EMA-VQ, also with counts that begin at 1.',
      holds: (rows) =>
        compareIn(rows, ['none c0=1', 'hard c0=1'], ([plain, hard]) => {
          return {
            pass: hard.earlyLoss < plain.earlyLoss,
            observed: `error ${digits(hard.earlyLoss)} against ${digits(plain.earlyLoss)}`,
          };
        }),
    },
    {
      // Runs of one seed scatter by some percent.
      text: 'In the end EMA-VQ with counts that begin at 1 has caught up: it and the map err alike (within 10 %).',
      holds: (rows) =>
        compareIn(
          rows.filter(({ steps }) => steps >= CAUGHT_UP),
          ['none c0=1', 'hard c0=1'],
          ([plain, hard]) => {
            const ratio = hard.loss / plain.loss;
            return { pass: Math.abs(ratio - 1) <= 0.1, observed: `${digits(hard.loss)} against ${digits(plain.loss)}` };
          },
        ),
    },
    {
      // Codes in random order have a ratio of 1. Where unused codes shrink to nothing, those of EMA-VQ may be nearer to each other.
      text: 'Codes of maps are ordered on their grid (neighbour ratio at most 0.6), those of EMA-VQ are not (at least 0.8).',
      holds: (rows) =>
        allOf(
          rows
            .filter(({ steps }) => steps >= LONG)
            .map(({ quantizer, neighborRatio }) => ({
              pass: quantizer.startsWith('none') ? neighborRatio >= 0.8 : neighborRatio <= 0.6,
              observed: `${quantizer}: ${digits(neighborRatio)}`,
            })),
        ),
    },
    {
      // A change of 1 is what random indices do.
      text: 'With every index moved to a neighbour, reconstructions of maps change at most half as much as those of EMA-VQ.',
      holds: (rows) =>
        compareIn(rows, ['none c0=1', 'hard c0=1'], ([plain, hard]) => {
          return {
            pass: hard.perturbedChange <= 0.5 * plain.perturbedChange,
            observed: `${digits(hard.perturbedChange)} against ${digits(plain.perturbedChange)} of what random indices do`,
          };
        }),
    },
  ],
  report: {
    metric: 'loss',
    rows: 'quantizer',
    columns: 'codes',
    charts: [
      {
        ...{ title: 'Validation error', from: 'metrics', x: 'step', y: 'validationLoss', series: 'quantizer' },
        ...{ facet: 'codes', yScale: 'log' },
      },
      { title: 'Codes in use', from: 'metrics', x: 'step', y: 'codesUsed', series: 'quantizer', facet: 'codes' },
      {
        title: 'Perplexity of batches',
        from: 'metrics',
        x: 'step',
        y: 'perplexity',
        series: 'quantizer',
        facet: 'codes',
      },
    ],
  },
});
