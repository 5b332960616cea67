/**
 * Dropout: while training, each element becomes 0 with probability `rate` and is divided by 1 − rate otherwise
 * (Srivastava et al., 2014); in evaluation nothing happens.
 *
 * What is dropped follows from a random stream of the layer's own, whose state is part of checkpoints.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { dropout } from '../ops/dropout.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertNumber } from '../shape-checks.ts';
import { branch } from './initializers.ts';
import { Module } from './module.ts';

/** Options of {@link Dropout}. */
export interface DropoutOptions {
  /** Probability that an element is dropped, from 0 to below 1. */
  rate: number;
  /** The layer branches a stream of its own off this one. */
  random: RandomStream;
}

/** Dropout in training mode, nothing in evaluation mode. */
export class Dropout extends Module {
  readonly rate: number;
  readonly #random: RandomStream;

  constructor(options: DropoutOptions) {
    super();
    const { rate, random } = options;
    assertNumber('Dropout: rate', rate, 0, 1 - 2 ** -32);
    this.rate = rate;
    this.#random = this.addRandomStream('random', branch(random));
  }

  /**
   * @param x float32 of any shape
   * @returns the same shape; in evaluation, and with rate 0, x itself
   */
  forward<T extends Tensor>(x: T): T {
    return this.training && this.rate > 0 ? dropout(x, this.rate, this.#random) : x;
  }
}
