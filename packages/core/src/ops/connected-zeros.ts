/** Results of compositions that have nothing to do. */

import * as tf from '@tensorflow/tfjs-core';

/**
 * Zeros, of which tfjs finds gradients as kernels have them: zeros for all inputs. Those of `tf.zeros` it cannot compute.
 *
 * @param shape of the result
 * @param inputs float32, on which the result is to depend; those that were not given undefined
 */
export function connectedZeros(shape: number[], inputs: readonly (tf.Tensor | undefined)[]): tf.Tensor {
  const nothing = inputs.filter((x) => x !== undefined).map((x) => tf.mul(tf.sum(x), 0));
  return tf.add(tf.zeros(shape), tf.addN(nothing));
}
