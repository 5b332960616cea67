/**
 * Training of a VQ-VAE on small pictures: AdamW, gradients clipped at a norm of 1, a validation of the reconstruction every so
 * many steps. At the end codes, reconstructions, and reconstructions from perturbed indices are drawn.
 */

import { AdamW } from '@fwp/core';
import { type ImageSet, shuffledImages, takeImages } from '@fwp/datasets';
import { type KohonenQuantizer, neighborRatio, VqVae } from '@fwp/ksom-vq';
import { readScalar, readValues, type TrialContext } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { contactSheet } from './contact-sheet.ts';
import { type Evaluation, firstWithin, isEvaluated, lossAt } from './convergence.ts';
import { IMAGE_SOURCES, openImages } from './image-sources.ts';
import type { PixelScale } from './image-tensors.ts';
import { perturbed } from './perturbation.ts';
import { createQuantizer, type QuantizerKey, quantizerSettings } from './quantizers.ts';

export const vqVaeSettings = {
  ...quantizerSettings,
  data: z.enum(IMAGE_SOURCES).default('procedural').describe('procedural (no download) or cifar10'),
  hiddenSize: z.int().min(2).default(128).describe('channels of the residual stacks'),
  residualSize: z.int().min(1).default(32).describe('channels within a residual block'),
  codeSize: z.int().min(1).default(64).describe('size of a code'),
  batchSize: z.int().min(1).default(256).describe('pictures per step'),
  steps: z.int().min(1).default(30_000),
  learningRate: z.number().positive().default(1e-3),
  clipNorm: z.number().positive().default(1).describe('largest norm of the gradients'),
  evaluateEvery: z.int().min(1).default(1000).describe('steps between validations'),
  validationImages: z.int().min(1).default(10_000).describe('pictures per validation at most'),
  earlyStep: z.int().min(1).default(1000).describe('where the early error is measured'),
};
const settings = z.object(vqVaeSettings);
export type VqVaeConfig = z.infer<typeof settings>;

/** What a trial measures. */
export interface VqVaeTrialResult {
  /** Mean squared error of the reconstruction of validation pictures, standardised, at the end. */
  readonly loss: number;
  readonly earlyLoss: number;
  /** Codes that occur in the validation pictures, at `earlyStep` and at the end. */
  readonly earlyCodes: number;
  readonly codesUsed: number;
  /** Of the validation pictures' codes. */
  readonly perplexity: number;
  /** Distance of neighbours on the grid over that of all pairs. */
  readonly neighborRatio: number;
  /** Mean squared change of the reconstruction when every index moves to a neighbour, over that to random indices. */
  readonly perturbedChange: number;
  /** First steps at which the error was within 10 % and 20 % of the best. */
  readonly within10: number;
  readonly within20: number;
  /** Training steps made. */
  readonly steps: number;
  readonly [name: string]: number;
}

/** How many pictures a report shows, and a validation takes at once. */
const SHOWN = 16;
const AT_ONCE = 50;

/** Trains one VQ-VAE. */
export async function trainVqVae(context: TrialContext<VqVaeConfig, QuantizerKey>): Promise<VqVaeTrialResult> {
  const { config, key, random, seed, steps, log } = context;
  const { train, validation, scale } = await openImages(config.data, seed);
  const quantizer = createQuantizer(config, key, config.codeSize, random.split('codes'));
  const { hiddenSize, residualSize } = config;
  const model = new VqVae({
    quantizer,
    hiddenSize,
    residualSize,
    random: random.split('weights'),
    channels: train.channels,
  });
  const optimizer = new AdamW(model, { learningRate: config.learningRate, weightDecay: 0, clipNorm: config.clipNorm });
  const batch = shuffledImages(train, { batchSize: config.batchSize, seed });
  const state = { evaluations: [] as Evaluation[], earlyCodes: 0 };
  const loop = steps({ total: config.steps, module: model, optimizer, state, perStep: { images: config.batchSize } });
  for await (const step of loop) {
    const images = scale.toTensor(batch(step - 1));
    const isLogged = step % LOG_EVERY === 0;
    const kept: { perplexity?: tf.Scalar } = {};
    const value = optimizer.minimize(() => {
      const result = model.train().forward(images);
      if (isLogged) kept.perplexity = tf.keep(result.perplexity);
      return result.loss;
    });
    images.dispose();
    const loss = await readScalar(value, isLogged);
    if (loss !== undefined) log({ loss, perplexity: await readScalar(kept.perplexity as tf.Scalar) });
    if (!isEvaluated(step, config)) continue;
    const { error, codesUsed } = await evaluate(model, validation, scale, config);
    state.evaluations.push({ step, loss: error });
    if (step <= config.earlyStep) state.earlyCodes = codesUsed;
    log({ validationLoss: error, codesUsed });
  }
  const { error, codesUsed, perplexity } = await evaluate(model, validation, scale, config);
  const perturbedChange = await draw(context, model, quantizer, validation, scale);
  const ratio = neighborRatio(quantizer.codebook, quantizer.gridShape);
  optimizer.dispose();
  model.dispose();
  return {
    loss: error,
    earlyLoss: lossAt(state.evaluations, config.earlyStep),
    earlyCodes: state.earlyCodes,
    codesUsed,
    perplexity,
    neighborRatio: ratio,
    perturbedChange,
    within10: firstWithin(state.evaluations, 0.1),
    within20: firstWithin(state.evaluations, 0.2),
    steps: config.steps,
  };
}

