/**
 * The recurrent half of fast recurrent nets, which `delta-rnn.ts` and `delta-lstm.ts` complete: for each gate of a cell, a fast
 * weight matrix that the delta rule writes and that reads what the cell gave last,
 *
 *   R_t = R_{t-1} + β_t (v_t − R_{t-1} k_t) k_tᵀ        p_t = z_t + R_t s_{t-1}        s_t = softmax(h_t)
 *
 *   z, k, v [batch, heads, gates, time, dim]   β [batch, heads, gates, time]   R [batch, heads, gates, dim, dim]
 *   s, c [batch, heads, dim]   h [batch, heads, time, dim]
 *
 * With one gate h = p. With three, h comes from a cell c (equations in `delta-lstm.ts`). On the CPU engine one kernel runs
 * over all steps (`csrc/delta-rnn.c`), and on GPUs for heads of up to 64 (`webgpu/recurrent-scans.ts`), with an exact gradient.
 */

import * as tf from '@tensorflow/tfjs-core';
import { MAX_DELTA_RNN_DIM } from '../webgpu/kernels/delta-rnn.ts';
import { runScan, type ScanKernel, scanGradient } from './fast-weight-scan.ts';
import type { Gradient } from './gradients/support.ts';
import { deltaStep, matrixTimes, restarted, stackSteps, stepOf, stepsOf } from './recurrent-steps.ts';

/** Sizes of a fast recurrent net. */
export type RecurrenceSizes = Record<'batch' | 'heads' | 'gates' | 'time' | 'dim', number>;

/** Which cell makes h of p: 0 is that of the Delta RNN, the others are the versions of the Delta LSTM. */
export type CellVersion = 0 | 1 | 2 | 3 | 4;

/** What the recurrent half is given. */
export interface RecurrenceInputs {
  readonly z: tf.Tensor;
  readonly k: tf.Tensor;
  readonly v: tf.Tensor;
  readonly beta: tf.Tensor;
  /** R before the first step. */
  readonly initialState: tf.Tensor | undefined;
  /** s before the first step. */
  readonly initialQuery: tf.Tensor;
  /** c before the first step. */
  readonly initialCell: tf.Tensor | undefined;
  /** bool `[batch, time]`: where a sequence begins. */
  readonly resetMask: tf.Tensor | undefined;
}

/** What it gives. */
export interface RecurrenceResult {
  /** h, `[batch, heads, time, dim]`. */
  output: tf.Tensor;
  /** R after the last step. */
  finalState: tf.Tensor;
  /** c after the last step; zeros or what it was where there is no cell. */
  finalCell: tf.Tensor;
}

const KERNEL: ScanKernel<RecurrenceSizes & { version: CellVersion }> = {
  name: 'FwpDeltaRnn',
  inputs: ['z', 'k', 'v', 'beta', 'initialState', 'initialQuery', 'initialCell'],
  results: ['output', 'finalState', 'finalCell'],
  savedResults: [],
  kept: {
    errors: ({ batch, heads, gates, time, dim }) => [batch, heads, gates, time, dim],
    queries: ({ batch, heads, time, dim }) => [batch, heads, time, dim],
    activations: ({ batch, heads, gates, time, dim, version }) =>
      version === 0 ? [0] : [batch, heads, gates, time, dim],
    cells: ({ batch, heads, time, dim, version }) => (version === 0 ? [0] : [batch, heads, time, dim]),
  },
  supports: ({ dim }, backend) => backend !== 'webgpu' || dim <= MAX_DELTA_RNN_DIM,
};

/**
 * Runs the recurrent half over sequences.
 *
 * @param sizes of the tensors, which were checked
 * @param inputs the tensors
 * @param cell which cell, and an element of s where a sequence begins
 */
export function fastRecurrence(
  sizes: RecurrenceSizes,
  inputs: RecurrenceInputs,
  cell: { readonly version: CellVersion; readonly start: number },
): RecurrenceResult {
  const all = inputs as unknown as Record<string, tf.Tensor | undefined>;
  return runScan(KERNEL, { ...sizes, version: cell.version }, all, cell, () => composed(sizes, inputs, cell));
}

/** Gradient of the kernel, for `registerGradients`. */
export const fastRecurrenceGradients: readonly Gradient[] = [scanGradient(KERNEL)];

function composed(
  { batch, heads, gates, time, dim }: RecurrenceSizes,
  { z, k, v, beta, initialState, initialQuery, initialCell, resetMask }: RecurrenceInputs,
  { version, start }: { readonly version: CellVersion; readonly start: number },
): RecurrenceResult {
  let state = initialState ?? tf.zeros([batch, heads, gates, dim, dim]);
  let cell = initialCell ?? tf.zeros([batch, heads, dim]);
  let query = initialQuery;
  const [keys, values, betas, inputs] = [stepsOf(k, 3), stepsOf(v, 3), stepsOf(beta, 3), stepsOf(z, 3)];
  const outputs: tf.Tensor[] = [];
  for (let t = 0; t < time; t++) {
    state = restarted(state, resetMask, t);
    query = restarted(query, resetMask, t, start);
    cell = restarted(cell, resetMask, t);
    state = deltaStep(state, keys[t]!, values[t]!, betas[t]!);
    const fed = inputs[t]!;
    const p = tf.add(fed, matrixTimes(state, tf.expandDims(query, 2)));
    let output = stepOf(p, 2, 0);
    if (version > 0) {
      const [input, outward] = [output, stepOf(p, 2, 2)].map((x) => tf.sigmoid(x)) as [tf.Tensor, tf.Tensor];
      const update = version === 4 ? stepOf(p, 2, 1) : tf.sigmoid(stepOf(p, 2, 1));
      cell = tf.add(tf.mul(input, update), tf.mul(tf.sub(1, input), cell));
      output = tf.mul(outward, cell);
      if (version === 3) output = tf.add(output, stepOf(fed, 2, 1));
    }
    outputs.push(output);
    query = tf.softmax(output, 2);
  }
  const output = stackSteps(outputs, 2, [batch, heads, dim]);
  return { output, finalState: tf.clone(state), finalCell: tf.clone(cell) };
}
