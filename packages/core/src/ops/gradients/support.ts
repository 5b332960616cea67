/** What the gradient definitions share. */

import * as tf from '@tensorflow/tfjs-core';

/** Gradients by input name, computed only for the inputs that need one. */
export type InputGradients = Record<string, () => tf.Tensor>;

/** A gradient definition as tfjs's registry takes it; `gradFunc` receives (dy, saved inputs then outputs, attributes). */
export interface Gradient extends tf.GradConfig {
  /**
   * Of a kernel with several outputs, those without whose gradients `gradFunc` cannot do: it receives zeros where no result
   * depends on them, and `undefined` for any other of which that is true. Default: tfjs makes zeros for all.
   */
  readonly reads?: readonly number[];
}

/** The engine's fields that tfjs keeps to itself. */
interface TapeState {
  readonly state: { readonly gradientDepth: number };
  isTapeOn(): boolean;
}

/** How many nested `tf.grad` are recording at the moment. */
export function gradientDepth(): number {
  return (tf.engine() as unknown as TapeState).state.gradientDepth;
}

/** Whether what runs now will itself be differentiated. */
export function isTapeOn(): boolean {
  return (tf.engine() as unknown as TapeState).isTapeOn();
}

/** Runs a kernel that has no public function in tfjs. */
export function runKernel(name: string, inputs: Record<string, tf.Tensor>, attrs: object = {}): tf.Tensor {
  return tf.engine().runKernel(name, inputs, attrs as tf.NamedAttrMap) as tf.Tensor;
}

/** Runs a fused kernel where the current backend has it; else `undefined`. */
export function runIfRegistered(
  name: string,
  inputs: Record<string, tf.Tensor>,
  attrs: object = {},
): tf.Tensor | undefined {
  return tf.getKernel(name, tf.getBackend()) === undefined ? undefined : runKernel(name, inputs, attrs);
}

/** Sums `x` over the axes that broadcasting from `shape` to `x.shape` added or repeated. */
export function sumToShape(x: tf.Tensor, shape: number[]): tf.Tensor {
  if (tf.util.arraysEqual(x.shape, shape)) return x;
  const axes = tf.broadcast_util.getReductionAxes(shape, x.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(x, axes) : x, shape);
}

/** Zeros in the form of a gradient: float32, whatever the dtype of `x`. */
export function zeroGradient(x: tf.Tensor): tf.Tensor {
  return tf.zeros(x.shape);
}
