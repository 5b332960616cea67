/**
 * The moving average by which a codebook follows its data (van den Oord, Vinyals, Kavukcuoglu 2017, appendix A.1; with
 * the smoothing of Irie, Csordás, Schmidhuber 2023):
 *
 *     c ← b c + (1 − b) n        m ← b m + (1 − b) s        c′ = (c + ε) / (Σc + K ε) · Σc        w = m / c′
 *
 * with the batch's counts n [codes] and sums s [codes, size]. Smoothing `'stored'` goes on with c′ as c, as the authors of the
 * Kohonen VAE do; `'divisor'` uses c′ for the quotient only, as Sonnet does; `'none'` has c′ = c. One pass over the
 * codebook. There is no gradient: codes are moved by the average alone.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertNumber, assertOneOf } from '../shape-checks.ts';
import { stopGradient } from './stop-gradient.ts';

/** What Laplace smoothing does to the counts; in the order of `csrc/codebook.c`. */
export const SMOOTHINGS = ['none', 'stored', 'divisor'] as const;
/** One of {@link SMOOTHINGS}. */
export type Smoothing = (typeof SMOOTHINGS)[number];

/** A codebook and the moving averages whose quotient it is. */
export type CodebookState = {
  /** c, float32 [codes] */
  readonly counts: tf.Tensor1D;
  /** m, float32 [codes, size] */
  readonly sums: tf.Tensor2D;
  /** w, float32 [codes, size] */
  readonly codebook: tf.Tensor2D;
};

/** Options of {@link codebookAverage}. */
export interface CodebookAverageOptions {
  /** b, from 0 to 1. Default 0.99. */
  readonly decay?: number;
  /** ε. Default 1e-5. */
  readonly epsilon?: number;
  /** Default `'stored'`. */
  readonly smoothing?: Smoothing;
  /** Leaves codes with a batch count of 0 as they are. Default false. */
  readonly keepUnused?: boolean;
}

/** Attributes of kernel `FwpCodebookAverage`. */
export type CodebookAverageAttributes = Required<CodebookAverageOptions>;

/**
 * One step of the moving average.
 *
 * @param state counts, sums and codebook before; they stay the caller's
 * @param batchCounts n, float32 [codes]
 * @param batchSums s, float32 [codes, size]
 * @returns counts, sums and codebook after, as new tensors without gradient
 * @throws TypeError or RangeError for a wrong dtype, shape or option
 */
export function codebookAverage(
  state: CodebookState,
  batchCounts: tf.Tensor1D,
  batchSums: tf.Tensor2D,
  { decay = 0.99, epsilon = 1e-5, smoothing = 'stored', keepUnused = false }: CodebookAverageOptions = {},
): CodebookState {
  const extents = assertFloatShape('codebookAverage: codebook', state.codebook, ['codes', 'size']);
  assertFloatShape('codebookAverage: counts', state.counts, ['codes'], extents);
  assertFloatShape('codebookAverage: sums', state.sums, ['codes', 'size'], extents);
  assertFloatShape('codebookAverage: batchCounts', batchCounts, ['codes'], extents);
  assertFloatShape('codebookAverage: batchSums', batchSums, ['codes', 'size'], extents);
  assertNumber('codebookAverage: decay', decay, 0, 1);
  assertNumber('codebookAverage: epsilon', epsilon, 0);
  assertOneOf('codebookAverage: smoothing', smoothing, SMOOTHINGS);
  const attributes: CodebookAverageAttributes = { decay, epsilon, smoothing, keepUnused };
  return tf.tidy(() => {
    const inputs = {
      counts: stopGradient(state.counts),
      sums: stopGradient(state.sums),
      codebook: stopGradient(state.codebook),
      batchCounts: stopGradient(batchCounts),
      batchSums: stopGradient(batchSums),
    };
    if (tf.getKernel('FwpCodebookAverage', tf.getBackend()) === undefined) return composed(inputs, attributes);
    const results = tf.engine().runKernel('FwpCodebookAverage', inputs, attributes as unknown as tf.NamedAttrMap);
    const [counts, sums, codebook] = results as unknown as [tf.Tensor1D, tf.Tensor2D, tf.Tensor2D];
    return { counts, sums, codebook };
  });
}

type AverageInputs = CodebookState & { readonly batchCounts: tf.Tensor1D; readonly batchSums: tf.Tensor2D };

/** The equations in tfjs operations. */
function composed(inputs: AverageInputs, { decay, epsilon, smoothing, keepUnused }: CodebookAverageAttributes) {
  const { batchCounts, batchSums } = inputs;
  const average = <T extends tf.Tensor>(old: T, batch: T): T =>
    tf.add(tf.mul(decay, old), tf.mul(1 - decay, batch)) as T;
  const used = tf.cast(keepUnused ? tf.notEqual(batchCounts, 0) : tf.onesLike(batchCounts), 'bool');
  const counts = tf.where(used, average(inputs.counts, batchCounts), inputs.counts);
  const total = tf.sum(counts);
  const smoothed = tf.mul(tf.div(tf.add(counts, epsilon), tf.add(total, counts.size * epsilon)), total) as tf.Tensor1D;
  const divisors = smoothing === 'none' ? counts : smoothed;
  const usedRows = tf.expandDims(used, 1);
  const sums = tf.where(usedRows, average(inputs.sums, batchSums), inputs.sums);
  const codebook = tf.where(usedRows, tf.div(sums, tf.expandDims(divisors, 1)), inputs.codebook);
  return { counts: smoothing === 'stored' ? smoothed : counts, sums, codebook } as CodebookState;
}
