/**
 * From a sentence to a class with LSTMs in both directions, the baseline of CTL and CTL++:
 *
 *     x = dropout(E[tokens])      h→, h← = LSTM layers forward, backward      logits = W [h→ at the last token, h← at the first] + b
 *
 * The states are those of the top layer behind all tokens of their direction, for every number of layers. (The published code
 * takes others for two and more layers.)
 */

import {
  assertShape,
  assertTensor,
  Dropout,
  Embedding,
  embedding,
  Linear,
  Lstm,
  Module,
  type RandomStream,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { assertLengths, lastColumns, presence } from './sequence-classifier.ts';

/** Options of {@link LstmClassifier}. */
export interface LstmClassifierOptions {
  /** Number of symbols; tokens are below. */
  vocabularySize: number;
  /** Number of classes. */
  classes: number;
  /** Size of embeddings. */
  size: number;
  /** Size of the state of each direction. Default size / 2, or size in one direction. */
  hiddenSize?: number | undefined;
  /** Number of layers. Default 1. */
  layers?: number | undefined;
  /** Default true. */
  bidirectional?: boolean | undefined;
  /** Dropout rate of embeddings and between layers. Default 0. */
  dropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A classifier of sentences. */
export class LstmClassifier extends Module {
  readonly embedding: Embedding;
  readonly lstm: Lstm;
  readonly classes: Linear;
  readonly #bidirectional: boolean;
  readonly #dropout: Dropout;

  constructor(options: LstmClassifierOptions) {
    super();
    const { vocabularySize, classes, size, layers = 1, bidirectional = true, dropout = 0, random } = options;
    const { hiddenSize = bidirectional ? Math.ceil(size / 2) : size } = options;
    this.#bidirectional = bidirectional;
    try {
      this.embedding = this.addModule('embedding', new Embedding({ vocabularySize, size, random }));
      const states = { inputSize: size, hiddenSize, layers, bidirectional, dropout, random };
      this.lstm = this.addModule('lstm', new Lstm(states));
      const { outputSize: inputSize } = this.lstm;
      this.classes = this.addModule('classes', new Linear({ inputSize, outputSize: classes, random }));
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param tokens int32 `[batch, length]`
   * @param lengths int32 `[batch]`: number of tokens of each sentence; what follows is padding. Default: no padding
   * @returns logits, float32 `[batch, classes]`
   */
  forward(tokens: tf.Tensor2D, lengths?: tf.Tensor1D): tf.Tensor2D {
    assertTensor('LstmClassifier: tokens', tokens, 'int32');
    const { batch, length } = assertShape('LstmClassifier: tokens', tokens, ['batch', 'length']) as Record<
      string,
      number
    >;
    const [rows, columns] = [batch as number, length as number];
    if (lengths !== undefined) assertLengths('LstmClassifier: lengths', lengths, { batch: rows, length: columns });
    return tf.tidy(() => {
      const x = this.#dropout.forward(this.embedding.forward(tokens)) as tf.Tensor3D;
      const paddingMask = lengths && presence(lengths, columns);
      const states = this.lstm.apply(x, { paddingMask });
      const width = this.lstm.hiddenSize;
      const first = tf.mul(tf.range(0, rows, 1, 'int32'), tf.scalar(columns, 'int32'));
      const last = tf.add(first, lastColumns(lengths, rows, columns));
      const at = (places: tf.Tensor, begin: number): tf.Tensor2D => {
        const all: tf.Tensor2D = tf.reshape(states, [rows * columns, this.lstm.outputSize]);
        return tf.slice(embedding(all, places) as tf.Tensor2D, [0, begin], [rows, width]);
      };
      const read = this.#bidirectional ? tf.concat([at(last, 0), at(first, width)], 1) : at(last, 0);
      return this.classes.forward(read as tf.Tensor2D);
    });
  }
}
