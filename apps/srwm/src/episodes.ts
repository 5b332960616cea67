/** Batches of episodes as tensors, the loss of a model on them, and which of its predictions are right. */

import { softmaxCrossEntropy } from '@fwp/core';
import type { FewShotBatch, FewShotTask } from '@fwp/datasets';
import { readValues } from '@fwp/lab';
import type { FewShotModel } from '@fwp/srwm';
import * as tf from '@tensorflow/tfjs-core';

/** A {@link FewShotBatch} as tensors. */
export interface EpisodeTensors {
  /** float32 `[batch, length, …shape]`. */
  readonly examples: tf.Tensor;
  /** int32 `[batch, length]`. */
  readonly labels: tf.Tensor2D;
  /** int32 `[batch, length]`. */
  readonly targets: tf.Tensor2D;
  /** float32 `[batch, length]`. */
  readonly mask: tf.Tensor2D;
}

/** The tensors of a batch; the caller frees them (`tf.tidy`). */
export function toTensors(batch: FewShotBatch, shape: readonly number[]): EpisodeTensors {
  const extent: [number, number] = [batch.batchSize, batch.length];
  return {
    examples: tf.tensor(batch.examples, [...extent, ...shape]),
    labels: tf.tensor2d(batch.labels, extent, 'int32'),
    targets: tf.tensor2d(batch.targets, extent, 'int32'),
    mask: tf.tensor2d(batch.mask, extent),
  };
}

/** Mean cross-entropy of all positions that count. */
export function episodeLoss(model: FewShotModel, { examples, labels, targets, mask }: EpisodeTensors): tf.Scalar {
  return softmaxCrossEntropy(model.apply(examples, labels), targets, { mask }) as tf.Scalar;
}

/** How many predictions are right, and how many there were, at each position. */
export interface Score {
  readonly right: number[];
  readonly asked: number[];
}

/** Scores a model on `batches` batches of a split, the same ones every time. */
export async function evaluate(
  model: FewShotModel,
  task: FewShotTask,
  split: 'validation' | 'test',
  { batches, batchSize }: { readonly batches: number; readonly batchSize: number },
  placeOf: (batch: FewShotBatch, row: number, position: number) => number = (_batch, _row, position) => position,
): Promise<Score> {
  const score: Score = { right: [], asked: [] };
  model.eval();
  for (let index = 0; index < batches; index++) {
    const batch = task.batch(index, batchSize, split);
    const answers = tf.tidy(() => {
      const { examples, labels } = toTensors(batch, task.exampleShape);
      return tf.argMax(model.apply(examples, labels), -1);
    });
    const predicted = await readValues<'int32'>(answers);
    batch.mask.forEach((counts, i) => {
      if (counts === 0) return;
      const place = placeOf(batch, Math.floor(i / batch.length), i % batch.length);
      score.asked[place] = (score.asked[place] ?? 0) + 1;
      score.right[place] = (score.right[place] ?? 0) + Number(predicted[i] === batch.targets[i]);
    });
  }
  model.train();
  return score;
}

/** Share of right predictions over places `from` to before `to`. */
export function accuracyOf({ right, asked }: Score, from = 0, to: number = asked.length): number {
  const sum = (counts: number[]) => counts.slice(from, to).reduce((total, count) => total + (count ?? 0), 0);
  return sum(right) / sum(asked);
}
