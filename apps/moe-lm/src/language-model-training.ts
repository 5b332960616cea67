/**
 * Trains a language model with memory on parallel streams of a text: each batch goes on where the one before ended, and the model
 * remembers what was there. Validation goes through the text once in the same way, with a memory that may be longer.
 */

import { Adam, Module, softmaxCrossEntropy, warmupCosine } from '@fwp/core';
import { type ContiguousBatch, type ContiguousBatches, contiguousBatches } from '@fwp/datasets';
import { readScalar, type TrialContext } from '@fwp/lab';
import type { LayerSelections, TransformerXl, TransformerXlState } from '@fwp/moe';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { CarriedMemory } from './carried-memory.ts';
import { type Text, textSettings } from './text.ts';

/** Settings of text, model and training that all language models share. */
export const languageModelSettings = {
  ...textSettings,
  layers: z.int().min(1).default(2),
  size: z.int().min(2).default(64).describe('size of embeddings and hidden vectors'),
  length: z.int().min(2).default(64).describe('tokens of a training sequence'),
  memoryLength: z.int().min(0).default(64).describe('tokens before a sequence that a model remembers'),
  validationMemoryLength: z.int().min(0).default(64).describe('the same in validation'),
  dropout: z.number().min(0).lt(1).default(0).describe('of both branches of a layer, and of hidden units'),
  batchSize: z.int().min(1).default(16).describe('streams'),
  validationBatchSize: z.int().min(1).default(8),
  steps: z.int().min(1).default(1000),
  warmupSteps: z.int().min(0).default(0),
  learningRate: z.number().positive().default(1.5e-3).describe("Adam's step size at first; it falls to 0 as a cosine"),
  clipNorm: z.number().positive().default(0.25).describe('largest norm of all gradients'),
  evaluateEvery: z.int().min(1).default(500).describe('steps between validations'),
};

const settings = z.object(languageModelSettings);
export type LanguageModelConfig = z.infer<typeof settings>;

/** What a trial measures. */
export interface LanguageModelResult {
  /** Bits per byte of the validation text at the end: bits per character of a text in ASCII. */
  readonly bitsPerByte: number;
  /** e to the loss per token. */
  readonly perplexity: number;
  readonly parameters: number;
  readonly [name: string]: number;
}

/** What a training needs besides its settings. */
export interface LanguageModelTraining {
  readonly model: TransformerXl;
  readonly text: Text;
  /** Weight γ of the term that balances experts. */
  readonly regularizationWeight: number;
  /** Sees what each layer chose in validation. */
  readonly watch?: (selections: readonly LayerSelections[]) => void;
}

/** Model and memory, of which checkpoints are made. */
class Trained extends Module {
  readonly memory: CarriedMemory;

  constructor(model: TransformerXl, { batchSize, memoryLength }: LanguageModelConfig) {
    super();
    this.addModule('model', model);
    const sizes = { layers: model.layers.length, batchSize, memoryLength, size: model.size };
    this.memory = this.addModule('memory', new CarriedMemory(sizes));
  }
}

const LOG_EVERY = 20;

/** Trains and validates; the model is the caller's to dispose of. */
export async function trainLanguageModel<Key extends Readonly<Record<string, string | number>>>(
  { config, steps, log }: TrialContext<LanguageModelConfig, Key>,
  training: LanguageModelTraining,
): Promise<LanguageModelResult> {
  const { model, text, regularizationWeight } = training;
  const { length, batchSize, memoryLength } = config;
  const streams = contiguousBatches(text.train, { batchSize, length });
  const trained = new Trained(model, config);
  const schedule = warmupCosine(Math.min(config.warmupSteps, config.steps), config.steps + 1);
  const optimizer = new Adam(model, { learningRate: config.learningRate, schedule, clipNorm: config.clipNorm });
  const bitsPerByte = (loss: number) => loss / Math.LN2 / text.bytesPerToken;
  const loop = { remembered: 0, loss: Number.NaN };
  const perStep = { tokens: length * batchSize };

  for await (const step of steps({ total: config.steps, module: trained, optimizer, state: loop, perStep })) {
    const batch = streams.batch(step - 1);
    if (batch.isStart) loop.remembered = 0;
    const before = trained.memory.state(memoryLength === 0 ? 0 : loop.remembered);
    const { inputs, targets } = toTensors(batch);
    model.train();
    let after: TransformerXlState | undefined;
    let crossEntropy: tf.Scalar | undefined;
    const total = optimizer.minimize(() => {
      const { logits, state, regularization } = model.forward(inputs, before);
      const loss = softmaxCrossEntropy(logits, targets) as tf.Scalar;
      after = { memories: state.memories.map((memory) => tf.keep(memory)) };
      crossEntropy = tf.keep(tf.clone(loss));
      return regularization === undefined
        ? loss
        : tf.add<tf.Scalar>(loss, tf.mul(regularization, regularizationWeight));
    });
    loop.remembered = trained.memory.remember(after as TransformerXlState);
    tf.dispose([total, inputs, targets, ...(before?.memories ?? [])]);
    const isEvaluated = step % config.evaluateEvery === 0 || step === config.steps;
    const nats = await readScalar(crossEntropy as tf.Scalar, isEvaluated || step % LOG_EVERY === 0);
    if (nats === undefined) continue;
    const trainBitsPerByte = bitsPerByte(nats);
    if (isEvaluated) {
      loop.loss = await validate(model, text, config);
      log({ trainBitsPerByte, bitsPerByte: bitsPerByte(loop.loss) });
    } else {
      log({ trainBitsPerByte });
    }
  }
  // Once more rather than in the loop: a run that is resumed behind its last step looks, too.
  if (training.watch !== undefined) await validate(model, text, config, training.watch);
  optimizer.dispose();
  trained.memory.dispose();
  return {
    bitsPerByte: bitsPerByte(loop.loss),
    perplexity: Math.exp(loop.loss),
    parameters: model.parameterCount,
  };
}

/** Mean loss of a token over the validation text, in nats. */
async function validate(
  model: TransformerXl,
  text: Text,
  { length, validationBatchSize, validationMemoryLength }: LanguageModelConfig,
  watch?: LanguageModelTraining['watch'],
): Promise<number> {
  model.eval();
  const streams: ContiguousBatches = contiguousBatches(text.validation, { batchSize: validationBatchSize, length });
  let state: TransformerXlState | undefined;
  let sum = 0;
  for (let step = 0; step < streams.stepsPerEpoch; step++) {
    const before = state;
    const { loss, after } = tf.tidy(() => {
      const { inputs, targets } = toTensors(streams.batch(step));
      const result = model.forward(inputs, before, { memoryLength: validationMemoryLength });
      watch?.(result.selections);
      const mean = softmaxCrossEntropy(result.logits, targets) as tf.Scalar;
      return { loss: mean, after: result.state.memories };
    });
    tf.dispose(before?.memories ?? []);
    sum += await readScalar(loss);
    state = { memories: after };
  }
  tf.dispose(state?.memories ?? []);
  return sum / streams.stepsPerEpoch;
}

function toTensors({ inputs, targets, batchSize, length }: ContiguousBatch) {
  const shape: [number, number] = [batchSize, length];
  return { inputs: tf.tensor2d(inputs, shape, 'int32'), targets: tf.tensor2d(targets, shape, 'int32') };
}
