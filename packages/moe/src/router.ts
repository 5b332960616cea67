/**
 * A router: the logits of all experts for each token, l = x W [tokens, experts], and whole-expert dropout.
 *
 * W [size, experts] is N(0, s² / size) at first. With `normalize`, the vector of each expert is scaled to the same length, so that
 * no expert is preferred at first, and W back to the deviation that it had (Csordás, Irie & Schmidhuber, 2023, section 5).
 */

import { assertNumber, branch, Module, normalInitializer, type RandomStream, randomBernoulli } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link Router}. */
export interface RouterOptions {
  /** Size of an input vector. */
  size: number;
  /** Number of experts. */
  experts: number;
  /** Probability that an expert is dropped for a token in training. Default 0. */
  dropout?: number;
  /** Whether all experts' vectors have the same length at first. Default true. */
  normalize?: boolean;
  /** s. Default 1. */
  initialScale?: number;
  /** Draws the initial values; dropout branches off it. */
  random: RandomStream;
}

/** Scores experts for tokens. */
export class Router extends Module {
  /** `[size, experts]`: a column for each expert. */
  readonly weight: tf.Variable & tf.Tensor2D;
  readonly dropout: number;
  readonly #random: RandomStream;

  constructor(options: RouterOptions) {
    super();
    const { size, experts, dropout = 0, normalize = true, initialScale = 1, random } = options;
    assertNumber('Router: dropout', dropout, 0, 1 - 2 ** -32);
    this.dropout = dropout;
    const initial = tf.tidy(() => {
      const drawn = normalInitializer(initialScale / Math.sqrt(size))([size, experts], random) as tf.Tensor2D;
      return normalize ? withEqualColumns(drawn) : drawn;
    });
    this.weight = this.addParameter('weight', initial);
    this.#random = this.addRandomStream('random', branch(random));
  }

  /**
   * @param inputs float32 `[tokens, size]`
   * @returns float32 `[tokens, experts]`
   */
  forward(inputs: tf.Tensor2D): tf.Tensor2D {
    return tf.matMul(inputs, this.weight);
  }

  /** What dropout leaves, 1 or 0 in the given shape; undefined where it drops nothing. */
  mask(shape: number[]): tf.Tensor | undefined {
    if (!this.training || this.dropout === 0) return undefined;
    return randomBernoulli(this.#random, shape, { probability: 1 - this.dropout, dtype: 'float32' });
  }
}

/** All columns scaled to one length, and the whole to the deviation that it had; unchanged where directions don't differ. */
function withEqualColumns(weight: tf.Tensor2D): tf.Tensor2D {
  const deviation = (x: tf.Tensor) => tf.sqrt(tf.moments(x).variance);
  const directions = tf.div(weight, tf.norm(weight, 2, 0, true));
  const spread = deviation(directions);
  const scaled = tf.mul(directions, tf.div(deviation(weight), spread));
  // Vectors of one component are 1 or −1 as directions: where all have the same sign, their deviation is 0 but for rounding.
  return tf.where(tf.greater(spread, SAME), scaled, weight) as tf.Tensor2D;
}

/** A deviation of directions below this is that of rounding errors. */
const SAME = 1e-6;
