/**
 * The contract of all feed-forward blocks, so that a Transformer takes any of them (Csordás, Irie & Schmidhuber, Approximating
 * Two-Layer Feedforward Networks for Efficient Transformers, 2023, section 2): a map of each token's vector, of the form
 *
 *     y = Σ_i u_i(x) v_i        keys make the weights u, which are sparse in one way or another; v_i are values
 *
 * A block is a `Module` and a core `Layer`. It reads `training` for dropout, draws from random streams of its own, and must
 * not keep tensors between calls: what a call has to say beside its outputs is in {@link FeedForwardResult}.
 */

import { Module } from '@fwp/core';
import { type Scalar, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { Selection } from './selection.ts';

/** Outputs of a block and what else the call had to say. */
export interface FeedForwardResult<T extends Tensor = Tensor> {
  /** Same shape as the inputs. */
  readonly outputs: T;
  /**
   * Term that balances the experts, differentiable and without its weight γ: the loss is cross entropy + γ · its sum over layers.
   * Absent where the block has none.
   */
  readonly regularization?: Scalar;
  /** What was chosen; empty where nothing is. */
  readonly selections: readonly Selection[];
}

/** A map of vectors, with any number of leading dimensions. */
export abstract class FeedForwardBlock extends Module {
  /** Size of an input and of an output vector. */
  abstract readonly size: number;
  /** Multiply-adds of one token, forward: those of matrix products, routers included. */
  abstract readonly multiplyAdds: number;

  /**
   * @param inputs float32 `[..., size]`
   * @returns outputs `[..., size]`, the regularisation and the selections; the caller disposes of them, or runs in `tf.tidy`
   */
  abstract apply<T extends Tensor>(inputs: T): FeedForwardResult<T>;

  /** The outputs of {@link apply} alone. */
  forward<T extends Tensor>(inputs: T): T {
    return tidy(() => this.apply(inputs).outputs);
  }
}
