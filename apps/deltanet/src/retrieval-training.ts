/**
 * Training on a retrieval task as the authors do it: Adam, one question per sequence, an evaluation on 20 new sequences
 * with many questions every 100 steps and after the last; it ends when the evaluation loss is at most 0.001 (solved) or
 * hasn't improved for 11 evaluations. The result is the least evaluation loss.
 */

import { Adam } from '@fwp/core';
import { associativeRetrieval, type RetrievalBatch } from '@fwp/datasets';
import { readScalar, type TrialContext } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { MEMORY_NAME, MEMORY_NAMES } from './associative-memory.ts';
import { RetrievalModel, type RetrievalTensors } from './retrieval-model.ts';

/** Settings that both retrieval experiments have. */
export const retrievalSettings = {
  models: z
    .array(z.string().regex(MEMORY_NAME, `expected ${MEMORY_NAMES}`))
    .min(1)
    .describe('memories: softmax, or features and rule, as in "dpfp-1 delta"'),
  keys: z.array(z.int().min(2)).min(1).describe('numbers N of keys, and of values'),
  keySize: z.int().min(1).default(64).describe('size of a key before the feature map'),
  batchSize: z.int().min(1).default(32).describe('sequences per training step'),
  learningRate: z.number().positive().default(1e-3).describe("Adam's step size"),
  maxSteps: z.int().min(1).default(100_000).describe('training steps at most'),
  evaluateEvery: z.int().min(1).default(100).describe('steps between evaluations'),
  evaluationSequences: z.int().min(1).default(20).describe('new sequences per evaluation'),
  patience: z.int().min(1).default(11).describe('evaluations without improvement after which training ends'),
  solvedLoss: z.number().positive().default(0.001).describe('evaluation loss at which training ends'),
};

const settings = z.object(retrievalSettings);
export type RetrievalConfig = z.infer<typeof settings>;

/** Names a trial: which memory, and how many keys. */
export interface RetrievalKey {
  readonly model: string;
  readonly keys: number;
  readonly [name: string]: string | number;
}

/** What a trial measures. */
export interface RetrievalResult {
  /** The least evaluation loss. */
  readonly loss: number;
  /** Training steps made. */
  readonly steps: number;
  readonly [name: string]: number;
}

/** from, from + step, … up to `to`. */
export function numbers(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}

/** All models with all numbers of keys. */
export function retrievalTrials({ models, keys }: RetrievalConfig): readonly RetrievalKey[] {
  return models.flatMap((model) => keys.map((count) => ({ model, keys: count })));
}

/**
 * Trains one memory with one number of keys.
 *
 * @param replace whether keys are drawn with replacement, so that they are re-assigned (setting 2)
 */
export async function trainRetrieval(
  { config, key, random, seed, steps, log }: TrialContext<RetrievalConfig, RetrievalKey>,
  replace: boolean,
): Promise<RetrievalResult> {
  const task = associativeRetrieval({ keys: key.keys, replace, seed });
  const model = new RetrievalModel({
    memory: key.model,
    keys: key.keys,
    keySize: config.keySize,
    random: random.split('weights'),
  });
  const optimizer = new Adam(model, { learningRate: config.learningRate });
  const state = { best: Number.MAX_VALUE, strikes: 0, step: 0 };

  const evaluate = (index: number): Promise<number> =>
    onBatch(task.batch(index, config.evaluationSequences, 'validation'), (tensors) =>
      readScalar(tf.tidy(() => model.loss(tensors))),
    );

  for await (const step of steps({ total: config.maxSteps, module: model, optimizer, state })) {
    const value = onBatch(task.batch(step, config.batchSize, 'train'), (tensors) =>
      optimizer.minimize(() => model.loss(tensors)),
    );
    const isEvaluated = step % config.evaluateEvery === 0 || step === config.maxSteps;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    state.step = step;
    if (loss === undefined) continue;
    if (!isEvaluated) {
      log({ loss });
      continue;
    }
    const evaluationLoss = await evaluate(step);
    log({ loss, evaluationLoss });
    state.strikes = evaluationLoss < state.best ? 0 : state.strikes + 1;
    state.best = Math.min(state.best, evaluationLoss);
    if (state.best <= config.solvedLoss || state.strikes >= config.patience) break;
  }
  optimizer.dispose();
  model.dispose();
  return { loss: state.best, steps: state.step };
}

const LOG_EVERY = 25;

/** Calls `use` with the batch as tensors, and frees them. */
export function onBatch<T>(batch: RetrievalBatch, use: (tensors: RetrievalTensors) => T): T {
  const { batchSize, length, queryCount } = batch;
  const tensors: RetrievalTensors = {
    keys: tf.tensor2d(batch.keys, [batchSize, length], 'int32'),
    values: tf.tensor2d(batch.values, [batchSize, length], 'int32'),
    queries: tf.tensor2d(batch.queries, [batchSize, queryCount], 'int32'),
    targets: tf.tensor2d(batch.targets, [batchSize, queryCount], 'int32'),
    mask: tf.tensor2d(batch.mask, [batchSize, queryCount]),
  };
  try {
    return use(tensors);
  } finally {
    tf.dispose({ ...tensors });
  }
}
