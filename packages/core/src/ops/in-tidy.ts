/** `tf.tidy` whose types are those of the function it runs. */

import * as tf from '@tensorflow/tfjs-core';

/**
 * Runs a function and disposes of the tensors that it made, but for those in what it returns. `tf.tidy` does the same, but its
 * type takes no interfaces, and no objects with tensors in lists and objects.
 *
 * @param run makes tensors
 * @returns what `run` returns: tensors, or lists and objects with tensors in them
 */
export function inTidy<R>(run: () => R): R {
  return tf.tidy(run as unknown as () => tf.TensorContainerObject) as unknown as R;
}
