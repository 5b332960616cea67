/**
 * Vector quantisation as a layer uses it (van den Oord, Vinyals, Kavukcuoglu 2017, section 3.1): the nearest code in place of
 * each vector, with a gradient that goes straight through, and how far the vectors are from their codes.
 *
 *     k_n = argmin_k ‖z_n − w_k‖²        q_n = w_{k_n}        error = mean (q − z)²
 *     dz = dq + 2 derror / size(z) · (z − q)
 *
 * The codes are constants. One pass over the vectors does all of it: a few of them are still in the nearest cache when their
 * codes are known. `vqQuantizeSum` adds them up by code in the same pass, for codes that follow a moving average.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { embedding } from './embedding.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { type SegmentSums, segmentSum } from './segment-sum.ts';
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
  assertOperands('vqQuantize', vectors, codebook);
  return tf.tidy(() => quantize(vectors, codebook, 'FwpVqQuantize').result);
}

/**
 * Replaces vectors by their nearest codes, and adds up the vectors of each code: {@link vqQuantize} and {@link segmentSum} in
 * one pass. Sums and counts are constants.
 *
 * @param vectors z, float32 [..., size], at least one
 * @param codebook w, float32 [codes, size]; no gradient passes to it
 * @throws TypeError or RangeError for a wrong dtype or shape, or if there is no vector or no code
 */
export function vqQuantizeSum<T extends tf.Tensor>(vectors: T, codebook: tf.Tensor2D): VqResult<T> & SegmentSums {
  const { codes, size } = assertOperands('vqQuantizeSum', vectors, codebook);
  return tf.tidy((): VqResult<T> & SegmentSums => {
    const { result, rest } = quantize(vectors, codebook, 'FwpVqQuantizeSum');
    if (rest.length > 0) {
      const [sums, counts] = rest.map(stopGradient) as [tf.Tensor2D, tf.Tensor1D];
      return { ...result, sums, counts };
    }
    const rows = tf.reshape(stopGradient(vectors), [-1, size]) as tf.Tensor2D;
    const { sums, counts } = segmentSum(rows, tf.reshape(result.indices, [-1]) as tf.Tensor1D, codes);
    return { ...result, sums, counts };
  });
}

function assertOperands(name: string, vectors: tf.Tensor, codebook: tf.Tensor2D): { codes: number; size: number } {
  const { codes, size } = assertCodebook(name, codebook);
  assertFloatShape(`${name}: vectors`, vectors, ['...', 'size'], { size });
  if (vectors.size === 0) throw new RangeError(`${name}: vectors has no elements; expected at least one vector.`);
  return { codes, size };
}

/** The kernel's first three outputs, and those behind them; or the composition, which has no others. */
function quantize<T extends tf.Tensor>(
  vectors: T,
  codebook: tf.Tensor2D,
  kernelName: string,
): { result: VqResult<T>; rest: tf.Tensor[] } {
  const codes = stopGradient(codebook);
  if (canFuse(kernelName)) {
    const [output, indices, error, ...rest] = runFused(kernelName, { vectors, codebook: codes });
    return { result: { output: output as T, indices: indices as tf.Tensor, error: error as tf.Scalar }, rest };
  }
  const indices = vqAssign(vectors, codes);
  const nearest = stopGradient(embedding(codes, indices));
  const error = tf.mean(tf.squaredDifference(nearest, vectors)) as tf.Scalar;
  return { result: { output: straightThrough(vectors, nearest), indices, error }, rest: [] };
}

/** Gradients of the kernels, for `registerGradients`. */
export const vqQuantizeGradients: readonly Gradient[] = [
  ['FwpVqQuantize', 3] as const,
  ['FwpVqQuantizeSum', 5] as const,
].map(([kernelName, outputs]) => ({
  kernelName,
  inputsToSave: ['vectors'],
  outputsToSave: Array.from({ length: outputs }, (_, output) => output === 0),
  reads: [0, 2],
  gradFunc: (dys, saved) => {
    const [vectors, output] = saved as [tf.Tensor, tf.Tensor];
    const [dy, , derror] = dys as unknown as [tf.Tensor, tf.Tensor, tf.Scalar];
    return { vectors: () => runFused('FwpVqQuantizeGrad', { dy, derror, vectors, output }) as unknown as tf.Tensor };
  },
}));
