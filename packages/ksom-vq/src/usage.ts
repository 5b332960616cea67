/**
 * How a codebook is used, and whether neighbours on its grid are alike:
 *
 *     perplexity = exp(−Σ_k p_k ln(p_k + 10⁻¹⁰)),   p_k the share of code k
 *     neighbour ratio = mean ‖w_i − w_j‖ over neighbours on the grid / mean ‖w_i − w_j‖ over all pairs
 *
 * A codebook without order has a ratio of about 1, a map well below.
 */

import { assertFloatShape } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { assertGridShape, gridEdges } from './grid.ts';

/**
 * Perplexity of counts.
 *
 * @param counts float32 `[codes]`, how often each code was used; not all 0
 */
export function perplexityOf(counts: tf.Tensor1D): tf.Scalar {
  assertFloatShape('perplexityOf: counts', counts, ['codes']);
  return tf.tidy(() => {
    const share = tf.div(counts, tf.sum(counts));
    return tf.exp(tf.neg(tf.sum(tf.mul(share, tf.log(tf.add(share, 1e-10)))))) as tf.Scalar;
  });
}

/**
 * The neighbour ratio of a codebook, from 0 (all neighbours alike) to about 1 (no order).
 *
 * @param codebook float32 `[codes, size]`
 * @param gridShape the grid of the codes
 */
export function neighborRatio(codebook: tf.Tensor2D, gridShape: readonly number[]): number {
  const { codes, size } = assertFloatShape('neighborRatio: codebook', codebook, ['codes', 'size']) as {
    codes: number;
    size: number;
  };
  assertGridShape('neighborRatio: gridShape', gridShape, codes);
  const values = codebook.dataSync();
  const distance = (i: number, j: number): number => {
    let sum = 0;
    for (let k = 0; k < size; k++) sum += ((values[i * size + k] as number) - (values[j * size + k] as number)) ** 2;
    return Math.sqrt(sum);
  };
  const mean = (distances: readonly number[]) =>
    distances.reduce((sum, x) => sum + x, 0) / Math.max(1, distances.length);
  const near = mean(gridEdges(gridShape).map(([i, j]) => distance(i, j)));
  let total = 0;
  for (let i = 0; i < codes; i++) {
    for (let j = 0; j < i; j++) total += distance(i, j);
  }
  return near / (total / Math.max(1, (codes * (codes - 1)) / 2));
}
