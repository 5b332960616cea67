/**
 * Neighbourhoods on the grid, which shrink with the number t of training steps (Irie, Csordás, Schmidhuber 2023):
 *
 *     none       H = I
 *     hard       H_ij = 1 / (1 + τ t) where 0 < d(i, j) < 1.5, 1 where i = j, else 0
 *     gaussian   H_ij = exp(−d(i, j) (1 + τ t) / s)        exponential in the distance; the authors call it Gaussian
 *
 * H [codes, codes] is symmetric. It is applied to sums by code, not to vectors: (E H)ᵀ z = H (Eᵀ z) with the one-hot
 * assignments E [vectors, codes], which costs codes² instead of vectors · codes² operations, and for the hard neighbourhood,
 * as a stencil, only a few for each code.
 */

import { assertNumber, assertOneOf, gridNeighborSum } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { cellsOf, gridDistances } from './grid.ts';

/** Kinds of neighbourhoods. */
export const NEIGHBORHOODS = ['none', 'hard', 'gaussian'] as const;
/** One of {@link NEIGHBORHOODS}. */
export type NeighborhoodKind = (typeof NEIGHBORHOODS)[number];

/** Options of a {@link Neighborhood}. */
export interface NeighborhoodOptions {
  /** Sizes of the grid's axes; the first varies fastest with the number of a code. */
  readonly gridShape: readonly number[];
  /** Default `'hard'`. */
  readonly kind?: NeighborhoodKind;
  /** τ, how fast it shrinks. Default 0.1. */
  readonly shrinkage?: number;
  /** s of `'gaussian'`. Default 10. */
  readonly width?: number;
}

/** Beyond e^−20, which is 2 · 10⁻⁹, a neighbour's weight is less than the rounding of a float32. */
const NEGLIGIBLE = 20;
/** Where 'hard' has its neighbours: one step along one axis or along two. */
const HARD_RADIUS = 1.5;

/** A neighbourhood on a grid and its schedule. */
export class Neighborhood {
  readonly gridShape: readonly number[];
  readonly kind: NeighborhoodKind;
  readonly shrinkage: number;
  readonly width: number;
  #distances: Float32Array | undefined;

  constructor({ gridShape, kind = 'hard', shrinkage = 0.1, width = 10 }: NeighborhoodOptions) {
    assertOneOf('Neighborhood: kind', kind, NEIGHBORHOODS);
    assertNumber('Neighborhood: shrinkage', shrinkage, 0);
    assertNumber('Neighborhood: width', width, Number.MIN_VALUE);
    this.gridShape = [...gridShape];
    this.kind = kind;
    this.shrinkage = shrinkage;
    this.width = width;
  }

  /**
   * Weight H_ij of a code at distance d after `step` steps.
   *
   * @param distance on the grid
   * @param step t, from 0
   */
  weight(distance: number, step: number): number {
    if (distance === 0) return 1;
    const narrowing = 1 + this.shrinkage * step;
    if (this.kind === 'hard') return distance < HARD_RADIUS ? 1 / narrowing : 0;
    return this.kind === 'gaussian' ? Math.exp((-distance * narrowing) / this.width) : 0;
  }

  /**
   * H x.
   *
   * @param x float32 `[codes, ...]`, sums or counts by code
   * @param step t, from 0
   * @returns the shape of x; the caller disposes it
   */
  apply<T extends tf.Tensor>(x: T, step: number): T {
    const nearest = this.weight(1, step);
    if (nearest === 0) return x.clone() as T;
    if (this.kind === 'hard') return gridNeighborSum(x, this.gridShape, nearest);
    if (nearest < Math.exp(-NEGLIGIBLE)) return x.clone() as T;
    return tf.tidy(() => {
      const codes = cellsOf(this.gridShape);
      const rows = tf.reshape(x, [codes, x.size / codes]) as tf.Tensor2D;
      return tf.reshape(tf.matMul(this.matrix(step), rows), x.shape) as T;
    });
  }

  /** H as a whole, `[codes, codes]`. */
  matrix(step: number): tf.Tensor2D {
    const codes = cellsOf(this.gridShape);
    this.#distances ??= gridDistances(this.gridShape);
    const distances = this.#distances;
    if (this.kind === 'gaussian') {
      const rate = (1 + this.shrinkage * step) / this.width;
      return tf.tidy(() => tf.exp(tf.mul(-rate, tf.tensor2d(distances, [codes, codes])) as tf.Tensor2D));
    }
    return tf.tensor2d(
      distances.map((distance) => this.weight(distance, step)),
      [codes, codes],
    );
  }
}
