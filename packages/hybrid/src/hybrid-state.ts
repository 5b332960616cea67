/** The state of a hybrid layer: of a size that does not depend on how many elements there were. */

import type { Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';

/** Fast weights, and the last elements' keys and values: window − 1 of them, or window if they are written when they leave. */
export type HybridState = {
  /** W, `[batch, heads, valueSize, headSize]` */
  fastWeights: Tensor4D;
  /** z, the sum of all keys' features, `[batch, heads, headSize]`; only of linear attention. */
  normalizer?: Tensor3D | undefined;
  /** Without rotary positions, `[batch, elements, heads, headSize]` */
  keys: Tensor4D;
  /** `[batch, elements, heads, valueSize]` */
  values: Tensor4D;
  /** 1 for elements, 0 for padding and what was before the first, `[batch, elements]` */
  presence: Tensor2D;
  /** β of the last elements, `[batch, elements, heads]`; only in chunks, which are written when they end. */
  writeStrengths?: Tensor3D | undefined;
  /** Number of elements of the chunk under way; only in chunks. */
  position?: number | undefined;
  /** The last inputs of the convolution, `[batch, convolution − 1, channels]`; only with a convolution. */
  history?: Tensor3D | undefined;
};
