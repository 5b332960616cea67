/**
 * Trains a decoder language model on the bytes of a text: random pieces for training, and the mean number of bits that each
 * byte of the validation text costs. On synthetic text also the fraction of look-ups that the model gets right.
 */

import {
  Adam,
  lecunNormal,
  normalInitializer,
  type RandomStream,
  type SequenceMixer,
  softmaxCrossEntropy,
  warmupCosine,
} from '@fwp/core';
import { lookUpMask, randomCrops, type SlidingWindows, slidingWindows, type TokenBatch } from '@fwp/datasets';
import { openTextBytes, SYNTHETIC } from '@fwp/datasets/corpora';
import {
  createMixer,
  FastWeightLanguageModel,
  FEATURE_MAPS,
  MIXERS,
  type MixerName,
  type MixerSettings,
  MODEL_POSITIONS,
} from '@fwp/deltanet';
import { readScalar, readValues, type TrialContext } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { WindowedMixer } from './windowed-mixer.ts';

export const languageModelSettings = {
  models: z
    .array(z.enum(MIXERS as [MixerName, ...MixerName[]]))
    .min(1)
    .default(['linearAttention', 'deltaNet', 'deltaNet2024', 'softmaxAttention'])
    .describe('sequence layers to compare'),
  corpus: z
    .string()
    .default(SYNTHETIC)
    .describe(
      '"synthetic" (no download), the name of a corpus (enwik8, text8, …), or the path of a text file or a folder',
    ),
  trainBytes: z.int().min(1000).default(2_000_000).describe('bytes for training (of a corpus: at most)'),
  validationBytes: z.int().min(1000).default(50_000).describe('bytes for validation (of a corpus: at most)'),
  layers: z.int().min(1).default(2),
  size: z.int().min(2).default(64).describe('size of embeddings and hidden vectors'),
  heads: z.int().min(1).default(4),
  features: z.enum(FEATURE_MAPS).default('eluPlusOne').describe('feature map of linearAttention and deltaNet'),
  feedForwardSize: z.int().min(1).default(256).describe('hidden units of the feed-forward parts'),
  window: z.int().min(1).default(3).describe('bytes that an input of a memory has seen: itself and those before'),
  placement: z.enum(['pre', 'post']).default('pre').describe('where blocks normalise'),
  positions: z.enum(MODEL_POSITIONS).default('none').describe('positions that are added to the embeddings'),
  dropout: z.number().min(0).lt(1).default(0),
  tieWeights: z.boolean().default(false).describe('whether the output matrix is that of the embeddings'),
  initialization: z
    .enum(['lecun', 'paper'])
    .default('lecun')
    .describe('"lecun": N(0, 1/fan-in), embeddings N(0, 1); "paper": N(0, 0.02²), embeddings times √size'),
  length: z.int().min(8).default(128).describe('bytes of a training sequence, and of context in validation'),
  batchSize: z.int().min(1).default(16),
  steps: z.int().min(1).default(500),
  warmupSteps: z.int().min(0).default(50),
  learningRate: z
    .number()
    .positive()
    .default(3e-3)
    .describe("Adam's largest step size; a cosine to 0 follows the warm-up"),
  clipNorm: z.number().positive().default(1).describe('largest norm of all gradients'),
  evaluateEvery: z.int().min(1).default(100).describe('steps between validations'),
};

const settings = z.object(languageModelSettings);
type LanguageModelConfig = z.infer<typeof settings>;

/** Names a trial. */
export interface LanguageModelKey {
  readonly model: MixerName;
  readonly [name: string]: string;
}

/** Measurements of a trial. */
export interface LanguageModelResult {
  /** Validation loss. */
  readonly bitsPerByte: number;
  /** Fraction of the look-ups of the synthetic text that were predicted; `null` for other texts. */
  readonly recall: number | null;
  readonly parameters: number;
  readonly [name: string]: number | null;
}

const VOCABULARY = 256;
const EVALUATION_BATCH = 16;

