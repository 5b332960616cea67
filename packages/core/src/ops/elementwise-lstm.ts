/**
 * An LSTM with elementwise recurrence, the eLSTM of Irie, Gopalakrishnan and Schmidhuber, "Exploring the Promise and Limits of
 * Real-Time Recurrent Learning" (2023; ICLR 2024), section 3.1, over whole sequences:
 *
 *   z_t = tanh(x_t Wz + wz ∘ c_{t-1} + bz)    f_t = σ(x_t Wf + wf ∘ c_{t-1} + bf)    c_t = f_t ∘ c_{t-1} + (1 − f_t) ∘ z_t
 *
 *   x [batch, time, inputs]   W = (Wz, Wf) [inputs, 2 · hidden]   w = (wz, wf) [2 · hidden]   b = (bz, bf) [2 · hidden]
 *   output = c [batch, time, hidden]
 *
 * Input and forget gate are one, and a unit sees no other unit's state, only its own. That is why the sensitivities of c to the
 * parameters have one element for each parameter, and real-time recurrent learning is cheap (`elementwise-lstm-rtrl.ts`). The
 * gradient here is that of backpropagation through time, exact for everything, the initial state included. The output gate,
 * which is no part of the recurrence, is left to the layer (`nn/elementwise-lstm.ts`).
 *
 * All steps run in one kernel (`csrc/elementwise-lstm.c`, on GPUs `webgpu/elementwise-lstm.ts`), and so do those of the gradient.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertShape, assertTensor } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import { keptBuffer } from './kept-buffer.ts';
import { linear, linearInputGradient, linearWeightGradient } from './linear.ts';
import { restarted, stepsOf } from './recurrent-steps.ts';

/** Parameters of the recurrence; the part of z comes before that of f. */
export interface ElementwiseLstmWeights {
  /** float32 `[inputs, 2 · hidden]`. */
  inputWeight: tf.Tensor;
  /** float32 `[2 · hidden]`: each unit's weights of its own state. */
  recurrentWeight: tf.Tensor;
  /** float32 `[2 · hidden]`. Default: none. */
  bias?: tf.Tensor | undefined;
}

/** Options of {@link elementwiseLstm}. */
export interface ElementwiseLstmOptions {
  /** c before the first step, float32 `[batch, hidden]`. Default: zeros. */
  initialState?: tf.Tensor | undefined;
  /** bool `[batch, time]`: true where a new sequence begins, so that c is zero before that step. Default: nowhere. */
  resetMask?: tf.Tensor | undefined;
}

/** Result of {@link elementwiseLstm}. */
export interface ElementwiseLstmResult {
  /** c of all steps, `[batch, time, hidden]`. */
  output: tf.Tensor3D;
  /** c after the last step, `[batch, hidden]`. */
  finalState: tf.Tensor2D;
}

/**
 * Runs the recurrence of an e-LSTM over sequences.
 *
 * @param x float32 `[batch, time, inputs]`
 * @param weights the recurrence's parameters
 * @param options initial state and resets
 * @returns c of all steps and of the last
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function elementwiseLstm(
  x: tf.Tensor,
  weights: ElementwiseLstmWeights,
  options: ElementwiseLstmOptions = {},
): ElementwiseLstmResult {
  const sizes = assertElementwiseLstm('elementwiseLstm', x, weights, options);
  return inTidy(() => {
    if (!canFuse('FwpElementwiseLstm')) return composed(x, weights, options, sizes);
    const { output, finalState } = fusedElementwiseLstm(x, weights, options, sizes);
    return { output, finalState };
  });
}

/**
 * One step of an e-LSTM's recurrence, for streams: equal to {@link elementwiseLstm} on one more element.
 *
 * @param x float32 `[batch, inputs]`
 * @param weights the recurrence's parameters
 * @param state c before the step, float32 `[batch, hidden]`
 * @returns c after it, `[batch, hidden]`
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function elementwiseLstmStep(x: tf.Tensor, weights: ElementwiseLstmWeights, state: tf.Tensor): tf.Tensor2D {
  const { batch } = assertFloatShape('elementwiseLstmStep: x', x, ['batch', 'inputs']) as { batch: number };
  assertFloatShape('elementwiseLstmStep: state', state, ['batch', 'hidden'], { batch });
  return tf.tidy(() => elementwiseLstm(tf.expandDims(x, 1), weights, { initialState: state }).finalState);
}

/** Sizes of the recurrence's tensors. */
export type ElementwiseLstmSizes = Record<'batch' | 'time' | 'inputs' | 'hidden', number>;

