/** What a training step of a Transformer costs. */

/** Sizes of the program `transformer`. */
export interface TransformerSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly length: number;
  readonly batch: number;
  readonly vocabulary: number;
}

/** Floating-point operations of the matrix products, forward and backward. */
export function transformerFlops(sizes: TransformerSizes): number {
  const { layers, width, feedForward, length, batch, vocabulary } = sizes;
  const perToken = layers * (4 * width * width + 2 * width * feedForward + 2 * length * width) + width * vocabulary;
  return 6 * batch * length * perToken;
}
