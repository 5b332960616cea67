/**
 * Quantisation of vectors, without a network around it: what neighbourhoods and initial counts do to a codebook can be seen
 * in seconds. An own, small version of the comparisons in section 4 of the paper.
 */

import { Adam } from '@fwp/core';
import { type KohonenQuantizer, neighborRatio } from '@fwp/ksom-vq';
import { defineExperiment, readScalar, readValues, type TrialContext } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { allOf, bringsCodesBackLate, compareIn, digits } from './claims.ts';
import { type Evaluation, firstWithin, isEvaluated, lossAt } from './convergence.ts';
import { paper } from './paper.ts';
import { createQuantizer, type QuantizerKey, quantizerKeys, quantizerSettings } from './quantizers.ts';
import { colourGrid, mapThroughPoints } from './vector-pictures.ts';
import { createVectorSource, VECTOR_SOURCES, type VectorSourceName } from './vector-sources.ts';

const config = z.object({
  ...quantizerSettings,
  codes: quantizerSettings.codes.default([256]),
  sources: z.array(z.enum(VECTOR_SOURCES)).min(1).default(['pixels', 'mixture']).describe('what is quantised'),
  batchSize: z.int().min(1).default(4096).describe('vectors per step'),
  steps: z.int().min(1).default(800),
  learningRate: z.number().positive().default(0.03).describe("Adam's step size with learning = gradient"),
  evaluateEvery: z.int().min(1).default(20).describe('steps between validations'),
  earlyStep: z.int().min(1).default(300).describe('where early errors and used codes are measured'),
});
type Config = z.infer<typeof config>;

/** A trial: a quantiser and what it quantises. */
export interface VectorsKey extends QuantizerKey {
  readonly source: VectorSourceName;
}

/** What a trial measures. */
export interface VectorsResult {
  /** Mean squared error of a component, on vectors that were not trained on, at the end. */
  readonly loss: number;
  /** The same at `earlyStep`. */
  readonly earlyLoss: number;
  /** Codes that are the nearest to any of the validation vectors, at `earlyStep` and at the end. */
  readonly earlyCodes: number;
  readonly codesUsed: number;
  /** Distance of neighbours on the grid over that of all pairs. */
  readonly neighborRatio: number;
  /** First steps at which the error was within 10 % and 20 % of the best. */
  readonly within10: number;
  readonly within20: number;
  readonly [name: string]: number;
}

async function run({
  config,
  key,
  random,
  seed,
  steps,
  log,
  artifact,
}: TrialContext<Config, VectorsKey>): Promise<VectorsResult> {
  // All quantisers of a seed see the same vectors.
  const source = createVectorSource(key.source, seed, random.split('source'));
  const map = createQuantizer(config, key, source.size, random.split('codes'));
  const validation = source.draw(config.batchSize, random.split('validation'));
  const data = random.split('data');
  const state = { evaluations: [] as Evaluation[], earlyCodes: 0 };
  // Averages move the codes in a forward pass; codes that are parameters need an optimiser.
  const optimizer = config.learning === 'gradient' ? new Adam(map, { learningRate: config.learningRate }) : undefined;
  const trained = optimizer === undefined ? { module: map } : { module: map, optimizer };
  for await (const step of steps({ total: config.steps, ...trained, random: { data }, state })) {
    map.train();
    const drawn = source.draw(config.batchSize, data);
    tf.dispose(optimizer === undefined ? map.forward(drawn) : optimizer.minimize(() => map.forward(drawn).loss));
    drawn.dispose();
    if (!isEvaluated(step, config)) continue;
    const { loss, codesUsed } = await evaluate(map, validation);
    state.evaluations.push({ step, loss });
    if (step <= config.earlyStep) state.earlyCodes = codesUsed;
    log({ validationLoss: loss, codesUsed });
  }
  const { loss, codesUsed } = await evaluate(map, validation);
  const title = `${key.source}, ${key.quantizer}`;
  const values = await map.codebook.data();
  await artifact('codebook.svg', colourGrid(title, values, map.gridShape));
  const shown = (await validation.data()).subarray(0, SHOWN * source.size);
  await artifact('map.svg', mapThroughPoints(title, values, shown, source.size, map.gridShape));
  const ratio = neighborRatio(map.codebook, map.gridShape);
  validation.dispose();
  source.dispose();
  optimizer?.dispose();
  map.dispose();
  return {
    loss,
    earlyLoss: lossAt(state.evaluations, config.earlyStep),
    earlyCodes: state.earlyCodes,
    codesUsed,
    neighborRatio: ratio,
    within10: firstWithin(state.evaluations, 0.1),
    within20: firstWithin(state.evaluations, 0.2),
  };
}