const LOG_EVERY = 10;

/** Mean squared error over the validation pictures, and how their codes are used. */
async function evaluate(
  model: VqVae,
  validation: ImageSet,
  scale: PixelScale,
  { validationImages }: VqVaeConfig,
): Promise<{ error: number; codesUsed: number; perplexity: number }> {
  model.eval();
  const count = Math.min(validationImages, validation.count);
  const uses = new Map<number, number>();
  let [errors, tokens] = [0, 0];
  for (let begin = 0; begin < count; begin += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, count - begin) }, (_, i) => begin + i);
    const { reconstructionLoss, indices } = tf.tidy(() => {
      const result = model.forward(scale.toTensor(takeImages(validation, numbers)));
      return { reconstructionLoss: result.reconstructionLoss, indices: result.indices };
    });
    tokens += indices.size;
    errors += (await readScalar(reconstructionLoss)) * numbers.length;
    for (const index of await readValues(indices)) uses.set(index, (uses.get(index) ?? 0) + 1);
  }
  const entropy = [...uses.values()].reduce((sum, n) => sum - (n / tokens) * Math.log(n / tokens), 0);
  return { error: errors / count, codesUsed: uses.size, perplexity: Math.exp(entropy) };
}

/**
 * Draws the codes on their grid, and pictures with their reconstructions from their own and from perturbed indices.
 *
 * @returns how much the reconstruction changes with perturbed indices, as a share of what random ones do to it
 */
async function draw(
  { artifact, random }: TrialContext<VqVaeConfig, QuantizerKey>,
  model: VqVae,
  quantizer: KohonenQuantizer,
  validation: ImageSet,
  scale: PixelScale,
): Promise<number> {
  model.eval();
  const drawn = random.split('perturbation');
  const { height, width, channels } = validation;
  const numbers = Array.from({ length: Math.min(SHOWN, validation.count) }, (_, i) => i);
  const batch = takeImages(validation, numbers);
  const encoded = tf.tidy(() => model.encode(scale.toTensor(batch)));
  const { shape } = encoded;
  const indices = await readValues<'int32'>(encoded);
  const decoded = (values: Int32Array) => tf.tidy(() => model.decode(tf.tensor(values, shape, 'int32')));
  const own = decoded(indices);
  const near = decoded(perturbed(indices, quantizer.gridShape, drawn));
  const far = decoded(drawn.integers(indices.length, 0, quantizer.codes));
  const distance = (other: tf.Tensor) => readScalar(tf.tidy(() => tf.mean(tf.squaredDifference(own, other))));
  const change = (await distance(near)) / (await distance(far));
  const rows: Uint8Array[] = [batch.pixels];
  for (const images of [own, near, far]) rows.push(await scale.toBytes(images));
  tf.dispose([own, near, far]);
  const pixels = Uint8Array.from(rows.flatMap((row) => [...row]));
  await artifact('reconstructions.png', contactSheet({ pixels, height, width, channels }, numbers.length));
  await artifact(
    'codebook.png',
    contactSheet(await codePictures(model, quantizer, scale), quantizer.gridShape[0] as number),
  );
  return change;
}

/** What each code means: the middle of a picture of nothing else, in the order of the grid. */
async function codePictures(model: VqVae, quantizer: KohonenQuantizer, scale: PixelScale) {
  const [around, side] = [3, 4];
  const pixels: number[] = [];
  for (let begin = 0; begin < quantizer.codes; begin += AT_ONCE) {
    const count = Math.min(AT_ONCE, quantizer.codes - begin);
    const images = tf.tidy(() => {
      const indices = Int32Array.from({ length: count * around ** 2 }, (_, i) => begin + Math.floor(i / around ** 2));
      const whole = model.decode(tf.tensor(indices, [count, around, around], 'int32'));
      return tf.slice(whole, [0, side, side, 0], [count, side, side, model.channels]);
    });
    pixels.push(...(await scale.toBytes(images)));
    images.dispose();
  }
  return { pixels: Uint8Array.from(pixels), height: side, width: side, channels: model.channels };
}
