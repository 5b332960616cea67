/**
 * Vector quantisation as a layer uses it (van den Oord, Vinyals, Kavukcuoglu 2017, section 3.1): the nearest code in place of
 * each vector, with a gradient that goes straight through, and how far the vectors are from their codes.
 *
 *     k_n = argmin_k ‖z_n − w_k‖²        q_n = w_{k_n}        error = mean (q − z)²
 *     dz = dq + 2 derror / size(z) · (z − q)
 *
 * The codes are constants. One pass over the vectors does all of it: a few of them are still in the nearest cache when their
 * codes are known.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { embedding } from './embedding.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { stopGradient, straightThrough } from './stop-gradient.ts';
import { assertCodebook, vqAssign } from './vq-assign.ts';

/** What {@link vqQuantize} returns. */
export type VqResult<T extends tf.Tensor = tf.Tensor> = {
  /** q, the shape of the vectors; its gradient goes to the vectors. */
  readonly output: T;
  /** k, int32; the shape of the vectors without the last extent. Constant. */
  readonly indices: tf.Tensor;
  /** mean (q − z)², whose gradient goes to the vectors. */
  readonly error: tf.Scalar;
};

/**
 * Replaces vectors by their nearest codes.
 *
 * @param vectors z, float32 [..., size], at least one
 * @param codebook w, float32 [codes, size]; no gradient passes to it
 * @throws TypeError or RangeError for a wrong dtype or shape, or if there is no vector or no code
 */
export function vqQuantize<T extends tf.Tensor>(vectors: T, codebook: tf.Tensor2D): VqResult<T> {
  const { size } = assertCodebook('vqQuantize', codebook);
  assertFloatShape('vqQuantize: vectors', vectors, ['...', 'size'], { size });
  if (vectors.size === 0) throw new RangeError('vqQuantize: vectors has no elements; expected at least one vector.');
  return tf.tidy((): VqResult<T> => {
    const codes = stopGradient(codebook);
    if (canFuse('FwpVqQuantize')) {
      const [output, indices, error] = runFused('FwpVqQuantize', { vectors, codebook: codes });
      return { output: output as T, indices: indices as tf.Tensor, error: error as tf.Scalar };
    }
    const indices = vqAssign(vectors, codes);
    const nearest = stopGradient(embedding(codes, indices));
    const error = tf.mean(tf.squaredDifference(nearest, vectors)) as tf.Scalar;
    return { output: straightThrough(vectors, nearest), indices, error };
  });
}

/** Gradient of the kernel, for `registerGradients`. */
export const vqQuantizeGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpVqQuantize',
    inputsToSave: ['vectors'],
    outputsToSave: [true, false, false],
    gradFunc: (dys, saved) => {
      const [vectors, output] = saved as [tf.Tensor, tf.Tensor];
      const [dy, , derror] = dys as unknown as [tf.Tensor, tf.Tensor, tf.Scalar];
      return { vectors: () => runFused('FwpVqQuantizeGrad', { dy, derror, vectors, output }) as unknown as tf.Tensor };
    },
  },
];
