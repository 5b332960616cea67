/** What recurrent scans share where they are composed of tfjs operations: one step after the other. */

import * as tf from '@tensorflow/tfjs-core';

/** Place `t` of an axis, without the axis. */
export function stepOf(x: tf.Tensor, axis: number, t: number): tf.Tensor {
  const begin = x.shape.map((_, i) => (i === axis ? t : 0));
  const size = x.shape.map((extent, i) => (i === axis ? 1 : extent));
  // tfjs's own backend cannot slice a tensor without elements.
  if (x.size === 0) return tf.zeros(x.shape.filter((_, i) => i !== axis));
  return tf.squeeze(tf.slice(x, begin, size), [axis]);
}

/**
 * All places of an axis, each without the axis. Their gradients are stacked once, where those of a slice for each place would be padded
 * to all places each: as many numbers as the square of their number.
 */
export function stepsOf(x: tf.Tensor, axis: number): tf.Tensor[] {
  const count = x.shape[axis] as number;
  // tfjs's own backend cannot take a tensor without elements apart, and the gradient of unstacking fails for a single part.
  if (x.size === 0 || count === 1) return Array.from({ length: count }, (_, t) => stepOf(x, axis, t));
  return tf.unstack(x, axis);
}

/** S x: matrices `[…, valueDim, keyDim]` times vectors `[…, keyDim]`, whose axes may have to be repeated. */
export function matrixTimes(matrix: tf.Tensor, vector: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(matrix, tf.expandDims(vector, -2)), -1);
}

/** S + β (v − S k) kᵀ: one step of the delta rule, β `[…]`. */
export function deltaStep(state: tf.Tensor, k: tf.Tensor, v: tf.Tensor, beta: tf.Tensor): tf.Tensor {
  const write = tf.mul(tf.sub(v, matrixTimes(state, k)), tf.expandDims(beta, -1));
  return tf.add(state, tf.mul(tf.expandDims(write, -1), tf.expandDims(k, -2)));
}

/** `x` `[batch, …]`, but `value` for elements of the batch whose sequences begin at step t. */
export function restarted(x: tf.Tensor, resetMask: tf.Tensor | undefined, t: number, value = 0): tf.Tensor {
  if (resetMask === undefined) return x;
  const batch = x.shape[0] as number;
  const reset = tf.reshape(tf.slice(resetMask, [0, t], [batch, 1]), [batch, ...x.shape.slice(1).map(() => 1)]);
  return tf.where(tf.broadcastTo(reset, x.shape), tf.fill(x.shape, value), x);
}

/** Outputs of all steps along a new axis; `shape` is that of one, for sequences without steps. */
export function stackSteps(steps: tf.Tensor[], axis: number, shape: number[]): tf.Tensor {
  if (steps.length > 0) return tf.stack(steps, axis);
  return tf.zeros([...shape.slice(0, axis), 0, ...shape.slice(axis)]);
}

/** The last of `[batch, heads, time, dim]`, or what was before it where there are no steps. */
export function lastOutput(output: tf.Tensor, before: tf.Tensor | undefined): tf.Tensor3D {
  const [batch, heads, time, dim] = output.shape as [number, number, number, number];
  if (time === 0) return (before === undefined ? tf.zeros([batch, heads, dim]) : tf.clone(before)) as tf.Tensor3D;
  return stepOf(output, 2, time - 1) as tf.Tensor3D;
}

/** An axis of one step, for all tensors of an object. */
export function withTime<Inputs extends object>(inputs: Inputs, axis: number): Inputs {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, x]) => [name, tf.expandDims(x as tf.Tensor, axis)]),
  ) as Inputs;
}
