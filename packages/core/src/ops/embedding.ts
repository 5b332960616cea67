/**
 * Embedding lookup: rows of a table by integer ids.
 *
 *     y[i, :] = table[ids[i], :]          dtable[v, :] = Σ over i with ids[i] = v of dy[i, :]
 *
 * The gradient adds in the order of the ids, so it has the same bits for every number of threads.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertIndices, ID_ADVICE } from '../index-checks.ts';
import { assertFloatShape, assertTensor } from '../shape-checks.ts';
import { canFuse } from './fused.ts';
import type { Gradient } from './gradients/support.ts';

/**
 * Rows of `table` by `ids`.
 *
 * @param table [rows, features], float32
 * @param ids int32, any shape [...]
 * @returns [..., features]
 * @throws RangeError naming the first id that is out of range and its position
 */
export function embedding(table: tf.Tensor2D, ids: tf.Tensor): tf.Tensor {
  const { rows } = assertFloatShape('embedding: table', table, ['rows', 'features']);
  assertTensor('embedding: ids', ids, 'int32');
  if (canFuse('FwpEmbedding')) return tf.engine().runKernel('FwpEmbedding', { table, ids }) as tf.Tensor;
  assertIndices('embedding: ids', ids, rows as number, ID_ADVICE);
  return tf.gather(table, ids);
}

/** Gradients of {@link embedding}, for `registerGradients`. */
export const embeddingGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpEmbedding',
    inputsToSave: ['table', 'ids'],
    gradFunc: (dy, saved) => {
      const [table, ids] = saved as [tf.Tensor2D, tf.Tensor];
      const [rows, features] = table.shape;
      return {
        table: () =>
          tf.unsortedSegmentSum(tf.reshape(dy as tf.Tensor, [ids.size, features]), tf.reshape(ids, [ids.size]), rows),
      };
    },
  },
];
