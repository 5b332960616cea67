/** When an operation runs as one fused kernel, and when as a composition of tfjs operations. */

import * as tf from '@tensorflow/tfjs-core';
import { gradientDepth } from './gradients/support.ts';

/**
 * Whether the current backend has the kernel and its gradient need not be differentiated again. Inside nested
 * gradients the composition runs instead, whose operations tfjs can differentiate any number of times.
 */
export function canFuse(kernelName: string): boolean {
  return tf.getKernel(kernelName, tf.getBackend()) !== undefined && gradientDepth() <= 1;
}

/** Runs a kernel with several outputs. */
export function runFused(kernelName: string, inputs: Record<string, tf.Tensor>, attrs: object = {}): tf.Tensor[] {
  return tf.engine().runKernel(kernelName, inputs, attrs as tf.NamedAttrMap) as unknown as tf.Tensor[];
}
