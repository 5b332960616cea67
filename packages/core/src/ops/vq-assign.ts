/**
 * Nearest codes, the assignment step of vector quantisation:
 *
 *     index[n] = argmin_k ‖z_n − w_k‖² = argmin_k ½‖w_k‖² − z_n · w_k        z [..., size]   w [codes, size]   index [...]
 *
 * The length of z is the same for all codes and is left out. The products are computed tile by tile with the least
 * value so far beside them, so the distances [..., codes] are never stored. An index is constant almost everywhere: there
 * is no gradient.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { stopGradient } from './stop-gradient.ts';

/**
 * Index of the code that is nearest to each vector; of several at the same distance the first.
 *
 * @param vectors float32 [..., size]
 * @param codebook float32 [codes, size]
 * @returns int32 [...]; 0 for a vector with NaN. Constant: no gradient passes
 * @throws TypeError or RangeError for a wrong dtype or shape, or an empty codebook
 */
export function vqAssign(vectors: tf.Tensor, codebook: tf.Tensor2D): tf.Tensor {
  const { size } = assertCodebook('vqAssign', codebook);
  assertFloatShape('vqAssign: vectors', vectors, ['...', 'size'], { size });
  return tf.tidy(() => {
    const [z, w] = [stopGradient(vectors), stopGradient(codebook)];
    if (tf.getKernel('FwpVqAssign', tf.getBackend()) !== undefined) {
      return tf.engine().runKernel('FwpVqAssign', { vectors: z, codebook: w }) as tf.Tensor;
    }
    const rows = tf.reshape(z, [z.size / size, size]) as tf.Tensor2D;
    const scores = tf.sub(tf.matMul(rows, w, false, true), tf.mul(0.5, tf.sum(tf.square(w), 1)));
    return tf.reshape(tf.argMax(scores, 1), vectors.shape.slice(0, -1));
  });
}

/** Makes sure that a codebook is float32 [codes, size], and not empty; returns its sizes. */
export function assertCodebook(name: string, codebook: tf.Tensor): { codes: number; size: number } {
  const { codes, size } = assertFloatShape(`${name}: codebook`, codebook, ['codes', 'size']);
  if (codebook.size === 0) {
    throw new RangeError(`${name}: codebook has shape [${codebook.shape.join(', ')}], but needs at least one code.`);
  }
  return { codes: codes as number, size: size as number };
}
