/**
 * The self-referential weight matrix (Irie, Schlag, Csordás and Schmidhuber 2022, "A modern self-referential weight matrix
 * that learns to modify itself", equations 5 to 8): one matrix W that makes the output, and everything by which it
 * is rewritten, keys, new values and learning rates, out of the input and itself.
 *
 *   (y_t, q′_t, k′_t, b′_t) = x_t W_{t-1}        q_t = softmax(q′_t)   k_t = softmax(k′_t)   β_t = σ(b′_t)
 *   W_t = W_{t-1} + k_tᵀ (β_t ∘ (q_t W_{t-1} − k_t W_{t-1}))
 *
 *   x [batch, heads, time, dim]   y [batch, heads, time, outputDim]   q, k [.., dim]   β [.., 4]
 *   W [dim, columns], columns = outputDim + dim + dim + 4: those of the output, the query, the key and the learning rates
 *
 * Each of the four blocks of columns has a learning rate of its own. The write is that of the delta rule, but
 * the new value is what W itself holds for the query: W moves its own contents about. All softmaxes are per head.
 *
 * What is trained is W_0, `weights`, which all sequences begin with. The state is W_t − W_0: zeros are the beginning, and a reset
 * goes back to W_0.
 *
 * On the CPU engine one kernel runs over all steps, with one pass over W for each (`csrc/self-referential.c`), and so
 * on GPUs where inputs and outputs have up to 64 elements (`webgpu/self-referential.ts`). The gradient is exact for everything, and
 * keeps q, k, β and (q − k) W of all steps, and W every 128 steps.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertShape, assertTensor } from '../shape-checks.ts';
import { MAX_SELF_REFERENTIAL_DIM } from '../webgpu/kernels/self-referential.ts';
import { runScan, type ScanKernel, type ScanSizes, scanGradient } from './fast-weight-scan.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import { restarted, stepsOf } from './recurrent-steps.ts';

/** Options of {@link selfReferential}. */
export interface SelfReferentialOptions {
  /** W − `weights` before the first step, float32 `[batch, heads, dim, outputDim + 2 dim + 4]`. Default: zeros. */
  initialState?: tf.Tensor | undefined;
  /** bool `[batch, time]`: true where a new sequence begins, so that W is `weights` before that step. Default: nowhere. */
  resetMask?: tf.Tensor | undefined;
}

/** Result of {@link selfReferential}. */
export interface SelfReferentialResult {
  /** y of all steps, each read before that step's write, `[batch, heads, time, outputDim]`. */
  output: tf.Tensor4D;
  /** W − `weights` after the last step, `[batch, heads, dim, outputDim + 2 dim + 4]`. */
  finalState: tf.Tensor4D;
}

/** Result of {@link selfReferentialStep}. */
export interface SelfReferentialStepResult {
  /** y, `[batch, heads, outputDim]`. */
  output: tf.Tensor3D;
  /** W − `weights` after the step, `[batch, heads, dim, outputDim + 2 dim + 4]`. */
  state: tf.Tensor4D;
}

/** Learning rates of a step: of the columns of the output, the query, the key and the learning rates. */
const RATES = 4;
/** `SR_SEGMENT` of `csrc/self-referential.c`, `SELF_REFERENTIAL_SEGMENT` of `webgpu/kernels/self-referential.ts`. */
const SEGMENT = 128;
/** Floats of a thread's scratch memory (`FWP_SCRATCH_BYTES` of `csrc/fwp.h`), and columns of `SR_MAX_VECTORS` vectors. */
const [SCRATCH, MAX_COLUMNS] = [262_144, 2000];

const columnsOf = ({ keyDim, valueDim }: ScanSizes): number => valueDim + 2 * keyDim + RATES;

/** The kernel. What a scan calls keyDim and valueDim are here dim and outputDim. */
const KERNEL: ScanKernel = {
  name: 'FwpSelfReferential',
  inputs: ['x', 'weights', 'initialState'],
  results: ['output', 'finalState'],
  savedResults: [],
  kept: {
    activations: ({ batch, heads, time, keyDim }) => [batch, heads, time, 2 * keyDim + RATES],
    differences: (sizes) => [sizes.batch, sizes.heads, sizes.time, columnsOf(sizes)],
    anchors: (sizes) => [sizes.batch, sizes.heads, Math.ceil(sizes.time / SEGMENT), sizes.keyDim, columnsOf(sizes)],
  },
  supports: (sizes, backend) => {
    if (backend === 'webgpu') return Math.max(sizes.keyDim, sizes.valueDim) <= MAX_SELF_REFERENTIAL_DIM;
    // The gradient's two matrices, and its rows, each block filled up to whole vectors.
    const columns = columnsOf(sizes) + 64;
    return 2 * (sizes.keyDim + 3) * columns + 20 * (columns + 16) <= SCRATCH && columns <= MAX_COLUMNS;
  },
};

