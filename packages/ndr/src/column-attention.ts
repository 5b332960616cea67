/** What the attentions of this package have in common: columns of a sequence read from one another. */

import type { Module } from '@fwp/core';
import type { Tensor, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';

/** An attention of a sequence over itself. */
export interface ColumnAttention extends Module {
  /**
   * @param h float32 `[batch, length, size]`
   * @param paddingMask bool `[batch, length]`: false for padding. Default: no padding
   * @returns float32 `[batch, length, size]`
   */
  apply(h: Tensor3D, paddingMask?: Tensor): Tensor3D;

  /**
   * Who attends to whom, to look at.
   *
   * @param h float32 `[batch, length, size]`
   * @param paddingMask bool `[batch, length]`
   * @returns float32 `[batch, heads, length, length]`: queries, then the positions they attend to
   */
  attentionWeights(h: Tensor3D, paddingMask?: Tensor): Tensor4D;
}

/** A layer that is applied again and again to the columns of a sequence. */
export interface ColumnLayer extends Module {
  /** Size of a column. */
  readonly size: number;
  /** The attention inside. */
  readonly attention: ColumnAttention;

  /**
   * @param h float32 `[batch, length, size]`
   * @param paddingMask bool `[batch, length]`: false for padding. Default: no padding
   * @returns float32 `[batch, length, size]`
   */
  apply(h: Tensor3D, paddingMask?: Tensor): Tensor3D;

  /**
   * How far each number of the columns is replaced in an application to h, to look at; undefined for layers without gates.
   *
   * @returns float32 `[batch, length, size]`, from 0 (kept) to 1 (replaced)
   */
  gates(h: Tensor3D, paddingMask?: Tensor): Tensor3D | undefined;
}