/** Vectors in a picture. */
const SHOWN = 1000;

async function evaluate(
  map: KohonenQuantizer,
  vectors: tf.Tensor2D,
): Promise<{ readonly loss: number; readonly codesUsed: number }> {
  const [error, indices] = tf.tidy(() => {
    const result = map.eval().forward(vectors);
    return [tf.mean(tf.squaredDifference(result.output, vectors)) as tf.Scalar, result.indices] as const;
  });
  return { loss: await readScalar(error), codesUsed: new Set(await readValues(indices)).size };
}

export const vectors = defineExperiment({
  id: 'ksom/vectors',
  title: "Kohonen's maps as quantisers of vectors",
  description:
    'Quantises colours of pictures and points of Gaussian mixtures with EMA-VQ and with self-organising maps, whose counts ' +
    'begin at 0 or 1: errors, codes in use, order on the grid, speed.',
  paper,
  config,
  presets: {
    quick: {
      summary: 'pixels and a mixture, all six quantisers, 256 codes, 800 steps',
      measuredSeconds: { wasm: 18 },
    },
    standard: {
      summary: 'pixels, a mixture and the uniform cube with 256 and 512 codes, 3000 steps',
      config: { sources: ['pixels', 'mixture', 'uniform'], codes: [256, 512], steps: 3000 },
      seeds: [1, 2, 3],
    },
    paper: {
      summary: 'the same with all decays and numbers of codes of the paper, 30,000 steps',
      config: {
        sources: ['pixels', 'mixture', 'uniform'],
        codes: [128, 256, 512, 1024],
        decays: [0.5, 0.9, 0.97, 0.99, 0.999],
        steps: 30_000,
      },
      seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    },
  },
  trials: (settings): readonly VectorsKey[] =>
    settings.sources.flatMap((source) => quantizerKeys(settings).map((key) => ({ source, ...key }))),
  run,
  claims: [
    {
      // At step 300 the unused codes of EMA-VQ are far away, whatever the data.
      text: 'Maps are robust against counts that begin at 0: early on they use nearly all codes where EMA-VQ uses few, and err less.',
      holds: (rows) =>
        compareIn(rows, ['none c0=0', 'hard c0=0', 'hard c0=1'], ([plain, hard, other]) => {
          if (!bringsCodesBackLate(plain)) return undefined;
          const alike = Math.abs(hard.earlyLoss / other.earlyLoss - 1) <= 0.2;
          return {
            pass:
              plain.earlyCodes <= 0.5 * plain.codes &&
              hard.earlyCodes >= 0.7 * hard.codes &&
              hard.earlyLoss <= plain.earlyLoss / 2 &&
              alike,
            observed: `${hard.earlyCodes} against ${plain.earlyCodes} codes, error ${digits(hard.earlyLoss)} (with c0=1 ${digits(other.earlyLoss)}) against ${digits(plain.earlyLoss)}`,
          };
        }),
    },
    {
      // A hard neighbourhood still has a weight of 1/81 at step 800, which costs some of the error at the end.
      text: 'In the end a map errs as little as a well-configured EMA-VQ (within 15 %).',
      holds: (rows) =>
        compareIn(rows, ['none c0=1', 'hard c0=1', 'hard c0=0'], ([plain, ...maps]) => {
          const worst = Math.max(...maps.map(({ loss }) => loss / plain.loss));
          return {
            pass: worst <= 1.15,
            observed: `${digits(worst)} times its error of ${digits(plain.loss)}`,
          };
        }),
    },
    {
      // Codes in random order have a ratio of 1, a smooth map of a square one of about 0.1.
      text: 'Maps are ordered: neighbours on the grid are at most 0.6 times as far apart as any two codes; those of EMA-VQ are not.',
      holds: (rows) =>
        allOf(
          rows.map(({ source, quantizer, neighborRatio: ratio }) => {
            const pass = quantizer.startsWith('none') ? ratio >= 0.8 : ratio <= 0.6;
            return { pass, observed: `${source}, ${quantizer}: ${digits(ratio)}` };
          }),
        ),
    },
  ],
  report: {
    metric: 'loss',
    rows: 'quantizer',
    columns: 'source',
    charts: [
      {
        ...{ title: 'Error on validation vectors', from: 'metrics', x: 'step', y: 'validationLoss' },
        ...{ series: 'quantizer', facet: 'source', yScale: 'log' },
      },
      { title: 'Codes in use', from: 'metrics', x: 'step', y: 'codesUsed', series: 'quantizer', facet: 'source' },
    ],
  },
});
