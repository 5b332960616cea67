/**
 * Real-time recurrent learning of an e-LSTM (Irie, Gopalakrishnan and Schmidhuber, "Exploring the Promise and Limits of Real-Time
 * Recurrent Learning", 2023, section 3.2). As no unit of the recurrence sees another one's state (`elementwise-lstm.ts`), the
 * sensitivities S of the state c_t to the parameters have one element for each parameter. With u = (x_t, c_{t-1}, 1), the rows
 * of the input weight, of the recurrent weight and of the bias,
 *
 *   dz = (1 − f) ∘ (1 − z²)      df = (c_{t-1} − z) ∘ f ∘ (1 − f)      a = f + dz ∘ wz + df ∘ wf
 *   Sz_d ← a ∘ Sz_d + dz ∘ u_d   Sf_d ← a ∘ Sf_d + df ∘ u_d            S [batch, inputs + 2, 2 · hidden]
 *   gz_d += Σ_batch e_t ∘ Sz_d   gf_d += Σ_batch e_t ∘ Sf_d            e_t = ∂L_t/∂c_t [batch, hidden]
 *
 * where e_t is the gradient of the loss of step t alone, not of later ones that depend on c_t by way of c_{t+1}. For a loss
 * that is a sum over steps, g is then the gradient of backpropagation through all of time, though nothing of the past is kept
 * but S: its size does not depend on how long the sequence is.
 *
 * Any number of steps at once, in one kernel (`csrc/elementwise-lstm-rtrl.c`, on a GPU `webgpu/kernels/elementwise-lstm-rtrl.ts`).
 */

import * as tf from '@tensorflow/tfjs-core';
import { BACKEND_NAME, type FwpBackend } from '../backend/backend.ts';
import { elementwiseLstmRtrlKernel } from '../backend/kernels/elementwise-lstm-rtrl.ts';
import { assertFloatShape } from '../shape-checks.ts';
import { elementwiseLstmRtrlOnGpu } from '../webgpu/elementwise-lstm-rtrl.ts';
import { activeGpuBackend } from '../webgpu/optimizer.ts';
import {
  assertElementwiseLstm,
  type ElementwiseLstmOptions,
  type ElementwiseLstmResult,
  type ElementwiseLstmSizes,
  type ElementwiseLstmWeights,
  elementwiseLstm,
  fusedElementwiseLstm,
} from './elementwise-lstm.ts';
import { inTidy } from './in-tidy.ts';
import { linear } from './linear.ts';
import { restarted } from './recurrent-steps.ts';
import { stopGradient } from './stop-gradient.ts';

/** What the sensitivities of some steps are computed from. */
export interface ElementwiseLstmTrace extends ElementwiseLstmResult {
  /** z and f of all steps, `[batch, time, 2 · hidden]`. */
  gates: tf.Tensor3D;
}

/** Options of {@link elementwiseLstmRtrl}: those that the trace was made with, and the errors. */
export interface ElementwiseLstmErrors extends ElementwiseLstmOptions {
  /**
   * e of all steps, float32 `[batch, time, hidden]`: the gradient of each step's own loss with respect to its c. Default:
   * there is no loss, and no gradient.
   */
  errors?: tf.Tensor | undefined;
}

/** Gradients of the parameters of the recurrence, summed over batch and time. */
export interface ElementwiseLstmGradients {
  /** `[inputs, 2 · hidden]`. */
  inputWeight: tf.Tensor2D;
  /** `[2 · hidden]`. */
  recurrentWeight: tf.Tensor1D;
  /** `[2 · hidden]`. */
  bias: tf.Tensor1D;
}

