/**
 * Trains a model that labels the elements of sequences, and decides when it has had enough: AdamW with a linear warm-up, gradients
 * clipped to norm 1, until the labels of validation sequences *like those of the training* are right, and some steps more, in which
 * what was learned settles. Longer sequences have no say in it.
 */

import { AdamW, isVector, linearWarmup } from '@fwp/core';
import { batches, type TokenBatch, type TokenTask } from '@fwp/datasets';
import { readScalar, type TrialContext } from '@fwp/lab';
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
    const isEvaluated = step % evaluateEvery === 0 || step === settings.steps;
    const loss = await readScalar(value, isEvaluated || step % 10 === 0);
    state.step = step;
    if (loss === undefined) continue;
    if (isEvaluated) {
      const sequences = settings.validationSequences;
      const { accuracy } = await labelScore(model, task, { split: 'validation', sequences });
      log({ loss, accuracy });
      if (accuracy >= settings.solved) state.solvedAt ??= step;
      if (state.solvedAt !== null && step >= state.solvedAt + settleSteps) break;
    } else {
      log({ loss });
    }
  }
  optimizer.dispose();
  return { steps: state.step, solvedAt: state.solvedAt };
}

const EVALUATION_BATCH = 64;

/** What {@link labelScore} looks at. */
export interface ScoredSequences {
  readonly split: 'validation' | 'test';
  /** How many: rounded up to whole batches. */
  readonly sequences: number;
  /** Share of each sequence behind which labels count: 0.5 takes those of its second half only. Default 0. */
  readonly from?: number;
}

/** Fraction of labels that are right, and their mean cross-entropy in nats, in evaluation mode. */
export async function labelScore(
  model: SequenceTagger,
  task: TokenTask,
  { split, sequences, from = 0 }: ScoredSequences,
): Promise<{ accuracy: number; nats: number }> {
  const batchSize = Math.min(EVALUATION_BATCH, sequences);
  const scored = [...batches(task, { batchSize, split, end: Math.ceil(sequences / batchSize) })];
  model.eval();
  try {
    const parts = scored.map((batch) => lastPart(batch, from));
    const { labels, rightLabels, crossEntropy } = await scoreTagging(model, parts);
    return { accuracy: rightLabels / labels, nats: crossEntropy / labels };
  } finally {
    model.train();
  }
}

function lastPart(batch: TokenBatch, from: number): TokenBatch {
  if (from === 0) return batch;
  const mask = batch.mask.map((value, i) => (i % batch.length < from * batch.length ? 0 : value));
  return { ...batch, mask };
}