/** One trial: a model with one kind of memory. */
export async function trainLanguageModel({
  config,
  key,
  random,
  seed,
  steps,
  log,
}: TrialContext<LanguageModelConfig, LanguageModelKey>): Promise<LanguageModelResult> {
  const { length, batchSize } = config;
  const lengths = { train: config.trainBytes, validation: config.validationBytes };
  const text = await openTextBytes(config.corpus, { lengths, seed });
  const crops = randomCrops(text.train, { length, seed });
  const windows = slidingWindows(text.validation, { length, stride: Math.ceil(length / 2) });
  const model = makeModel(config, key.model, random.split('weights'));
  const schedule = warmupCosine(Math.min(config.warmupSteps, config.steps), config.steps + 1);
  const optimizer = new Adam(model, { learningRate: config.learningRate, schedule, clipNorm: config.clipNorm });
  const perStep = { bytes: length * batchSize };

  let validation: Validation = { bitsPerByte: Number.NaN, recall: null };
  for await (const step of steps({ total: config.steps, module: model, optimizer, perStep })) {
    const batch = toTensors(crops.batch(step, batchSize));
    model.train();
    const loss = optimizer.minimize(() => softmaxCrossEntropy(model.apply(batch.inputs), batch.targets) as tf.Scalar);
    tf.dispose({ ...batch });
    const isEvaluated = step % config.evaluateEvery === 0 || step === config.steps;
    const nats = await readScalar(loss, isEvaluated || step % LOG_EVERY === 0);
    if (nats === undefined) continue;
    const trainBitsPerByte = nats / Math.LN2;
    if (isEvaluated) {
      validation = await validate(model, windows, config.corpus === SYNTHETIC);
      const { bitsPerByte, recall } = validation;
      log({ trainBitsPerByte, bitsPerByte, ...(recall === null ? {} : { recall }) });
    } else {
      log({ trainBitsPerByte });
    }
  }
  const { parameterCount: parameters } = model;
  optimizer.dispose();
  model.dispose();
  text.close();
  return { ...validation, parameters };
}

const LOG_EVERY = 10;

const INITIALIZATIONS = {
  lecun: { weightInitializer: lecunNormal(), embeddingScale: Math.sqrt(VOCABULARY) },
  paper: { weightInitializer: normalInitializer(0.02) },
};

function makeModel(config: LanguageModelConfig, name: MixerName, random: RandomStream): FastWeightLanguageModel {
  const { size, heads, layers, window, feedForwardSize, placement, positions, dropout } = config;
  const { tieWeights, initialization } = config;
  const { weightInitializer } = INITIALIZATIONS[initialization];
  const options = {
    ...{ size, heads, random, weightInitializer },
    // The rules are compared with the same features.
    ...(name === 'deltaNet' || name === 'linearAttention' ? { featureMap: config.features } : {}),
  };
  const makeMixer = (): SequenceMixer => {
    const mixer = createMixer(name, options as MixerSettings[MixerName]);
    return window === 1 ? mixer : new WindowedMixer({ mixer, size, width: window, random });
  };
  return new FastWeightLanguageModel({
    vocabularySize: VOCABULARY,
    size,
    layers,
    mixer: makeMixer,
    feedForward: { hiddenSize: feedForwardSize },
    placement,
    positions,
    dropout,
    random,
    tieWeights,
    ...INITIALIZATIONS[initialization],
  });
}

interface Validation {
  readonly bitsPerByte: number;
  readonly recall: number | null;
}

/** Bits per byte over all windows; with `synthetic`, also how many of the look-ups are predicted. */
async function validate(
  model: FastWeightLanguageModel,
  windows: SlidingWindows,
  synthetic: boolean,
): Promise<Validation> {
  model.eval();
  let [bits, bytes, right, asked] = [0, 0, 0, 0];
  for (let index = 0; index * EVALUATION_BATCH < windows.count; index++) {
    const batch = windows.batch(index, EVALUATION_BATCH);
    const { losses, predicted } = await predict(model, batch);
    const marks = synthetic ? lookUpMask(batch) : undefined;
    batch.mask.forEach((counts, i) => {
      if (counts === 0) return;
      bits += (losses[i] as number) / Math.LN2;
      bytes += 1;
      if (marks?.[i] !== 1) return;
      asked += 1;
      right += Number(predicted[i] === batch.targets[i]);
    });
  }
  return { bitsPerByte: bits / bytes, recall: asked === 0 ? null : right / asked };
}

/** The loss of every target, and the likeliest byte at its place. */
async function predict(model: FastWeightLanguageModel, batch: TokenBatch) {
  const { inputs, targets } = toTensors(batch);
  const tensors = tf.tidy(() => {
    const logits = model.apply(inputs);
    return [softmaxCrossEntropy(logits, targets, { reduction: 'none' }), tf.argMax(logits, -1)] as const;
  });
  tf.dispose([inputs, targets]);
  const [losses, predicted] = await Promise.all([readValues(tensors[0]), readValues<'int32'>(tensors[1])]);
  return { losses, predicted };
}

function toTensors({ inputs, targets, batchSize, length }: TokenBatch) {
  const shape: [number, number] = [batchSize, length];
  return { inputs: tf.tensor2d(inputs, shape, 'int32'), targets: tf.tensor2d(targets, shape, 'int32') };
}
