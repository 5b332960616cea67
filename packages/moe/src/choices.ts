/** What blocks that choose have in common: checks of how many, and rows that are 0 but for what was chosen. */

import { assertCount, stopGradient } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Makes sure that so many can be chosen; `name` is that of the number. */
export function assertActive(name: string, active: number, choices: number, what: string): void {
  assertCount(name, active);
  if (active > choices) {
    throw new RangeError(`${name} must be at most the number of ${what}, ${choices}, but is ${active}.`);
  }
}

/**
 * The largest of each row, the first one of equal ones first.
 *
 * @param scores float32 `[..., choices]`
 * @param active how many
 * @returns `[..., active]`: values with a gradient, and int32 indices, which are constants
 */
export function best(scores: tf.Tensor, active: number): { values: tf.Tensor; indices: tf.Tensor } {
  const { values, indices } = tf.topk(scores, active);
  return { values, indices: stopGradient(indices) };
}

/** Sums of values `[rows, active]` at the indices of each row, 0 elsewhere: `[rows, choices]`. */
export function sumOfChosen(values: tf.Tensor, indices: tf.Tensor2D, choices: number): tf.Tensor2D {
  const [rows, active] = indices.shape;
  const begins = tf.mul(tf.reshape(tf.range(0, rows, 1, 'int32'), [rows, 1]), tf.scalar(choices, 'int32'));
  const places = tf.reshape(tf.add(indices, begins), [rows * active]) as tf.Tensor1D;
  const flat = tf.unsortedSegmentSum(tf.reshape(values, [rows * active]), places, rows * choices);
  return tf.reshape(flat, [rows, choices]) as tf.Tensor2D;
}
