/**
 * The classical self-organising map, which learns vector by vector (Kohonen 1982):
 *
 *     k = argmin_j ‖z − w_j‖²        w_j ← w_j + η H_{k j}(t) (z − w_j)        t ← t + 1
 */

import {
  assertCount,
  assertFloatShape,
  assertNumber,
  embedding,
  type Initializer,
  Module,
  normalInitializer,
  type RandomStream,
  vqAssign,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { cellsOf } from './grid.ts';
import { Neighborhood, type NeighborhoodKind } from './neighborhood.ts';

/** Options of {@link OnlineSom}. */
export interface OnlineSomOptions {
  /** Sizes of the grid's axes; their product is the number of codes. */
  gridShape: readonly number[];
  /** Size of a vector. */
  size: number;
  /** Default `'gaussian'`. */
  neighborhood?: NeighborhoodKind;
  /** τ. Default 0.001: the neighbourhood is half as wide after a thousand vectors. */
  shrinkage?: number;
  /** s of `'gaussian'`. Default 10. */
  width?: number;
  /** η. Default 0.1. */
  learningRate?: number;
  /** Draws the first codes. */
  random: RandomStream;
  /** Default: standard normal. */
  initializer?: Initializer;
}

/** A map that learns from one vector at a time. */
export class OnlineSom extends Module {
  readonly size: number;
  readonly neighborhood: Neighborhood;
  readonly learningRate: number;
  /** w, `[codes, size]` */
  readonly codebook: tf.Variable & tf.Tensor2D;
  readonly #step: tf.Variable & tf.Tensor1D;

  constructor(options: OnlineSomOptions) {
    super();
    const { gridShape, size, neighborhood = 'gaussian', shrinkage = 0.001, width = 10, learningRate = 0.1 } = options;
    const { random, initializer = normalInitializer(1) } = options;
    assertCount('OnlineSom: number of codes', cellsOf(gridShape));
    assertCount('OnlineSom: size', size);
    assertNumber('OnlineSom: learningRate', learningRate, 0, 1);
    this.size = size;
    this.learningRate = learningRate;
    this.neighborhood = new Neighborhood({ gridShape, kind: neighborhood, shrinkage, width });
    this.codebook = this.addBuffer('codebook', initializer([cellsOf(gridShape), size], random) as tf.Tensor2D);
    this.#step = this.addBuffer('step', tf.tensor1d([0], 'int32'));
  }

  /** t, the number of vectors learned. */
  get step(): number {
    return this.#step.dataSync()[0] as number;
  }

  /**
   * Learns from vectors, one after the other.
   *
   * @param vectors float32 `[vectors, size]`
   */
  learn(vectors: tf.Tensor2D): void {
    assertFloatShape('OnlineSom: vectors', vectors, ['vectors', this.size]);
    const [first, count] = [this.step, vectors.shape[0]];
    for (let n = 0; n < count; n++) {
      tf.tidy(() => {
        const z = tf.slice(vectors, [n, 0], [1, this.size]);
        const weights = embedding(this.neighborhood.matrix(first + n), vqAssign(z, this.codebook));
        const pull = tf.mul(tf.mul(this.learningRate, tf.transpose(weights)), tf.sub(z, this.codebook));
        this.codebook.assign(tf.add(this.codebook, pull));
      });
    }
    tf.tidy(() => this.#step.assign(tf.tensor1d([first + count], 'int32')));
  }

  /** Index of the nearest code for float32 `[..., size]`. */
  encode(vectors: tf.Tensor): tf.Tensor {
    return vqAssign(vectors, this.codebook);
  }
}
