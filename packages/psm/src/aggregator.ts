/**
 * What merges two neighbouring pieces of a sequence into one, Agg(a, b): any binary function of chunks, the earlier piece on the
 * left. Usually it is a Transformer (`transformer-aggregator.ts`); without attention, slot by slot,
 *
 *     feedForward    Agg(a, b) = norm(b + W₂ gelu(W₁ [a ; b] + b₁) + b₂)
 *
 * a, b [nodes, chunkSize, size]; [· ; ·] joins the vectors of each slot, W₁ [2 · size, hiddenSize]. The normalisation keeps the scale of
 * what goes through many levels of the tree.
 */

import {
  assertCount,
  constantInitializer,
  type Initializer,
  LayerNorm,
  Linear,
  lecunNormal,
  Module,
  type RandomStream,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Merges neighbouring pieces; any module with such a method is one. */
export interface Aggregator extends Module {
  /** Elements of its chunks, where it is made for one number of them. Default: it takes any. */
  readonly chunkSize?: number | undefined;

  /**
   * Merges many pairs at once, each by itself.
   *
   * @param earlier float32 `[nodes, chunkSize, size]`
   * @param later what comes behind it, of the same shape
   * @returns float32 `[nodes, chunkSize, size]`
   */
  combine(earlier: tf.Tensor3D, later: tf.Tensor3D): tf.Tensor3D;
}

/** Options of {@link FeedForwardAggregator}. */
export interface FeedForwardAggregatorOptions {
  /** Size of a vector. */
  size: number;
  /** Hidden units. Default 4 · size. */
  hiddenSize?: number | undefined;
  /** Of both matrices. Default N(0, 1 / inputs). */
  weightInitializer?: Initializer | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A feed-forward net on the two vectors of each slot: merges without attention. */
export class FeedForwardAggregator extends Module implements Aggregator {
  readonly input: Linear;
  readonly output: Linear;
  readonly norm: LayerNorm;

  constructor({ size, weightInitializer = lecunNormal(), random, ...options }: FeedForwardAggregatorOptions) {
    super();
    const { hiddenSize = 4 * size } = options;
    assertCount('FeedForwardAggregator: size', size);
    assertCount('FeedForwardAggregator: hiddenSize', hiddenSize);
    const common = {
      weightInitializer,
      biasInitializer: constantInitializer(0),
      random,
    };
    const inward = {
      ...common,
      inputSize: 2 * size,
      outputSize: hiddenSize,
      activation: 'gelu',
    } as const;
    this.input = this.addModule('input', new Linear(inward));
    this.output = this.addModule('output', new Linear({ ...common, inputSize: hiddenSize, outputSize: size }));
    this.norm = this.addModule('norm', new LayerNorm({ size }));
  }

  /** See {@link Aggregator.combine}. */
  combine(earlier: tf.Tensor3D, later: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const change = this.output.forward(this.input.forward(tf.concat([earlier, later], 2)));
      return this.norm.addAndNormalize(later, change).output;
    });
  }
}