/**
 * Runs the recurrence as {@link elementwiseLstm} does, and keeps what {@link elementwiseLstmRtrl} needs. No gradient flows
 * through the results.
 *
 * @param x float32 `[batch, time, inputs]`
 * @param weights the recurrence's parameters
 * @param options initial state and resets
 * @returns c of all steps and of the last, and the gates of all steps
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function elementwiseLstmTrace(
  x: tf.Tensor,
  weights: ElementwiseLstmWeights,
  options: ElementwiseLstmOptions = {},
): ElementwiseLstmTrace {
  const sizes = assertElementwiseLstm('elementwiseLstmTrace', x, weights, options);
  return inTidy(() => {
    const constants = { ...options, initialState: options.initialState && stopGradient(options.initialState) };
    const run = canRunFused(sizes) ? fusedElementwiseLstm : composedTrace;
    return run(stopGradient(x), constant(weights), constants, sizes);
  });
}

function constant({ inputWeight, recurrentWeight, bias }: ElementwiseLstmWeights): ElementwiseLstmWeights {
  return {
    inputWeight: stopGradient(inputWeight),
    recurrentWeight: stopGradient(recurrentWeight),
    bias: bias && stopGradient(bias),
  };
}

/**
 * Carries the sensitivities over the steps of a trace, and computes the gradient of a loss if there is one.
 *
 * @param sensitivities S before the first step, float32 `[batch, inputs + 2, 2 · hidden]`, zeros at the beginning of sequences;
 *   afterwards it holds S behind the last step. Make it with `tf.variable(tensor, false)`
 * @param x what the trace was made from
 * @param weights the same
 * @param trace from {@link elementwiseLstmTrace}
 * @param options initial state and resets, as for the trace; the errors
 * @returns the gradients; undefined without errors
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function elementwiseLstmRtrl(
  sensitivities: tf.Variable,
  x: tf.Tensor,
  weights: ElementwiseLstmWeights,
  trace: ElementwiseLstmTrace,
  options: ElementwiseLstmErrors = {},
): ElementwiseLstmGradients | undefined {
  const op = 'elementwiseLstmRtrl';
  const sizes = assertElementwiseLstm(op, x, weights, options);
  const { batch, time, inputs, hidden } = sizes;
  if (!(sensitivities instanceof tf.Variable)) {
    throw new TypeError(
      `${op}: sensitivities must be a variable, as they are changed. Make one with tf.variable(tensor, false).`,
    );
  }
  assertFloatShape(`${op}: sensitivities`, sensitivities, [batch, inputs + 2, 2 * hidden]);
  assertFloatShape(`${op}: trace.gates`, trace.gates, [batch, time, 2 * hidden]);
  assertFloatShape(`${op}: trace.output`, trace.output, [batch, time, hidden]);
  if (options.errors !== undefined) assertFloatShape(`${op}: errors`, options.errors, [batch, time, hidden]);
  const call = { sensitivities, x, recurrentWeight: weights.recurrentWeight, trace, options, sizes };
  return inTidy(() => {
    if (time > 0) return (canRunFused(sizes) ? fused : composed)(call);
    if (options.errors === undefined) return undefined;
    return asGradients([tf.zeros([inputs, 2 * hidden]), tf.zeros([2 * hidden]), tf.zeros([2 * hidden])]);
  }) as ElementwiseLstmGradients | undefined;
}

/** The arguments, checked. */
interface Call {
  readonly sensitivities: tf.Variable;
  readonly x: tf.Tensor;
  readonly recurrentWeight: tf.Tensor;
  readonly trace: ElementwiseLstmTrace;
  readonly options: ElementwiseLstmErrors;
  readonly sizes: ElementwiseLstmSizes;
}

function asGradients([inputWeight, recurrentWeight, bias]: readonly tf.Tensor[]): ElementwiseLstmGradients {
  return { inputWeight, recurrentWeight, bias } as unknown as ElementwiseLstmGradients;
}

// ---- on the CPU engine and on a GPU --------------------------------------------------------------

/** Whether there is a kernel. */
function canRunFused({ batch, hidden }: ElementwiseLstmSizes): boolean {
  return tf.getBackend() === BACKEND_NAME || (activeGpuBackend() !== undefined && batch * hidden > 0);
}

function fused({ sensitivities, x, recurrentWeight, trace, options }: Call): ElementwiseLstmGradients | undefined {
  const call = {
    sensitivities,
    x,
    gates: trace.gates,
    cells: trace.output,
    recurrentWeight,
    initialState: options.initialState,
    resetMask: options.resetMask,
    errors: options.errors,
  };
  const gpu = activeGpuBackend();
  const backend = tf.backend();
  const gradients = gpu ? elementwiseLstmRtrlOnGpu(gpu, call) : elementwiseLstmRtrlKernel(backend as FwpBackend, call);
  if (gradients === undefined) return undefined;
  return asGradients(gradients.map((gradient) => tf.engine().makeTensorFromTensorInfo(gradient, backend)));
}

