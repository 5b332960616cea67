/**
 * Trains a model that labels the elements of sequences, and decides when it has had enough: AdamW with a linear warm-up, gradients
 * clipped to norm 1, until the labels of validation sequences *like those of the training* are right, and some steps more, in which
 * what was learned settles. Longer sequences have no say in it.
 */

import { AdamW, isVector, linearWarmup } from '@fwp/core';
import type { TokenBatch, TokenTask } from '@fwp/datasets';
import type { TrialContext } from '@fwp/lab';
import { type SequenceTagger, scoreTagging, taggingLoss } from '@fwp/rfwp';

/** Settings of a training. */
export interface TaggingTraining {
  readonly batchSize: number;
  /** Steps at most. */
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Steps until the learning rate is reached. */
  readonly warmup: number;
  readonly evaluateEvery: number;
  readonly validationSequences: number;
  /** Fraction of right labels from which the training's sequences count as solved. */
  readonly solved: number;
  /** Steps that are made after that. */
  readonly settleSteps: number;
}

/** What a training came to. */
export interface TaggingOutcome {
  readonly steps: number;
  /** Step at which the training's sequences were solved first, or `null`. */
  readonly solvedAt: number | null;
}

/**
 * Trains a model.
 *
 * @param context of the trial
 * @param model the model
 * @param task what it learns; its validation sequences are like those of the training
 * @param settings of the training
 */
export async function trainTagger(
  { steps, log }: Pick<TrialContext<unknown, unknown>, 'steps' | 'log'>,
  model: SequenceTagger,
  task: TokenTask,
  settings: TaggingTraining,
): Promise<TaggingOutcome> {
  const { batchSize, learningRate, weightDecay, warmup, evaluateEvery, settleSteps } = settings;
  const optimizer = new AdamW(model, {
    ...{ learningRate, weightDecay, clipNorm: 1, schedule: linearWarmup(warmup) },
    groups: [{ match: isVector, weightDecay: 0 }],
  });
  const state: { step: number; solvedAt: number | null } = { step: 0, solvedAt: null };
  for await (const step of steps({
    total: settings.steps,
    module: model,
    optimizer,
    state,
    perStep: { tokens: batchSize * task.lengths.train },
  })) {
    const batch = task.batch(step - 1, batchSize);
    const value = optimizer.minimize(() => taggingLoss(model, batch));
    const loss = value.dataSync()[0] as number;
    value.dispose();
    state.step = step;
    if (step % evaluateEvery === 0 || step === settings.steps) {
      const accuracy = labelAccuracy(model, task, 'validation', settings.validationSequences);
      log({ loss, accuracy });
      if (accuracy >= settings.solved) state.solvedAt ??= step;
      if (state.solvedAt !== null && step >= state.solvedAt + settleSteps) break;
    } else if (step % 10 === 0) {
      log({ loss });
    }
  }
  optimizer.dispose();
  return { steps: state.step, solvedAt: state.solvedAt };
}

const EVALUATION_BATCH = 64;

/**
 * Fraction of labels that are right, in evaluation mode.
 *
 * @param from share of each sequence behind which labels count: 0.5 takes those of its second half only. Default 0
 */
export function labelAccuracy(
  model: SequenceTagger,
  task: TokenTask,
  split: 'validation' | 'test',
  sequences: number,
  from = 0,
): number {
  model.eval();
  let [labels, right] = [0, 0];
  try {
    for (let first = 0; first < sequences; first += EVALUATION_BATCH) {
      const count = Math.min(EVALUATION_BATCH, sequences - first);
      // Batches are numbered by their size; the last one may be smaller, and repeats sequences of the first ones.
      const index = count === EVALUATION_BATCH ? first / EVALUATION_BATCH : 0;
      const score = scoreTagging(model, lastPart(task.batch(index, count, split), from));
      labels += score.labels;
      right += score.rightLabels;
    }
  } finally {
    model.train();
  }
  return right / labels;
}

function lastPart(batch: TokenBatch, from: number): TokenBatch {
  if (from === 0) return batch;
  const mask = batch.mask.map((value, i) => (i % batch.length < from * batch.length ? 0 : value));
  return { ...batch, mask };
}