/**
 * Runs a self-referential weight matrix over sequences.
 *
 * @param x float32 inputs, `[batch, heads, time, dim]`
 * @param weights W_0, float32 `[heads, dim, outputDim + 2 dim + 4]`; outputDim is what its shape leaves for it
 * @param options initial state and resets
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function selfReferential(
  x: tf.Tensor,
  weights: tf.Tensor,
  options: SelfReferentialOptions = {},
): SelfReferentialResult {
  const { initialState, resetMask } = options;
  const { columns, ...sizes } = assertInputs('selfReferential', x, weights);
  if (initialState !== undefined) {
    assertFloatShape('selfReferential: initialState', initialState, ['batch', 'heads', 'dim', columns], {
      ...sizes,
      dim: sizes.keyDim,
    });
  }
  if (resetMask !== undefined) {
    assertTensor('selfReferential: resetMask', resetMask, 'bool');
    assertShape('selfReferential: resetMask', resetMask, ['batch', 'time'], sizes);
  }
  return runScan<SelfReferentialResult>(
    KERNEL,
    sizes,
    { x, weights, initialState, resetMask },
    { read: 'before' },
    () => composed(x, weights, options, sizes),
  );
}

/**
 * One step of a self-referential weight matrix, for streams: equal to {@link selfReferential} on one more element.
 *
 * @param x float32 `[batch, heads, dim]`
 * @param weights W_0, float32 `[heads, dim, outputDim + 2 dim + 4]`
 * @param state W − `weights` before the step, float32 `[batch, heads, dim, outputDim + 2 dim + 4]`
 * @returns the output, and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function selfReferentialStep(x: tf.Tensor, weights: tf.Tensor, state: tf.Tensor): SelfReferentialStepResult {
  assertFloatShape('selfReferentialStep: x', x, ['batch', 'heads', 'dim']);
  assertTensor('selfReferentialStep: state', state, 'float32');
  return inTidy(() => {
    const { output, finalState } = selfReferential(tf.expandDims(x, 2), weights, { initialState: state });
    return { output: tf.squeeze(output, [2]) as tf.Tensor3D, state: finalState };
  });
}

/**
 * What W answers to inputs without rewriting itself: each is read from the same state, as if it were the only next one.
 * {@link selfReferential} on one of them gives the same output.
 *
 * @param x float32 `[batch, heads, queries, dim]`
 * @param weights W_0, float32 `[heads, dim, outputDim + 2 dim + 4]`
 * @param state W − `weights`, float32 `[batch, heads, dim, outputDim + 2 dim + 4]`; default: zeros
 * @returns `[batch, heads, queries, outputDim]`
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function selfReferentialRead(x: tf.Tensor, weights: tf.Tensor, state?: tf.Tensor): tf.Tensor4D {
  const { columns, ...sizes } = assertInputs('selfReferentialRead', x, weights);
  const { batch, heads, keyDim: dim, valueDim: outputDim } = sizes;
  if (state !== undefined) {
    assertFloatShape('selfReferentialRead: state', state, ['batch', 'heads', 'dim', columns], { batch, heads, dim });
  }
  return tf.tidy(() => {
    const initial = tf.reshape(tf.slice(weights, [0, 0, 0], [heads, dim, outputDim]), [1, heads, dim, outputDim]);
    const shift = state && tf.slice(state, [0, 0, 0, 0], [batch, heads, dim, outputDim]);
    return tf.matMul(x, shift === undefined ? initial : tf.add(initial, shift)) as tf.Tensor4D;
  });
}

/** Gradient of the kernel, for `registerGradients`. */
export const selfReferentialGradients: readonly Gradient[] = [scanGradient(KERNEL)];

function assertInputs(op: string, x: tf.Tensor, weights: tf.Tensor): ScanSizes & { columns: number } {
  const { batch, heads, time, dim } = assertFloatShape(`${op}: x`, x, ['batch', 'heads', 'time', 'dim']) as Record<
    'batch' | 'heads' | 'time' | 'dim',
    number
  >;
  const { columns } = assertFloatShape(`${op}: weights`, weights, ['heads', 'dim', 'columns'], { heads, dim }) as {
    columns: number;
  };
  const valueDim = columns - 2 * dim - RATES;
  if (dim < 1 || valueDim < 1) {
    throw new RangeError(
      `${op}: weights must have outputDim + 2 · dim + ${RATES} columns, at least ${Math.max(dim, 1) * 2 + RATES + 1} ` +
        `for dim = ${dim}, but have ${columns}.`,
    );
  }
  return { batch, heads, time, keyDim: dim, valueDim, columns };
}

// ---- on other backends, and where the gradient is differentiated again ---------------------------

function composed(
  x: tf.Tensor,
  weights: tf.Tensor,
  { initialState, resetMask }: SelfReferentialOptions,
  sizes: ScanSizes,
): SelfReferentialResult {
  const { batch, heads, time, keyDim: dim, valueDim: outputDim } = sizes;
  const columns = columnsOf(sizes);
  const blocks = [outputDim, dim, dim, RATES];
  const initial = tf.expandDims(weights, 0);
  let state = initialState ?? tf.zeros([batch, heads, dim, columns]);
  const outputs: tf.Tensor[] = [];
  for (const [t, input] of (batch * heads > 0 ? stepsOf(x, 2) : []).entries()) {
    state = restarted(state, resetMask, t);
    const W = tf.add(initial, state);
    const read = tf.matMul(tf.expandDims(input, 2), W);
    const [output, query, key, rates] = tf.split(read, blocks, 3) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    const [q, k] = [tf.softmax(query), tf.softmax(key)];
    const beta = tf.concat(
      tf.split(tf.sigmoid(rates), RATES, 3).map((rate, block) => tf.tile(rate, [1, 1, 1, blocks[block] as number])),
      3,
    );
    const write = tf.mul(beta, tf.matMul(tf.sub(q, k), W));
    state = tf.add(state, tf.matMul(k, write, true, false));
    outputs.push(output);
  }
  const output = outputs.length === 0 ? tf.zeros([batch, heads, time, outputDim]) : tf.concat(outputs, 2);
  return { output: output as tf.Tensor4D, finalState: tf.clone(state) as tf.Tensor4D };
}
