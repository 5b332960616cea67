/**
 * Product-key memory in the place of a feed-forward block (Lample et al., 2019; Csordás, Irie & Schmidhuber, 2023, section 3.2). The
 * hidden units are the pairs of n sub-keys on either half of the input, without a query projection; for head h
 *
 *     a = x_{1…d/2} A_h    b = x_{d/2+1…d} B_h    score of unit i n + j = a_i + b_j        y = Σ_h Σ_{units} act(score) V[unit]
 *
 * x, y [..., size]   A, B [heads, size / 2, n]   V [n², size], shared by the heads; no biases. Two ways to read it:
 *
 *     dense   all n² units, the scores of all heads summed before the activation; softmax over n². All of the paper's runs took
 *             this way, as their code asks for more units than a half has sub-keys: top-k retrieval was never part of them.
 *     topK    for each head the `retrieved` units with the best scores, which are found among the pairs of the best sub-keys of
 *             either half; softmax over the scores of all heads.
 */

import {
  assertCount,
  assertFloatShape,
  assertOneOf,
  expertMatMul,
  normalInitializer,
  type RandomStream,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { assertActive, best, sumOfChosen } from './choices.ts';
import { FeedForwardBlock, type FeedForwardResult } from './feed-forward-block.ts';
import { EXPERT_INITIALIZATIONS, type ExpertInitialization } from './mixture-of-experts.ts';
import type { Selection } from './selection.ts';

/** Activations of {@link ProductKeyMemory}. */
export const MEMORY_ACTIVATIONS = ['relu', 'softmax'] as const;

/** Name of an activation. */
export type MemoryActivation = (typeof MEMORY_ACTIVATIONS)[number];

/** How {@link ProductKeyMemory} reads. */
export const MEMORY_RETRIEVALS = ['dense', 'topK'] as const;

/** Name of a way to read. */
export type MemoryRetrieval = (typeof MEMORY_RETRIEVALS)[number];

/** Options of {@link ProductKeyMemory}. */
export interface ProductKeyMemoryOptions {
  /** Size of input and output; even. */
  size: number;
  /** Sub-keys of one half; there are subKeys² values. */
  subKeys: number;
  /** Number of heads. Default 4. */
  heads?: number;
  /** Default `'relu'`. */
  activation?: MemoryActivation;
  /** Default `'topK'`. */
  retrieval?: MemoryRetrieval;
  /** Values that a head reads, at most subKeys² (top-K only). Default 16. */
  retrieved?: number;
  /** Deviation of the values: 's / √subKeys²' if dense-equivalent, s / √size if standard, as in the paper's default. Default `'standard'`. */
  initialization?: ExpertInitialization;
  /** Scale s of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** As many values as a dense product is worth for each that is read: the arithmetic of a gather is so much slower. */
const DENSE_PER_RETRIEVED = 16;

type Reading = { outputs: tf.Tensor2D; selections: Selection[] };

/** A memory with factored keys. */
export class ProductKeyMemory extends FeedForwardBlock {
  readonly size: number;
  readonly subKeys: number;
  readonly heads: number;
  readonly activation: MemoryActivation;
  readonly retrieval: MemoryRetrieval;
  readonly retrieved: number;
  readonly multiplyAdds: number;
  /** A: `[heads, size / 2, subKeys]` */
  readonly firstKeys: tf.Variable & tf.Tensor3D;
  /** B: `[heads, size / 2, subKeys]` */
  readonly secondKeys: tf.Variable & tf.Tensor3D;
  /** V: `[subKeys², size]` */
  readonly values: tf.Variable & tf.Tensor2D;

  constructor(options: ProductKeyMemoryOptions) {
    super();
    const { size, subKeys, heads = 4, activation = 'relu', retrieval = 'topK', retrieved = 16, random } = options;
    const { initialization = 'standard', initialScale = 1 } = options;
    assertCount('ProductKeyMemory: size', size);
    if (size % 2 !== 0) {
      throw new RangeError(`ProductKeyMemory: size must be even, as either half has its own keys, but is ${size}.`);
    }
    assertCount('ProductKeyMemory: subKeys', subKeys);
    assertCount('ProductKeyMemory: heads', heads);
    assertOneOf('ProductKeyMemory: activation', activation, MEMORY_ACTIVATIONS);
    assertOneOf('ProductKeyMemory: retrieval', retrieval, MEMORY_RETRIEVALS);
    assertOneOf('ProductKeyMemory: initialization', initialization, EXPERT_INITIALIZATIONS);
    const units = subKeys ** 2;
    if (retrieval === 'topK') assertActive('ProductKeyMemory: retrieved', retrieved, units, 'values');
    this.size = size;
    this.subKeys = subKeys;
    this.heads = heads;
    this.activation = activation;
    this.retrieval = retrieval;
    this.retrieved = retrieved;
    this.multiplyAdds = retrieval === 'dense' ? size * (subKeys + units) : heads * size * (subKeys + retrieved);
    const normal = (shape: number[], fanIn: number) =>
      normalInitializer(initialScale / Math.sqrt(fanIn))(shape, random);
    const keyShape = [heads, size / 2, subKeys];
    const valueFanIn = initialization === 'standard' ? size : units;
    this.firstKeys = this.addParameter('firstKeys', normal(keyShape, size) as tf.Tensor3D);
    this.secondKeys = this.addParameter('secondKeys', normal(keyShape, size) as tf.Tensor3D);
    this.values = this.addParameter('values', normal([units, size], valueFanIn) as tf.Tensor2D);
  }

  /** See {@link FeedForwardBlock.apply}. Selections are of `values`; the dense way has none. */
  apply<T extends tf.Tensor>(inputs: T): FeedForwardResult<T> {
    assertFloatShape('ProductKeyMemory: inputs', inputs, ['...', this.size]);
    const tokens = inputs.size / this.size;
    return tf.tidy(() => {
      const halves = tf.split(tf.reshape(inputs, [tokens, this.size]), 2, 1) as [tf.Tensor2D, tf.Tensor2D];
      const result = this.retrieval === 'dense' ? this.#readAll(halves) : this.#readBest(halves);
      return { ...result, outputs: tf.reshape(result.outputs, inputs.shape) as T };
    });
  }

  #activate(scores: tf.Tensor): tf.Tensor {
    return this.activation === 'relu' ? tf.relu(scores) : tf.softmax(scores);
  }

  #readAll([first, second]: readonly [tf.Tensor2D, tf.Tensor2D]): Reading {
    const tokens = first.shape[0];
    const a = tf.matMul(first, tf.sum(this.firstKeys, 0));
    const b = tf.matMul(second, tf.sum(this.secondKeys, 0));
    const scores = tf.reshape(tf.add(tf.expandDims(a, 2), tf.expandDims(b, 1)), [tokens, this.subKeys ** 2]);
    return { outputs: tf.matMul(this.#activate(scores), this.values) as tf.Tensor2D, selections: [] };
  }

  #readBest([first, second]: readonly [tf.Tensor2D, tf.Tensor2D]): Reading {
    const { heads, subKeys, retrieved } = this;
    const tokens = first.shape[0];
    const kept = Math.min(retrieved, subKeys);
    const scoresOf = (half: tf.Tensor2D, keys: tf.Tensor3D): tf.Tensor => {
      const joined = tf.reshape(tf.transpose(keys, [1, 0, 2]), [this.size / 2, heads * subKeys]);
      return tf.reshape(tf.matMul(half, joined as tf.Tensor2D), [tokens, heads, subKeys]);
    };
    const a = best(scoresOf(first, this.firstKeys), kept);
    const b = best(scoresOf(second, this.secondKeys), kept);
    const pairs = [tokens, heads, kept * kept];
    const sums = tf.reshape(tf.add(tf.expandDims(a.values, 3), tf.expandDims(b.values, 2)), pairs);
    const rows = tf.mul(tf.expandDims(a.indices, 3), tf.scalar(subKeys, 'int32'));
    const units = tf.reshape(tf.add(rows, tf.expandDims(b.indices, 2)), pairs);
    const found = best(sums, retrieved);
    const indices = tf.gather(units, found.indices, 2, 2) as tf.Tensor3D;
    const scores = tf.reshape(found.values, [tokens, heads * retrieved]);
    const weights = this.#activate(scores);
    return {
      outputs: this.#weightedValues(weights, tf.reshape(indices, [tokens, heads * retrieved]) as tf.Tensor2D),
      selections: [
        {
          of: 'values',
          choices: subKeys ** 2,
          indices,
          weights: tf.reshape(weights, [tokens, heads, retrieved]) as tf.Tensor3D,
        },
      ],
    };
  }

  /** Σ_j weights_j V[indices_j], as a product with all values if there are not many, else reading those that count. */
  #weightedValues(weights: tf.Tensor, indices: tf.Tensor2D): tf.Tensor2D {
    const [tokens, count] = indices.shape;
    const units = this.subKeys ** 2;
    if (units <= DENSE_PER_RETRIEVED * count) {
      return tf.matMul(sumOfChosen(weights, indices, units), this.values) as tf.Tensor2D;
    }
    const rows = tf.reshape(weights, [tokens * count, 1]) as tf.Tensor2D;
    const values = tf.reshape(this.values, [units, 1, this.size]) as tf.Tensor3D;
    return expertMatMul(rows, values, tf.reshape(indices, [tokens * count]), { outputRows: tokens });
  }
}