// ---- on other backends ---------------------------------------------------------------------------

function composedTrace(
  x: tf.Tensor,
  weights: ElementwiseLstmWeights,
  options: ElementwiseLstmOptions,
  { batch, time, hidden }: ElementwiseLstmSizes,
): ElementwiseLstmTrace {
  const { output, finalState } = elementwiseLstm(x, weights, options);
  const before = statesBefore(output, options, { batch, time, hidden });
  const sums = tf.add(linear(x, weights.inputWeight, { bias: weights.bias }), twice(before, weights.recurrentWeight));
  const gates = tf.concat([tf.tanh(half(sums, 0)), tf.sigmoid(half(sums, 1))], 2) as tf.Tensor3D;
  return { output, finalState, gates };
}

/** w ∘ (c, c) for c of all steps. */
function twice(states: tf.Tensor, recurrentWeight: tf.Tensor): tf.Tensor {
  return tf.mul(tf.concat([states, states], 2), recurrentWeight);
}

/** z's (0) or f's (1) part of the last axis of a tensor of three. */
function half(x: tf.Tensor, part: 0 | 1): tf.Tensor {
  const [batch, time, columns] = x.shape as [number, number, number];
  return tf.slice(x, [0, 0, (part * columns) / 2], [batch, time, columns / 2]);
}

/** c_{t-1} of all steps, `[batch, time, hidden]`, zero where step t begins with a reset. */
function statesBefore(
  output: tf.Tensor,
  { initialState, resetMask }: ElementwiseLstmOptions,
  { batch, time, hidden }: Omit<ElementwiseLstmSizes, 'inputs'>,
): tf.Tensor {
  if (time === 0) return output;
  const first = tf.reshape(initialState ?? tf.zeros([batch, hidden]), [batch, 1, hidden]);
  const states = tf.concat([first, tf.slice(output, [0, 0, 0], [batch, time - 1, hidden])], 1);
  if (resetMask === undefined) return states;
  return tf.where(tf.broadcastTo(tf.expandDims(resetMask, 2), states.shape), tf.zerosLike(states), states);
}

function composed(call: Call): ElementwiseLstmGradients | undefined {
  const { sensitivities, x, recurrentWeight, trace, options, sizes } = call;
  const { batch, time, inputs, hidden } = sizes;
  const before = statesBefore(trace.output, options, sizes);
  const [z, f] = [half(trace.gates, 0), half(trace.gates, 1)];
  const rest = tf.sub(1, f);
  const dz = tf.mul(rest, tf.sub(1, tf.square(z)));
  const df = tf.mul(tf.mul(tf.sub(before, z), f), rest);
  const local = tf.concat([dz, df], 2);
  const recurring = twice(tf.ones([batch, time, hidden]), recurrentWeight);
  const a = tf.add(f, tf.add(tf.mul(dz, half(recurring, 0)), tf.mul(df, half(recurring, 1))));

  /** Step t of a tensor of all steps, with an axis for the rows of S. */
  const at = (tensor: tf.Tensor, t: number) => {
    const size = tensor.shape[2] as number;
    return tf.reshape(tf.slice(tensor, [0, t, 0], [batch, 1, size]), [batch, 1, size]);
  };
  const both = (tensor: tf.Tensor) => tf.concat([tensor, tensor], 2);
  let state: tf.Tensor = sensitivities;
  let sum: tf.Tensor | undefined;
  for (let t = 0; t < time; t++) {
    state = restarted(state, options.resetMask, t);
    const rows = tf.tile(tf.reshape(at(x, t), [batch, inputs, 1]), [1, 1, 2 * hidden]);
    const u = tf.concat([rows, both(at(before, t)), tf.ones([batch, 1, 2 * hidden])], 1);
    state = tf.add(tf.mul(both(at(a, t)), state), tf.mul(at(local, t), u));
    if (options.errors !== undefined) {
      const gradient = tf.sum(tf.mul(both(at(options.errors, t)), state), 0);
      sum = sum === undefined ? gradient : tf.add(sum, gradient);
    }
  }
  sensitivities.assign(state);
  if (sum === undefined) return undefined;
  const [inputWeight, recurrent, bias] = tf.split(sum, [inputs, 1, 1], 0) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return asGradients([inputWeight, tf.reshape(recurrent, [-1]), tf.reshape(bias, [-1])]);
}
