/**
 * Scores of queries with one vector per distance, as Transformer-XL's relative attention adds them to those of the keys (Dai
 * et al., 2019, section 3.3):
 *
 *   scores_ij = q_i · r_c,  c = j − i + offset; 0 where r has no row c
 *
 *   q [batch, queries, heads, dim]   r [rows, heads, dim]   scores [batch, heads, queries, keys]
 *
 * Rows of r are read where they are: the scores with all distances, and their shifting, are never made.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { RelativeScoresAttributes } from '../backend/kernels/relative-scores.ts';
import { assertCount, assertFloatShape } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';

/** Options of {@link relativeScores}. */
export interface RelativeScoresOptions {
  /** Number of keys. */
  keys: number;
  /** Row of r that a query meets at the key of its own number. Default: queries − 1, for r of queries + keys − 1 rows. */
  offset?: number | undefined;
}

/**
 * Scores by distance, to be added to the scores of queries and keys (see `bias` of `attention`).
 *
 * @param q float32 `[batch, queries, heads, dim]`
 * @param r float32 `[rows, heads, dim]`: the vectors, in the order of the keys
 * @param options number of keys, and which row belongs to which distance
 * @returns float32 `[batch, heads, queries, keys]`
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function relativeScores(q: tf.Tensor, r: tf.Tensor, options: RelativeScoresOptions): tf.Tensor4D {
  const sizes = assertFloatShape('relativeScores: q', q, ['batch', 'queries', 'heads', 'dim']);
  assertFloatShape('relativeScores: r', r, ['rows', 'heads', 'dim'], sizes);
  const { keys, offset = (sizes['queries'] as number) - 1 } = options;
  assertCount('relativeScores: keys', keys, 0);
  assertCount('relativeScores: offset', offset, Number.MIN_SAFE_INTEGER);
  const attributes: RelativeScoresAttributes = { keys, offset };
  return tf.tidy(() =>
    canFuse('FwpRelativeScores')
      ? (runKernel('FwpRelativeScores', { q, r }, attributes) as tf.Tensor4D)
      : composed(q as tf.Tensor4D, r as tf.Tensor3D, attributes),
  );
}

/** Gradient of the kernel, for `registerGradients`. */
export const relativeScoresGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpRelativeScores',
    inputsToSave: ['q', 'r'],
    gradFunc: (dy, saved, attributes) => {
      const [q, r] = saved as [tf.Tensor, tf.Tensor];
      const [dq, dr] = runFused('FwpRelativeScoresGradient', { q, r, dy: dy as tf.Tensor }, attributes);
      return { q: () => dq as tf.Tensor, r: () => dr as tf.Tensor };
    },
  },
];

/** The product with all rows, of which each query's part is gathered; one row of zeros stands for those that aren't there. */
function composed(q: tf.Tensor4D, r: tf.Tensor3D, { keys, offset }: RelativeScoresAttributes): tf.Tensor4D {
  const [batch, queries, heads, dim] = q.shape;
  const rows = r.shape[0];
  const vectors = tf.transpose(tf.concat([r, tf.zeros([1, heads, dim])], 0), [1, 0, 2]);
  const byHead = tf.reshape(tf.transpose(q, [2, 0, 1, 3]), [heads, batch * queries, dim]);
  const all = tf.reshape(tf.matMul(byHead, vectors, false, true), [heads, batch, queries * (rows + 1)]);
  const indices = Int32Array.from({ length: queries * keys }, (_, place) => {
    const i = Math.floor(place / keys);
    const row = (place % keys) - i + offset;
    return i * (rows + 1) + (row >= 0 && row < rows ? row : rows);
  });
  const wanted = tf.reshape(tf.gather(all, tf.tensor1d(indices, 'int32'), 2), [heads, batch, queries, keys]);
  return tf.transpose<tf.Tensor4D>(wanted as tf.Tensor4D, [1, 0, 2, 3]);
}
