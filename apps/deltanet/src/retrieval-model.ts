/**
 * The model of the retrieval tasks (section 6.1): pairs of a symbol and a value are stored, then values are asked for.
 *
 *     x_t = [onehot(value_t); e(symbol_t)]    k_t = W_k x_t + b_k    β_t = sigmoid(w_β · x_t + b_β)    v_t = onehot(value_t)
 *     q = W_q e(asked) + b_q                  y = memory(k, v, β; q)
 *     loss = ½ ‖y − onehot(wanted)‖²
 *
 * with N symbols, N values, embeddings e of size ⌊1.1 · 2N⌋ and keys of size d. The part of a projection that sees the
 * symbol is applied to the N embeddings and looked up, not to every position: the same numbers for less work.
 */

import { Embedding, embedding, Linear, Module, type RandomStream, uniformInitializer } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { type AssociativeMemory, createMemory } from './associative-memory.ts';

/** Options of {@link RetrievalModel}. */
export interface RetrievalModelOptions {
  /** Name of the memory; see `associative-memory.ts`. */
  readonly memory: string;
  /** Number N of symbols, and of values. */
  readonly keys: number;
  /** Size d of the keys before the feature map. */
  readonly keySize: number;
  readonly random: RandomStream;
}

/** Sequences of pairs with questions: int32 ids; see {@link RetrievalModel.forward}. */
export interface RetrievalTensors {
  /** `[batch, length]` */
  readonly keys: tf.Tensor2D;
  /** `[batch, length]` */
  readonly values: tf.Tensor2D;
  /** `[batch, queries]` */
  readonly queries: tf.Tensor2D;
  /** `[batch, queries]` */
  readonly targets: tf.Tensor2D;
  /** float32 `[batch, queries]`: 1 for a question, 0 for none. */
  readonly mask: tf.Tensor2D;
}

/** Stores pairs in an associative memory and recalls values. */
export class RetrievalModel extends Module {
  readonly #count: number;
  readonly #memory: AssociativeMemory;
  readonly #symbols: Embedding;
  readonly #key: Linear;
  readonly #query: Linear;
  readonly #valueToKey: Embedding;
  readonly #beta: Linear | undefined;
  readonly #valueToBeta: Embedding | undefined;

  constructor({ memory, keys, keySize, random }: RetrievalModelOptions) {
    super();
    const size = Math.floor(1.1 * 2 * keys);
    const inputSize = size + keys;
    this.#count = keys;
    this.#memory = createMemory(memory, keySize, this.addRandomStream('memory', random.split('memory')));
    const softmax = this.#memory.rule === 'softmax';
    const projection = uniformInitializer(1 / Math.sqrt(keySize));
    const xavier = (fanIn: number) => uniformInitializer(Math.sqrt(6 / (fanIn + keySize)));
    const keyInitializer = softmax ? xavier(inputSize) : projection;
    this.#symbols = this.addModule('symbols', new Embedding({ vocabularySize: keys, size, random }));
    this.#key = this.addModule(
      'key',
      new Linear({
        inputSize: size,
        outputSize: keySize,
        random,
        weightInitializer: keyInitializer,
        biasInitializer: uniformInitializer(1 / Math.sqrt(inputSize)),
      }),
    );
    this.#valueToKey = this.addModule(
      'valueToKey',
      new Embedding({ vocabularySize: keys, size: keySize, random, initializer: keyInitializer }),
    );
    this.#query = this.addModule(
      'query',
      new Linear({
        inputSize: size,
        outputSize: keySize,
        random,
        weightInitializer: softmax ? xavier(size) : projection,
      }),
    );
    if (this.#memory.rule === 'delta' || this.#memory.rule === 'fwm') {
      const initializer = uniformInitializer(1 / Math.sqrt(inputSize));
      const initializers = { weightInitializer: initializer, biasInitializer: initializer };
      this.#beta = this.addModule('beta', new Linear({ inputSize: size, outputSize: 1, random, ...initializers }));
      this.#valueToBeta = this.addModule(
        'valueToBeta',
        new Embedding({ vocabularySize: keys, size: 1, random, initializer }),
      );
    }
  }

  /** @returns the recalled values `[batch, queries, N]` */
  forward({ keys, values, queries }: RetrievalTensors): tf.Tensor3D {
    return tf.tidy(() => {
      const ofPair = (symbol: Linear, value: Embedding) =>
        tf.add(embedding(symbol.forward(this.#symbols.weight), keys), value.forward(values)) as tf.Tensor3D;
      return this.#memory.recall({
        keys: ofPair(this.#key, this.#valueToKey),
        values: tf.oneHot(values, this.#count, 1, 0, 'float32') as tf.Tensor3D,
        queries: embedding(this.#query.forward(this.#symbols.weight), queries) as tf.Tensor3D,
        beta:
          this.#beta && this.#valueToBeta
            ? (tf.sigmoid(tf.squeeze(ofPair(this.#beta, this.#valueToBeta), [2])) as tf.Tensor2D)
            : tf.ones(keys.shape),
      });
    });
  }

  /** @returns ½ ‖y − onehot(wanted)‖², the mean over all questions */
  loss(tensors: RetrievalTensors): tf.Scalar {
    return tf.tidy(() => {
      const wanted = tf.oneHot(tensors.targets, this.#count, 1, 0, 'float32');
      const errors = tf.sum(tf.square(tf.sub(this.forward(tensors), wanted)), -1);
      return tf.div(tf.mul(0.5, tf.sum(tf.mul(errors, tensors.mask))), tf.sum(tensors.mask));
    });
  }
}
