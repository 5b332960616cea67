/** Checks of integer indices that callers pass in, and the message when one is out of range. */

import * as tf from '@tensorflow/tfjs-core';

/** What a message about a bad class number ends with. */
export const TARGET_ADVICE = 'the size of the last dimension of logits. Mask positions that have no target.';
/** What a message about a bad expert ends with. */
export const EXPERT_ADVICE = 'the number of experts.';
/** What a message about a bad row of an embedding table ends with. */
export const ID_ADVICE = 'the number of rows of the table.';
/** What a message about a bad segment ends with. */
export const SEGMENT_ADVICE = 'the number of segments.';

/** Backends whose tensors can be read without waiting; TensorFlow has integers in the processor's memory always. */
const READABLE: readonly string[] = ['cpu', 'fwp', 'tensorflow'];

/** Whether the current backend's indices can be read without waiting. */
export function canReadIndices(): boolean {
  return READABLE.includes(tf.getBackend());
}

/** The error for `indices[position] = value` where values from 0 to `limit` (exclusive) are expected. */
export function indexError(
  name: string,
  shape: number[],
  position: number,
  value: number,
  limit: number,
  advice: string,
): RangeError {
  const location = tf.util.indexToLoc(position, shape.length, tf.util.computeStrides(shape));
  return new RangeError(`${name}[${location.join(', ')}] is ${value}, but must be in [0, ${limit}): ${advice}`);
}

/**
 * Makes sure that all elements of an int32 tensor are in [0, limit), where `mask` (if given) is not 0. Does nothing on
 * devices whose tensors must be waited for.
 *
 * @param name of the tensor, which messages begin with
 * @param indices int32 of any shape
 * @param limit what they must be below
 * @param advice what the limit is; messages end with it
 * @param mask of the same shape: where it is 0, any index will do
 * @returns the elements; `undefined` where they must be waited for
 * @throws RangeError naming the first bad position and its value
 */
export function assertIndices(
  name: string,
  indices: tf.Tensor,
  limit: number,
  advice: string,
  mask?: tf.Tensor,
): Int32Array | undefined {
  if (!canReadIndices()) return undefined;
  const values = indices.dataSync<'int32'>();
  const weights = mask?.dataSync();
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if ((value < 0 || value >= limit) && (weights === undefined || weights[i] !== 0)) {
      throw indexError(name, indices.shape, i, value, limit, advice);
    }
  }
  return values;
}
