/** Losses of training steps, read only where they are wanted, and without stopping a GPU for it. */

import type * as tf from '@tensorflow/tfjs-core';

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
  try {
    return isWanted ? (await value.data())[0] : undefined;
  } finally {
    value.dispose();
  }
}
