/**
 * Operations whose result is an index, a truth value, a class or a random draw: constant almost everywhere, so the
 * gradient is zero; and targets of learning, which are constants by definition. tfjs has none for most of them, and then `tf.where(x.greater(0), …)` throws inside `tf.grad`.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type Gradient, zeroGradient } from './support.ts';

/** Kernels and the inputs through which a gradient may arrive. */
const CONSTANT: Readonly<Record<string, readonly string[]>> = {
  [tf.Equal]: ['a', 'b'],
  [tf.NotEqual]: ['a', 'b'],
  [tf.Less]: ['a', 'b'],
  [tf.LessEqual]: ['a', 'b'],
  [tf.Greater]: ['a', 'b'],
  [tf.GreaterEqual]: ['a', 'b'],
  [tf.LogicalAnd]: ['a', 'b'],
  [tf.LogicalOr]: ['a', 'b'],
  [tf.LogicalNot]: ['x'],
  [tf.BitwiseAnd]: ['a', 'b'],
  [tf.IsNan]: ['x'],
  [tf.IsInf]: ['x'],
  [tf.IsFinite]: ['x'],
  [tf.All]: ['x'],
  [tf.Any]: ['x'],
  [tf.ArgMax]: ['x'],
  [tf.ArgMin]: ['x'],
  [tf.SearchSorted]: ['sortedSequence', 'values'],
  [tf.LowerBound]: ['sortedSequence', 'values'],
  [tf.UpperBound]: ['sortedSequence', 'values'],
  [tf.Multinomial]: ['logits'],
  FwpVTrace: ['logRhos', 'discounts', 'rewards', 'values', 'bootstrapValue'],
  [tf.NonMaxSuppressionV3]: ['boxes', 'scores'],
  [tf.NonMaxSuppressionV4]: ['boxes', 'scores'],
};

/** Zero gradients. */
export const constantGradients: readonly Gradient[] = Object.entries(CONSTANT).map(([kernelName, names]) => ({
  kernelName,
  inputsToSave: [...names],
  gradFunc: (_dy, saved) =>
    Object.fromEntries(names.map((name, i) => [name, () => zeroGradient(saved[i] as tf.Tensor)])),
}));
