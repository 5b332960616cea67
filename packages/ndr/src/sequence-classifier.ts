/**
 * From a sentence to a class with one layer, applied again and again (Csordás, Irie and Schmidhuber, 2022, section 3):
 *
 *     h_0 = E[tokens] (+ positions, with dropout)      h_{l+1} = layer(h_l), l < layers      logits = W h_layers[column] + b
 *
 * tokens int32 [batch, length], E [vocabularySize, size] N(0, 1) at first, logits [batch, classes]. The column that is read is
 * the first or that of the last token. With adaptive computation each column takes as many steps as it wants, up to `layers`.
 */

import {
  assertCount,
  assertIndices,
  assertNumber,
  assertOneOf,
  assertShape,
  assertTensor,
  Dropout,
  Embedding,
  embedding,
  type Initializer,
  Linear,
  Module,
  type RandomStream,
  repeatLayer,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { type AdaptiveComputationOptions, adaptiveComputation } from './adaptive-computation.ts';
import type { ColumnLayer } from './column-attention.ts';
import { type ColumnLayerName, type ColumnLayerOptions, createColumnLayer } from './column-layers.ts';
import { sinusoidalPositions } from './sinusoidal-positions.ts';

/** A layer's name with its options; what the model knows is left out. */
export type ColumnLayerSpecification = { name: ColumnLayerName } & Omit<ColumnLayerOptions, 'size' | 'random'>;

/** Options of {@link SequenceClassifier}. */
export interface SequenceClassifierOptions {
  /** Number of symbols; tokens are below. */
  vocabularySize: number;
  /** Number of classes. */
  classes: number;
  /** Size of a column. */
  size: number;
  /** How often the layer is applied. */
  layers: number;
  /** The layer, for example `{ name: 'neuralDataRouter', dropout: 0.1 }`, or a layer, which becomes the model's own. */
  layer: ColumnLayerSpecification | ColumnLayer;
  /** Which column is read: of the first or of the last token. Default `'last'`. */
  readOut?: 'first' | 'last' | undefined;
  /** Whether sinusoids are added to embeddings. Default: for the layer `universal`. */
  positions?: 'none' | 'sinusoidal' | undefined;
  /** Dropout rate of the sum of embeddings and positions. Default 0.1. */
  positionDropout?: number | undefined;
  /** Of E. Default N(0, 1). */
  embeddingInitializer?: Initializer | undefined;
  /** Whether each column halts when it wants. Default: all take `layers` steps. */
  adaptive?: Pick<AdaptiveComputationOptions, 'threshold' | 'weighting'> | undefined;
  /** Whether the backward computes inner values of layers again instead of keeping them. Default false. */
  recompute?: boolean | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** What {@link SequenceClassifier.trace} records. */
export interface ClassifierTrace {
  /** Columns before each application, and after the last, `[batch, length, size]`. */
  readonly columns: readonly tf.Tensor3D[];
  /** Weights of the attention of each application, `[batch, heads, length, length]`. */
  readonly attention: readonly tf.Tensor4D[];
  /** Gates of each application, `[batch, length, size]`; empty for layers without gates. */
  readonly gates: readonly tf.Tensor3D[];
}

/** A classifier of sentences. */
export class SequenceClassifier extends Module {
  readonly size: number;
  /** How often the layer is applied; may be changed, for example for longer sentences. */
  layers: number;
  readonly embedding: Embedding;
  readonly layer: ColumnLayer;
  readonly classes: Linear;
  /** From a column to the logit of halting; with adaptive computation. */
  readonly halting: Linear | undefined;
  readonly #options: SequenceClassifierOptions;
  readonly #positions: 'none' | 'sinusoidal';
  readonly #dropout: Dropout;

  constructor(options: SequenceClassifierOptions) {
    super();
    const { vocabularySize, classes, size, layers, layer, readOut = 'last', positionDropout = 0.1, random } = options;
    assertCount('SequenceClassifier: layers', layers, 0);
    assertOneOf('SequenceClassifier: readOut', readOut, ['first', 'last']);
    assertNumber('SequenceClassifier: positionDropout', positionDropout, 0, 1 - 2 ** -32);
    const isUniversal = !(layer instanceof Module) && layer.name === 'universal';
    const { positions = isUniversal ? 'sinusoidal' : 'none' } = options;
    assertOneOf('SequenceClassifier: positions', positions, ['none', 'sinusoidal']);
    this.size = size;
    this.layers = layers;
    this.#options = { ...options, readOut };
    this.#positions = positions;
    try {
      const { embeddingInitializer: initializer } = options;
      const table = new Embedding({ vocabularySize, size, random, ...(initializer ? { initializer } : {}) });
      this.embedding = this.addModule('embedding', table);
      const made =
        layer instanceof Module ? layer : createColumnLayer(layer.name, { ...withoutName(layer), size, random });
      this.layer = this.addModule('layer', made as ColumnLayer);
      this.classes = this.addModule('classes', new Linear({ inputSize: size, outputSize: classes, random }));
      if (options.adaptive !== undefined) {
        this.halting = this.addModule('halting', new Linear({ inputSize: size, outputSize: 1, random }));
      }
      this.#dropout = this.addModule('dropout', new Dropout({ rate: positionDropout, random }));
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
    return tf.tidy(() => this.forwardAdaptively(tokens, lengths).logits);
  }

  /**
   * Logits, and the time that columns took: what the loss punishes. Without adaptive computation that is `layers`.
   *
   * @param tokens int32 `[batch, length]`
   * @param lengths int32 `[batch]`
   */
  forwardAdaptively(tokens: tf.Tensor2D, lengths?: tf.Tensor1D): { logits: tf.Tensor2D; ponderTime: tf.Scalar } {
    const { batch, length } = this.#assertSentences(tokens, lengths);
    const { recompute, adaptive, readOut } = this.#options;
    const result = tf.tidy(() => {
      const paddingMask = lengths && presence(lengths, length);
      const x = this.#embed(tokens);
      let columns: tf.Tensor3D;
      let ponderTime: tf.Scalar = tf.scalar(this.layers);
      if (adaptive === undefined) {
        const constants = paddingMask === undefined ? [] : [paddingMask];
        const apply = (h: tf.Tensor3D, _: number, [mask]: readonly tf.Tensor[]) => this.layer.apply(h, mask);
        columns = repeatLayer(this.layer, x, apply, { times: this.layers, recompute, constants });
      } else {
        const halt = (h: tf.Tensor3D): tf.Tensor2D => tf.squeeze((this.halting as Linear).forward(h), [2]);
        const limits = { ...adaptive, maxSteps: this.layers, paddingMask };
        ({ output: columns, ponderTime } = adaptiveComputation(
          x,
          halt,
          (h) => this.layer.apply(h, paddingMask),
          limits,
        ));
      }
      const rows = readOut === 'first' ? tf.zeros([batch], 'int32') : lastColumns(lengths, batch, length);
      const places = tf.add(tf.mul(tf.range(0, batch, 1, 'int32'), tf.scalar(length, 'int32')), rows);
      const read = embedding(tf.reshape(columns, [batch * length, this.size]), places);
      return { logits: this.classes.forward(read), ponderTime } as unknown as tf.TensorContainerObject;
    });
    return result as unknown as { logits: tf.Tensor2D; ponderTime: tf.Scalar };
  }

  /**
   * What happens in the layers, in evaluation mode.
   *
   * @param tokens int32 `[batch, length]`
   * @param lengths int32 `[batch]`
   */
  trace(tokens: tf.Tensor2D, lengths?: tf.Tensor1D): ClassifierTrace {
    const { length } = this.#assertSentences(tokens, lengths);
    const wasTraining = this.training;
    this.eval();
    try {
      const result = tf.tidy(() => {
        const paddingMask = lengths && presence(lengths, length);
        const columns = [this.#embed(tokens)];
        const attention: tf.Tensor4D[] = [];
        const gates: tf.Tensor3D[] = [];
        for (let l = 0; l < this.layers; l++) {
          const h = columns[l] as tf.Tensor3D;
          attention.push(this.layer.attention.attentionWeights(h, paddingMask));
          const open = this.layer.gates(h, paddingMask);
          if (open !== undefined) gates.push(open);
          columns.push(this.layer.apply(h, paddingMask));
        }
        return { columns, attention, gates } as unknown as tf.TensorContainerObject;
      });
      return result as unknown as ClassifierTrace;
    } finally {
      this.train(wasTraining);
    }
  }

  #embed(tokens: tf.Tensor2D): tf.Tensor3D {
    const vectors = this.embedding.forward(tokens) as tf.Tensor3D;
    if (this.#positions === 'none') return vectors;
    const positions = Array.from({ length: tokens.shape[1] }, (_, t) => t);
    return this.#dropout.forward(tf.add<tf.Tensor3D>(vectors, sinusoidalPositions(positions, this.size)));
  }

  #assertSentences(tokens: tf.Tensor2D, lengths: tf.Tensor1D | undefined): { batch: number; length: number } {
    assertTensor('SequenceClassifier: tokens', tokens, 'int32');
    const sizes = assertShape('SequenceClassifier: tokens', tokens, ['batch', 'length']) as {
      batch: number;
      length: number;
    };
    if (lengths !== undefined) assertLengths('SequenceClassifier: lengths', lengths, sizes);
    return sizes;
  }
}

/**
 * Makes sure that lengths are int32 `[batch]`, each from 1 to `length` where that can be seen without waiting for a GPU.
 *
 * @throws RangeError or TypeError saying what they are
 */
export function assertLengths(
  name: string,
  lengths: tf.Tensor1D,
  { batch, length }: { batch: number; length: number },
): void {
  assertTensor(name, lengths, 'int32');
  assertShape(name, lengths, [batch]);
  const last = lastColumns(lengths, batch, length);
  try {
    assertIndices(`${name} − 1 at `, last, length, `a sentence has at least one token and at most as many as columns.`);
  } finally {
    last.dispose();
  }
}

/** bool `[batch, length]`: true for tokens, false for the padding behind them. */
export function presence(lengths: tf.Tensor1D, length: number): tf.Tensor2D {
  return tf.tidy(() => tf.less<tf.Tensor2D>(tf.range(0, length, 1, 'int32'), tf.expandDims(lengths, 1)));
}

/** Numbers of the last tokens. */
export function lastColumns(lengths: tf.Tensor1D | undefined, batch: number, length: number): tf.Tensor1D {
  const ends = lengths ?? tf.fill([batch], length, 'int32');
  return tf.tidy(() => tf.sub(ends as tf.Tensor1D, tf.scalar(1, 'int32')));
}

function withoutName({ name: _, ...options }: ColumnLayerSpecification): Omit<ColumnLayerOptions, 'size' | 'random'> {
  return options;
}
