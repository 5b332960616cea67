/** What learns sequences of tokens: one-hot inputs, an e-LSTM or an LSTM of one layer, logits of the targets. */

import { ElementwiseLstm, Linear, Lstm, Module, type RandomStream, softmaxCrossEntropy } from '@fwp/core';
import type { TokenBatch } from '@fwp/datasets';
import { readValues } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';

/** Sizes of a {@link TokenModel}. */
export interface TokenModelOptions {
  readonly layer: 'elstm' | 'lstm';
  readonly vocabularySize: number;
  readonly targetCount: number;
  readonly hiddenSize: number;
  readonly forgetBias: number;
  readonly random: RandomStream;
}

/** A layer and a head. */
export class TokenModel extends Module {
  readonly layer: ElementwiseLstm | Lstm;
  readonly head: Linear;
  readonly vocabularySize: number;

  constructor({ layer, vocabularySize, targetCount, hiddenSize, forgetBias, random }: TokenModelOptions) {
    super();
    this.vocabularySize = vocabularySize;
    const options = { inputSize: vocabularySize, hiddenSize, forgetBias, random };
    this.layer = this.addModule('layer', layer === 'elstm' ? new ElementwiseLstm(options) : new Lstm(options));
    this.head = this.addModule('head', new Linear({ inputSize: hiddenSize, outputSize: targetCount, random }));
  }

  /** Targets that the model would give, `[batchSize, length]`, in a row. */
  predict(tensors: TokenTensors): Promise<Int32Array> {
    return readValues<'int32'>(tf.tidy(() => tf.argMax(this.head.forward(this.layer.apply(tensors.inputs)), -1)));
  }
}

/** A batch as tensors. */
export type TokenTensors = {
  /** One-hot, `[batchSize, length, vocabularySize]`. */
  inputs: tf.Tensor3D;
  /** `[batchSize, length]`. */
  targets: tf.Tensor2D;
  /** `[batchSize, length]`. */
  mask: tf.Tensor2D;
};

/** Makes tensors of a batch. */
export function tokenTensors(
  { batchSize, length, inputs, targets, mask }: TokenBatch,
  vocabularySize: number,
): TokenTensors {
  return tf.tidy(() => ({
    inputs: tf.cast(
      tf.oneHot(tf.tensor2d(inputs, [batchSize, length], 'int32'), vocabularySize),
      'float32',
    ) as tf.Tensor3D,
    targets: tf.tensor2d(targets, [batchSize, length], 'int32'),
    mask: tf.tensor2d(mask, [batchSize, length]),
  }));
}

/** Steps [begin, begin + length) of a batch. */
export function pieceOf({ inputs, targets, mask }: TokenTensors, begin: number, length: number): TokenTensors {
  const cut = <T extends tf.Tensor>(tensor: T) =>
    tf.slice(tensor, [0, begin], [tensor.shape[0] as number, length]) as T;
  return { inputs: cut(inputs), targets: cut(targets), mask: cut(mask) };
}

/** Cross-entropy of what counts, summed and divided by `count`. */
export function tokenLoss(logits: tf.Tensor, { targets, mask }: TokenTensors, count: number): tf.Scalar {
  return tf.div(softmaxCrossEntropy(logits, targets, { mask, reduction: 'sum' }), Math.max(count, 1)) as tf.Scalar;
}

/** Shares of right answers: of sequences in which all that counts is right, and of single targets that `concerns` picks. */
export function accuracies(
  predictions: Int32Array,
  { batchSize, length, targets, mask }: TokenBatch,
  concerns: (target: number) => boolean,
): { sequences: number; tokens: number } {
  let [rightSequences, rightTokens, tokens] = [0, 0, 0];
  for (let row = 0; row < batchSize; row++) {
    let isRight = true;
    for (let i = row * length; i < (row + 1) * length; i++) {
      const target = targets[i] as number;
      const hit = predictions[i] === target;
      if (mask[i] === 1 && !hit) isRight = false;
      if (!concerns(target)) continue;
      tokens++;
      if (hit) rightTokens++;
    }
    if (isRight) rightSequences++;
  }
  return { sequences: rightSequences / batchSize, tokens: rightTokens / Math.max(tokens, 1) };
}
