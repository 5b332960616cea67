/**
 * A tensor as a constant, and outputs whose gradient is taken for that of something else:
 *
 *     stopGradient(x) = x,            dx = 0
 *     straightThrough(x, y) = y,      dx = dy, as if y were x        (Bengio, Léonard, Courville 2013)
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertTensor } from '../shape-checks.ts';

/**
 * The same values as a constant: what is computed from them has no gradient for `x`. Shares the memory of `x`.
 *
 * @param x a tensor of any shape
 * @returns a new tensor, the caller's to dispose
 */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  assertTensor('stopGradient: x', x);
  // The tape knows tensors by their id; a new tensor of the same data is a constant to it, and costs nothing.
  const { dataId, shape, dtype } = x;
  const engine = tf.engine();
  engine.backend.incRef(dataId);
  return engine.makeTensorFromTensorInfo({ dataId, shape: shape.slice(), dtype }, engine.backend) as T;
}

/**
 * `output` in the forward direction; backwards its gradient goes to `input`, and none to `output`.
 *
 * @param input float32, what `output` was made of by something without a useful gradient, for example rounding
 * @param output float32 of the same shape
 * @returns the values of `output`
 * @throws TypeError or RangeError for a wrong dtype or shape
 */
export function straightThrough<T extends tf.Tensor>(input: T, output: tf.Tensor): T {
  assertFloatShape('straightThrough: input', input, ['...']);
  assertFloatShape('straightThrough: output', output, input.shape);
  const pass = tf.customGrad(() => ({ value: output.clone(), gradFunc: (dy) => dy.clone() }));
  return pass(input) as T;
}
