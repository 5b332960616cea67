/** Numbers that a device computed, read where they are wanted, and without stopping a GPU for it. */

import type * as tf from '@tensorflow/tfjs-core';

/**
 * The numbers of a tensor, which a GPU works on while the program waits. On CPU devices nothing is waited for.
 *
 * @param tensor is disposed of
 * @returns the numbers in a row, as for `tensor.data()`
 */
export async function readValues<DType extends 'float32' | 'int32' | 'bool' = 'float32'>(
  tensor: tf.Tensor,
): Promise<tf.DataTypeMap[DType]> {
  try {
    return await tensor.data<DType>();
  } finally {
    tensor.dispose();
  }
}

/**
 * A number that a device computed, where it is wanted. A GPU works through the steps before while the program waits; between
 * two numbers that are wanted it never does, so that steps follow each other without a gap. On CPU devices nothing is waited for.
 *
 * @param value is disposed of
 * @param isWanted whether anybody looks at the number. Default `true`
 * @returns the number; undefined if it is not wanted
 */
export async function readScalar(value: tf.Scalar): Promise<number>;
export async function readScalar(value: tf.Scalar, isWanted: boolean): Promise<number | undefined>;
export async function readScalar(value: tf.Scalar, isWanted = true): Promise<number | undefined> {
  if (isWanted) return (await readValues(value))[0];
  value.dispose();
  return undefined;
}
