/** How a model does on batches of tagged sequences: its loss, and how many of them it has right. */

import { softmaxCrossEntropy } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Sequences with a label for each symbol that counts: what the token tasks of `@fwp/datasets` give. */
export interface TaggedBatch {
  readonly batchSize: number;
  readonly length: number;
  /** Symbols, `[batchSize, length]`. */
  readonly inputs: Int32Array;
  /** Labels, `[batchSize, length]`. */
  readonly targets: Int32Array;
  /** 1 where a label counts, 0 elsewhere, `[batchSize, length]`. */
  readonly mask: Float32Array;
}

/** What gives logits for tokens: a `SequenceTagger`, or a language model. */
export interface TokenModel {
  /**
   * @param tokens int32 `[batch, length]`
   * @returns float32 `[batch, length, labels]`
   */
  apply(tokens: tf.Tensor2D): tf.Tensor3D;
}

/**
 * Mean cross-entropy of the labels that count.
 *
 * @param model gives the labels' logits
 * @param batch sequences, padded at the end
 */
export function taggingLoss(model: TokenModel, batch: TaggedBatch): tf.Scalar {
  return tf.tidy(() => {
    const { inputs, targets, mask } = tensorsOf(batch);
    return softmaxCrossEntropy(model.apply(inputs), targets, { mask }) as tf.Scalar;
  });
}

/** How many are right. */
export interface TaggingScore {
  readonly sequences: number;
  /** Sequences all of whose labels are predicted. */
  readonly rightSequences: number;
  readonly labels: number;
  readonly rightLabels: number;
  /** Sum of the cross-entropies of all labels that the mask counts, in nats. */
  readonly crossEntropy: number;
  /** Labels that are marked, and those of them that are predicted; 0 without marks. */
  readonly markedLabels: number;
  readonly rightMarkedLabels: number;
}

/** Options of {@link scoreTagging}. */
export interface ScoreTaggingOptions<Batch extends TaggedBatch = TaggedBatch> {
  /** A label that says nothing: a sequence must have it right, but it is not counted among the labels. Default: none. */
  readonly blank?: number | undefined;
  /** Which labels of a batch are to be counted apart as well: 1 for these, 0 for others, `[batchSize, length]`. Default: none. */
  readonly marks?: ((batch: Batch) => ArrayLike<number>) | undefined;
}

/**
 * Counts predictions that are right. A sequence is, if all of its labels are.
 *
 * @param model gives the labels' logits
 * @param batches sequences, padded at the end; what is counted is the sum over all batches
 * @param options a label to leave out, and labels to count apart
 */
export async function scoreTagging<Batch extends TaggedBatch>(
  model: TokenModel,
  batches: Iterable<Batch>,
  { blank, marks }: ScoreTaggingOptions<Batch> = {},
): Promise<TaggingScore> {
  let [sequences, rightSequences, labels, rightLabels, crossEntropy] = [0, 0, 0, 0, 0];
  let [markedLabels, rightMarkedLabels] = [0, 0];
  for (const batch of batches) {
    const { batchSize, length, targets, mask } = batch;
    const { predicted, nats } = await predict(model, batch);
    const marked = marks?.(batch);
    sequences += batchSize;
    crossEntropy += nats;
    for (let row = 0; row < batchSize; row++) {
      let wrong = 0;
      for (let i = row * length; i < (row + 1) * length; i++) {
        if (mask[i] === 0) continue;
        const right = predicted[i] === targets[i];
        if (!right) wrong += 1;
        if (targets[i] === blank) continue;
        labels += 1;
        if (right) rightLabels += 1;
        if (marked?.[i] !== 1) continue;
        markedLabels += 1;
        if (right) rightMarkedLabels += 1;
      }
      if (wrong === 0) rightSequences += 1;
    }
  }
  return { sequences, rightSequences, labels, rightLabels, crossEntropy, markedLabels, rightMarkedLabels };
}

/** The likeliest labels, and the sum of the cross-entropies of those that count. */
async function predict(model: TokenModel, batch: TaggedBatch): Promise<{ predicted: ArrayLike<number>; nats: number }> {
  const tensors = tf.tidy(() => {
    const { inputs, targets, mask } = tensorsOf(batch);
    const logits = model.apply(inputs);
    return [tf.argMax(logits, -1), softmaxCrossEntropy(logits, targets, { mask, reduction: 'sum' })];
  }) as [tf.Tensor, tf.Tensor];
  try {
    const [predicted, nats] = await Promise.all(tensors.map((tensor) => tensor.data()));
    return { predicted: predicted as ArrayLike<number>, nats: nats?.[0] as number };
  } finally {
    tf.dispose(tensors);
  }
}

function tensorsOf({ batchSize, length, inputs, targets, mask }: TaggedBatch) {
  const shape: [number, number] = [batchSize, length];
  return {
    inputs: tf.tensor2d(inputs, shape, 'int32'),
    targets: tf.tensor2d(targets, shape, 'int32'),
    mask: tf.tensor2d(mask, shape),
  };
}