/**
 * Checks what the recurrence takes.
 *
 * @param op the operation's name, for messages
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function assertElementwiseLstm(
  op: string,
  x: tf.Tensor,
  { inputWeight, recurrentWeight, bias }: ElementwiseLstmWeights,
  { initialState, resetMask }: ElementwiseLstmOptions,
): ElementwiseLstmSizes {
  let extents = assertFloatShape(`${op}: x`, x, ['batch', 'time', 'inputs']);
  extents = assertFloatShape(`${op}: inputWeight`, inputWeight, ['inputs', '2 · hidden'], extents);
  const columns = extents['2 · hidden'] as number;
  if (columns % 2 !== 0) {
    throw new RangeError(
      `${op}: inputWeight must have an even number of columns, those of z and those of f, but has ${columns}.`,
    );
  }
  assertFloatShape(`${op}: recurrentWeight`, recurrentWeight, ['2 · hidden'], extents);
  if (bias !== undefined) assertFloatShape(`${op}: bias`, bias, ['2 · hidden'], extents);
  const { batch, time, inputs } = extents as ElementwiseLstmSizes;
  const sizes = { batch, time, inputs, hidden: columns / 2 };
  if (initialState !== undefined) assertFloatShape(`${op}: initialState`, initialState, ['batch', 'hidden'], sizes);
  if (resetMask !== undefined) {
    assertTensor(`${op}: resetMask`, resetMask, 'bool');
    assertShape(`${op}: resetMask`, resetMask, ['batch', 'time'], sizes);
  }
  return sizes;
}

// ---- on the CPU engine ---------------------------------------------------------------------------

/** The kernel's results, and the buffer that it filled with z and f, `[batch, time, 2 · hidden]`. Call it in a tidy. */
export function fusedElementwiseLstm(
  x: tf.Tensor,
  { inputWeight, recurrentWeight, bias }: ElementwiseLstmWeights,
  { initialState, resetMask }: ElementwiseLstmOptions,
  { batch, time, hidden }: ElementwiseLstmSizes,
): ElementwiseLstmResult & { gates: tf.Tensor3D } {
  const gates = keptBuffer([batch, time, 2 * hidden]) as tf.Tensor3D;
  const [output, finalState] = runFused('FwpElementwiseLstm', {
    x,
    inputWeight,
    recurrentWeight,
    // The gradient saves all of these; no elements stand for what was not given.
    bias: bias ?? tf.zeros([0]),
    initialState: initialState ?? tf.zeros([0]),
    resetMask: resetMask ?? tf.zeros([0], 'bool'),
    gates,
  }) as [tf.Tensor3D, tf.Tensor2D];
  return { output, finalState, gates };
}

const SAVED_INPUTS = ['x', 'inputWeight', 'recurrentWeight', 'initialState', 'resetMask', 'gates'];

/** Gradient of the kernel, for {@link registerGradients}. */
export const elementwiseLstmGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpElementwiseLstm',
    inputsToSave: SAVED_INPUTS,
    outputsToSave: [true, false],
    reads: [0, 1],
    gradFunc: (upstream, saved) => {
      const [dOutput, dFinalState] = upstream as tf.Tensor[] as [tf.Tensor, tf.Tensor];
      const [x, inputWeight, recurrentWeight, initialState, resetMask, gates, output] = saved as tf.Tensor[] as Seven;
      const common = { recurrentWeight, initialState, resetMask, gates, output };
      const [dGates, dRecurrent, dBias, dInitial] = runFused('FwpElementwiseLstmGradient', {
        ...common,
        dOutput,
        dFinalState,
      }) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      return {
        x: () => linearInputGradient(dGates, inputWeight),
        inputWeight: () => linearWeightGradient(x, dGates),
        recurrentWeight: () => dRecurrent,
        bias: () => dBias,
        initialState: () => dInitial,
      };
    },
  },
];

type Seven = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

// ---- on other backends, and where the gradient is differentiated again ---------------------------

function composed(
  x: tf.Tensor,
  { inputWeight, recurrentWeight, bias }: ElementwiseLstmWeights,
  { initialState, resetMask }: ElementwiseLstmOptions,
  { batch, time, hidden }: ElementwiseLstmSizes,
): ElementwiseLstmResult {
  const sums = linear(x, inputWeight, { bias });
  const [wz, wf] = tf.split(recurrentWeight, 2) as [tf.Tensor, tf.Tensor];
  let state = (initialState ?? tf.zeros([batch, hidden])) as tf.Tensor2D;
  const states: tf.Tensor[] = [];
  for (const [t, sum] of stepsOf(sums, 1).entries()) {
    state = restarted(state, resetMask, t) as tf.Tensor2D;
    const [sumZ, sumF] = tf.split(sum, 2, 1) as [tf.Tensor, tf.Tensor];
    const z = tf.tanh(tf.add(sumZ, tf.mul(wz, state)));
    const f = tf.sigmoid(tf.add(sumF, tf.mul(wf, state)));
    state = tf.add(tf.mul(f, state), tf.mul(tf.sub(1, f), z));
    states.push(state);
  }
  const output = time === 0 ? tf.zeros([batch, 0, hidden]) : tf.stack(states, 1);
  return { output: output as tf.Tensor3D, finalState: tf.clone(state) };
}
