/** What all quantisers have in common, so that models take any of them. */

import type { Module } from '@fwp/core';
import type * as tf from '@tensorflow/tfjs-core';

/** What a quantiser makes of vectors. */
export type Quantized<T extends tf.Tensor = tf.Tensor> = {
  /** The codes in place of the vectors, `[..., size]`; its gradient goes straight to the vectors. */
  readonly output: T;
  /** int32 `[...]`, or `[..., parts]` where several codes make a vector. */
  readonly indices: tf.Tensor;
  /** To be added to the model's loss: commitment, and whatever trains the codes by gradient. */
  readonly loss: tf.Scalar;
  /** exp of the entropy of the codes' shares in this batch: as many codes as are used evenly. The mean over the parts. */
  readonly perplexity: tf.Scalar;
};

/** Replaces vectors by codes. */
export interface Quantizer extends Module {
  /** Size of a vector. */
  readonly size: number;
  /** Quantises float32 `[..., size]`; while training, codes move. */
  forward<T extends tf.Tensor>(vectors: T): Quantized<T>;
  /** The indices alone, without training. */
  encode(vectors: tf.Tensor): tf.Tensor;
  /** The vectors that belong to indices. */
  decode(indices: tf.Tensor): tf.Tensor;
}
