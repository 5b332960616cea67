/**
 * Chunks of time, for scans composed of matrix products: sequences are cut into N chunks of C steps, whatever is the same
 * for all chunks runs as one batched product, and only the state goes from chunk to chunk.
 */

import * as tf from '@tensorflow/tfjs-core';
import { stepsOf } from './recurrent-steps.ts';

/** Steps of a chunk, unless said otherwise: the products within chunks cost C · d a step, those with the state d². */
export const CHUNK_STEPS = 32;

/**
 * Cuts axis 2 of `[batch, heads, time, …]` into chunks: `[batch, heads, N, C, …]`. The last one is filled up.
 *
 * @param x sequences
 * @param fill value of the steps that fill up the last chunk. Default 0
 * @param steps C. Default {@link CHUNK_STEPS}
 */
export function inChunks(x: tf.Tensor, fill = 0, steps: number = CHUNK_STEPS): tf.Tensor {
  const [batch, heads, time, ...rest] = x.shape as [number, number, number, ...number[]];
  const chunks = Math.ceil(time / steps);
  const missing = chunks * steps - time;
  const padding = x.shape.map((_, axis): [number, number] => [0, axis === 2 ? missing : 0]);
  const filled = missing === 0 ? x : tf.pad(x, padding, fill);
  return tf.reshape(filled, [batch, heads, chunks, steps, ...rest]);
}

/** The chunks one by one: N tensors without axis 2. */
export function eachChunk(x: tf.Tensor): tf.Tensor[] {
  return stepsOf(x, 2);
}

/** The reverse of cutting: a list of N chunks `[batch, heads, C, …]` as `[batch, heads, time, …]`. */
export function fromChunks(chunks: tf.Tensor[], time: number): tf.Tensor {
  const joined = chunks.length === 1 ? (chunks[0] as tf.Tensor) : tf.concat(chunks, 2);
  const size = joined.shape.map((extent, axis) => (axis === 2 ? time : extent));
  return tf.slice(joined, [0, 0, 0], size.slice(0, 3));
}

/** How states decay within chunks. */
export interface ChunkDecay {
  /** Γ `[…, C, C]`: Γ_ij = a_{j+1} ⋯ a_i for i ≥ j, what is left after step i of what step j wrote; 0 for i < j. */
  readonly between: tf.Tensor;
  /** `[…, C, 1]`: a_1 ⋯ a_i, what is left of the state before the chunk. */
  readonly fromStart: tf.Tensor;
  /** `[…, C, 1]`: a_{j+1} ⋯ a_C, what the state after the chunk keeps of step j. */
  readonly toEnd: tf.Tensor;
  /** `[…, 1, 1]`: a_1 ⋯ a_C. */
  readonly whole: tf.Tensor;
}

/** Products of decays a `[…, C]`, without a division: 0 is an ordinary factor. */
export function chunkDecay(a: tf.Tensor): ChunkDecay {
  const steps = a.shape[a.rank - 1] as number;
  const later = triangle(steps, -1);
  // Row j: ones up to step j, a_i from there on; its running product is column j of Γ.
  const factors = tf.add(tf.mul(tf.expandDims(a, -2), tf.transpose(later)), tf.sub(1, tf.transpose(later)));
  const products = tf.mul(tf.cumprod(factors, a.rank), tf.transpose(triangle(steps, 0)));
  const fromStart = tf.expandDims(tf.cumprod(a, a.rank - 1), -1);
  return {
    between: transposed(products),
    fromStart,
    toEnd: part(products, -1, steps - 1),
    whole: part(fromStart, -2, steps - 1),
  };
}

/**
 * What resets `[batch, time]` leave of the state before them: 0 where true, 1 elsewhere, `[batch, heads, time]`. As a factor, it forgets
 * finite states only: matrix products have steps on both sides of a reset in one sum, where 0 times infinity or NaN is NaN.
 */
export function aliveAfter(resetMask: tf.Tensor, heads: number): tf.Tensor {
  return tf.tile(tf.expandDims(tf.cast(tf.logicalNot(resetMask), 'float32'), 1), [1, heads, 1]);
}

/** `[n, n]`: ones where column ≤ row + diagonal, as `numpy.tri`. */
export function triangle(n: number, diagonal: number): tf.Tensor2D {
  return tf.tidy(() => {
    const index = tf.range(0, n, 1, 'float32');
    return tf.cast(
      tf.lessEqual(tf.expandDims(index, 0), tf.add(tf.expandDims(index, 1), diagonal)),
      'float32',
    ) as tf.Tensor2D;
  });
}

/** The last two axes exchanged. */
export function transposed(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

/** x moved one step later along axis −2, `first` coming in: what step i − 1 had, for step i. */
export function oneLater(x: tf.Tensor, first: number): tf.Tensor {
  const steps = x.shape[x.rank - 2] as number;
  const padding = x.shape.map((_, axis): [number, number] => [axis === x.rank - 2 ? 1 : 0, 0]);
  return tf.pad(part(x, -2, 0, steps - 1), padding, first);
}

/** `length` places of an axis, counted from the end, from `start` on. */
function part(x: tf.Tensor, axis: -1 | -2, start: number, length = 1): tf.Tensor {
  const at = x.rank + axis;
  const begin = x.shape.map((_, i) => (i === at ? start : 0));
  const size = x.shape.map((extent, i) => (i === at ? length : extent));
  return tf.slice(x, begin, size);
}
