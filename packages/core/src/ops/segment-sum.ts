/**
 * Sums of rows by segment, and how many rows each segment has:
 *
 *     sums[s, :] = Σ over n with ids[n] = s of values[n, :]       counts[s] = |{n : ids[n] = s}|       dvalues[n, :] = dsums[ids[n], :]
 *
 * The sums run in the order of the rows, so they have the same bits for every number of threads. In vector quantisation this
 * takes the place of Eᵀ z and Eᵀ 1 with a one-hot matrix E [rows, segments].
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertIndices, SEGMENT_ADVICE } from '../index-checks.ts';
import { assertCount, assertFloatShape, assertShape, assertTensor } from '../shape-checks.ts';
import { embedding } from './embedding.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { stopGradient } from './stop-gradient.ts';

/** What {@link segmentSum} returns. */
export type SegmentSums = {
  /** float32 [segments, size] */
  readonly sums: tf.Tensor2D;
  /** float32 [segments]; constant. */
  readonly counts: tf.Tensor1D;
};

/**
 * Sums and counts by segment.
 *
 * @param values float32 [rows, size]
 * @param segmentIds int32 [rows], each from 0 to segments − 1
 * @param segments number of segments; those without rows have zeros
 * @throws RangeError naming the first id that is out of range; TypeError or RangeError for a wrong dtype or shape
 */
export function segmentSum(values: tf.Tensor2D, segmentIds: tf.Tensor1D, segments: number): SegmentSums {
  const { rows } = assertFloatShape('segmentSum: values', values, ['rows', 'size']);
  assertTensor('segmentSum: segmentIds', segmentIds, 'int32');
  assertShape('segmentSum: segmentIds', segmentIds, ['rows'], { rows: rows as number });
  assertCount('segmentSum: segments', segments);
  return tf.tidy(() => {
    if (canFuse('FwpSegmentSum')) {
      const [sums, counts] = runFused('FwpSegmentSum', { values, segmentIds }, { segments });
      return { sums: sums as tf.Tensor2D, counts: counts as tf.Tensor1D };
    }
    assertIndices('segmentSum: segmentIds', segmentIds, segments, SEGMENT_ADVICE);
    const ones = tf.ones([rows as number]) as tf.Tensor1D;
    return {
      sums: tf.unsortedSegmentSum(values, segmentIds, segments),
      counts: stopGradient(tf.unsortedSegmentSum(ones, segmentIds, segments)),
    };
  });
}

/** Gradient of the kernel, for `registerGradients`. */
export const segmentSumGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpSegmentSum',
    inputsToSave: ['segmentIds'],
    reads: [0],
    gradFunc: (dys, saved) => {
      const [dsums] = dys as unknown as [tf.Tensor2D, tf.Tensor1D];
      return { values: () => embedding(dsums, saved[0] as tf.Tensor) };
    },
  },
];
