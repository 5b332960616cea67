/** Training a model on a token task of `@fwp/datasets`, and how many of its answers are right. */

import { AdamW, warmupCosine } from '@fwp/core';
import { type Split, type TokenTask, trimPadding } from '@fwp/datasets';
import type { HybridLanguageModel } from '@fwp/hybrid';
import { readScalar, type TrialContext } from '@fwp/lab';
import { scoreTagging, taggingLoss } from '@fwp/rfwp';
import { z } from 'zod';

/** Settings of the training. */
export const trainingSettings = {
  batchSize: z.int().min(1).default(64),
  learningRate: z.number().positive().default(5e-3).describe("AdamW's largest step size, before a cosine to nearly 0"),
  warmupSteps: z.int().min(0).default(50),
  weightDecay: z.number().min(0).default(0),
  clipNorm: z.number().positive().default(1).describe('largest norm of all gradients'),
  evaluateEvery: z.int().min(1).default(50).describe('steps between validations'),
  validationSequences: z.int().min(1).default(256),
  testSequences: z.int().min(1).default(512).describe('sequences of each range of lengths'),
};

/** Settings as {@link trainOnTask} needs them. */
export interface TrainingConfig {
  readonly batchSize: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly evaluateEvery: number;
  readonly validationSequences: number;
  readonly testSequences: number;
}

/** What training is to do. */
export interface TaskTraining {
  readonly model: HybridLanguageModel;
  /** Gives the training batches. */
  readonly task: Pick<TokenTask, 'batch'>;
  /** Training steps at most. */
  readonly total: number;
  /** Measures the model, for the metrics; training ends when it is solved twice in a row. */
  readonly validate: () => Promise<{ readonly metrics: Readonly<Record<string, number>>; readonly isSolved: boolean }>;
}

/** Solved validations in a row after which training ends: one may be luck. */
const SOLVED_VALIDATIONS = 2;
/** The cosine's end, as the paper's code has it. */
const FINAL_RATE = 0.001;
const LOG_EVERY = 10;
const EVALUATION_BATCH = 64;

/**
 * Trains a model until the task is solved, or the steps are over.
 *
 * @returns steps made
 */
export async function trainOnTask(
  { model, task, total, validate }: TaskTraining,
  config: TrainingConfig,
  { steps, log }: Pick<TrialContext<unknown, unknown>, 'steps' | 'log'>,
): Promise<number> {
  const { batchSize, learningRate, weightDecay, clipNorm } = config;
  const schedule = warmupCosine(Math.min(config.warmupSteps, total), total + 1, FINAL_RATE);
  const optimizer = new AdamW(model, { learningRate, schedule, weightDecay, clipNorm });
  const state = { step: 0, solved: 0 };
  const perStep = { sequences: batchSize };
  for await (const step of steps({ total, module: model, optimizer, state, perStep })) {
    const batch = trimPadding(task.batch(step - 1, batchSize));
    const value = optimizer.minimize(() => taggingLoss(model, batch));
    const isEvaluated = step % config.evaluateEvery === 0 || step === total;
    const loss = await readScalar(value, isEvaluated || step % LOG_EVERY === 0);
    state.step = step;
    if (loss === undefined) continue;
    if (isEvaluated) {
      const { metrics, isSolved } = await validate();
      log({ loss, ...metrics });
      state.solved = isSolved ? state.solved + 1 : 0;
      if (state.solved === SOLVED_VALIDATIONS) break;
    } else {
      log({ loss });
    }
  }
  optimizer.dispose();
  return state.step;
}

/** A validation that is solved when every answer is right. */
export function validateAnswers(
  model: HybridLanguageModel,
  task: TokenTask,
  sequences: number,
): TaskTraining['validate'] {
  return async () => {
    const accuracy = await accuracyOn(model, task, 'validation', sequences);
    return { metrics: { accuracy }, isSolved: accuracy === 1 };
  };
}

/** Fraction of the answers that are right. */
export async function accuracyOn(
  model: HybridLanguageModel,
  task: TokenTask,
  split: Split,
  sequences: number,
): Promise<number> {
  const size = Math.min(EVALUATION_BATCH, sequences);
  const count = Math.floor(sequences / size);
  const batches = Array.from({ length: count }, (_, index) => trimPadding(task.batch(index, size, split)));
  const { labels, rightLabels } = await scoreTagging(model, batches);
  return rightLabels / labels;
}

/** Accuracy such that guessing one of `answers` possible ones is 0. */
export function normalizedAccuracy(accuracy: number, answers: number): number {
  return (accuracy - 1 / answers) / (1 - 1 / answers);
}
