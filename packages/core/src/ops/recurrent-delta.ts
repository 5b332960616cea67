/**
 * The Recurrent Delta Net (Irie, Schlag, Csordás, Schmidhuber 2021, "Going beyond linear Transformers with recurrent fast weight
 * programmers", section 3.2): a delta rule whose programmer sees what was read last. With r_t = tanh(y_{t-1}),
 *
 *   q'_t = softmax(q_t + R_q r_t)    k'_t = softmax(k_t + R_k r_t)    v'_t = v_t + R_v r_t    β'_t = σ(β_t + r_b · r_t)
 *   S_t = S_{t-1} + β'_t (v'_t − S_{t-1} k'_t) k'_tᵀ        y_t = S_t q'_t        y_0 = 0
 *
 *   q, k [batch, heads, time, keyDim]   v, y [batch, heads, time, valueDim]   β [batch, heads, time]
 *   S [batch, heads, valueDim, keyDim]   R_q, R_k [heads, keyDim, valueDim]   R_v [heads, valueDim, valueDim]   r_b [heads, valueDim]
 *
 * Queries, keys and β are what a projection gave, before any activation. All steps run in one kernel (`csrc/recurrent-delta.c`, and
 * on GPUs for heads of up to 64 `webgpu/kernels/recurrent-delta.ts`); the gradient is exact for everything, recurrent weights and
 * initial state included.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape } from '../shape-checks.ts';
import { MAX_RECURRENT_DELTA_DIM } from '../webgpu/kernels/recurrent-delta.ts';
import { assertScan, runScan, type ScanKernel, type ScanOptions, scanGradient } from './fast-weight-scan.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import {
  deltaStep,
  lastOutput,
  matrixTimes,
  restarted,
  stackSteps,
  stepOf,
  stepsOf,
  withTime,
} from './recurrent-steps.ts';

/** What a {@link recurrentDelta} is given at each step, float32, before any activation. */
export interface RecurrentDeltaInputs {
  /** Of queries, `[batch, heads, time, keyDim]`. */
  q: tf.Tensor;
  /** Of keys, `[batch, heads, time, keyDim]`. */
  k: tf.Tensor;
  /** Of values, `[batch, heads, time, valueDim]`. */
  v: tf.Tensor;
  /** Of write strengths, `[batch, heads, time]`. */
  beta: tf.Tensor;
}

/** What the last output is multiplied by, for each head, float32. */
export interface RecurrentDeltaWeights {
  /** R_q, `[heads, keyDim, valueDim]`. */
  query: tf.Tensor;
  /** R_k, `[heads, keyDim, valueDim]`. */
  key: tf.Tensor;
  /** R_v, `[heads, valueDim, valueDim]`. */
  value: tf.Tensor;
  /** r_b, `[heads, valueDim]`. */
  beta: tf.Tensor;
}

/** State of a {@link recurrentDelta}. */
export interface RecurrentDeltaState {
  /** S, `[batch, heads, valueDim, keyDim]`. */
  fastWeights: tf.Tensor;
  /** y of the last step, `[batch, heads, valueDim]`. */
  output: tf.Tensor;
}

/** Options of {@link recurrentDelta}. */
export interface RecurrentDeltaOptions extends Pick<ScanOptions, 'resetMask'> {
  /** The state before the first step. Default: zeros. */
  initialState?: RecurrentDeltaState | undefined;
}

/** Result of {@link recurrentDelta}. */
export interface RecurrentDeltaResult {
  /** y of all steps, `[batch, heads, time, valueDim]`. */
  output: tf.Tensor4D;
  /** The state after the last step. */
  finalState: RecurrentDeltaState;
}

const WEIGHTS = ['queryWeight', 'keyWeight', 'valueWeight', 'betaWeight'];

const KERNEL: ScanKernel = {
  name: 'FwpRecurrentDelta',
  // The gradient kernel returns none for the weights, which come last.
  inputs: ['q', 'k', 'v', 'beta', 'initialState', 'initialOutput', ...WEIGHTS],
  results: ['output', 'finalState'],
  savedResults: [],
  kept: {
    queries: ({ batch, heads, time, keyDim }) => [batch, heads, time, keyDim],
    keys: ({ batch, heads, time, keyDim }) => [batch, heads, time, keyDim],
    rates: ({ batch, heads, time }) => [batch, heads, time],
    errors: ({ batch, heads, time, valueDim }) => [batch, heads, time, valueDim],
    feedback: ({ batch, heads, time, valueDim }) => [batch, heads, time, valueDim],
  },
  supports: ({ keyDim, valueDim }, backend) =>
    backend !== 'webgpu' || Math.max(keyDim, valueDim) <= MAX_RECURRENT_DELTA_DIM,
};

/**
 * Runs a Recurrent Delta Net over sequences.
 *
 * @param inputs of queries, keys, values and write strengths
 * @param weights of the last output
 * @param options initial state, resets
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function recurrentDelta(
  inputs: RecurrentDeltaInputs,
  weights: RecurrentDeltaWeights,
  options: RecurrentDeltaOptions = {},
): RecurrentDeltaResult {
  const { q, k, v, beta } = inputs;
  const { initialState, resetMask } = options;
  const sizes = assertScan('recurrentDelta', { q, k, v }, { resetMask, initialState: initialState?.fastWeights });
  assertFloatShape('recurrentDelta: beta', beta, ['batch', 'heads', 'time'], sizes);
  assertFloatShape('recurrentDelta: weights.query', weights.query, ['heads', 'keyDim', 'valueDim'], sizes);
  assertFloatShape('recurrentDelta: weights.key', weights.key, ['heads', 'keyDim', 'valueDim'], sizes);
  assertFloatShape('recurrentDelta: weights.value', weights.value, ['heads', 'valueDim', 'valueDim'], sizes);
  assertFloatShape('recurrentDelta: weights.beta', weights.beta, ['heads', 'valueDim'], sizes);
  if (initialState !== undefined) {
    const shape = ['batch', 'heads', 'valueDim'];
    assertFloatShape('recurrentDelta: initialState.output', initialState.output, shape, sizes);
  }
  return inTidy(() => {
    const { output, finalState } = runScan(
      KERNEL,
      sizes,
      {
        ...{ q, k, v, beta, resetMask, initialState: initialState?.fastWeights, initialOutput: initialState?.output },
        ...{ queryWeight: weights.query, keyWeight: weights.key, valueWeight: weights.value, betaWeight: weights.beta },
      },
      {},
      () => composed(inputs, weights, options),
    );
    const last = lastOutput(output, initialState?.output);
    return { output: output as tf.Tensor4D, finalState: { fastWeights: finalState, output: last } };
  });
}

function composed(
  { q, k, v, beta }: RecurrentDeltaInputs,
  weights: RecurrentDeltaWeights,
  { initialState, resetMask }: RecurrentDeltaOptions,
): { output: tf.Tensor; finalState: tf.Tensor } {
  const [batch, heads, time, keyDim] = q.shape as [number, number, number, number];
  const dim = v.shape[3] as number;
  let state = initialState?.fastWeights ?? tf.zeros([batch, heads, dim, keyDim]);
  let output = initialState?.output ?? tf.zeros([batch, heads, dim]);
  const [queries, keys, values, betas] = [stepsOf(q, 2), stepsOf(k, 2), stepsOf(v, 2), stepsOf(beta, 2)];
  const outputs: tf.Tensor[] = [];
  for (let t = 0; t < time; t++) {
    state = restarted(state, resetMask, t);
    const recurrent = tf.tanh(restarted(output, resetMask, t));
    const fed = (x: tf.Tensor, weight: tf.Tensor) => tf.add(x, matrixTimes(weight, recurrent));
    const [query, key] = [fed(queries[t]!, weights.query), fed(keys[t]!, weights.key)].map((x) => tf.softmax(x));
    const rate = tf.sigmoid(tf.add(betas[t]!, tf.sum(tf.mul(weights.beta, recurrent), -1)));
    state = deltaStep(state, key as tf.Tensor, fed(values[t]!, weights.value), rate);
    output = matrixTimes(state, query as tf.Tensor);
    outputs.push(output);
  }
  return { output: stackSteps(outputs, 2, [batch, heads, dim]), finalState: tf.clone(state) };
}

/** Result of {@link recurrentDeltaStep}. */
export interface RecurrentDeltaStepResult {
  /** y, `[batch, heads, valueDim]`. */
  output: tf.Tensor3D;
  /** The state after the step. */
  state: RecurrentDeltaState;
}

/**
 * One step of a Recurrent Delta Net, for streams: equal to {@link recurrentDelta} on one more element.
 *
 * @param inputs those of {@link recurrentDelta} without their axis of time
 * @param weights of the last output
 * @param state the state before the step; undefined: zeros
 * @returns the output and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function recurrentDeltaStep(
  inputs: RecurrentDeltaInputs,
  weights: RecurrentDeltaWeights,
  state: RecurrentDeltaState | undefined,
): RecurrentDeltaStepResult {
  for (const name of ['q', 'k', 'v'] as const) {
    assertFloatShape(`recurrentDeltaStep: ${name}`, inputs[name], ['batch', 'heads', 'dim']);
  }
  assertFloatShape('recurrentDeltaStep: beta', inputs.beta, ['batch', 'heads']);
  return inTidy(() => {
    const { output, finalState } = recurrentDelta(withTime(inputs, 2), weights, { initialState: state });
    return { output: stepOf(output, 2, 0) as tf.Tensor3D, state: finalState };
  });
}

const scan = scanGradient(KERNEL);
const FEEDBACK = [...KERNEL.inputs, 'resetMask', ...Object.keys(KERNEL.kept)].indexOf('feedback');

/** Gradient of the kernel, for `registerGradients`. That of a weight is the product of what it gave with r, over all steps. */
export const recurrentDeltaGradients: readonly Gradient[] = [
  {
    ...scan,
    gradFunc: (upstream, saved, attributes) => {
      const gradients = scan.gradFunc(upstream, saved, attributes) as Record<string, () => tf.Tensor>;
      const feedback = (saved as tf.Tensor[])[FEEDBACK] as tf.Tensor;
      const of = (name: string): tf.Tensor => (gradients[name] as () => tf.Tensor)();
      const weight = (given: string) => () => tf.sum(tf.matMul(of(given), feedback, true, false), 0);
      return {
        ...gradients,
        queryWeight: weight('q'),
        keyWeight: weight('k'),
        valueWeight: weight('v'),
        betaWeight: () => tf.squeeze(tf.sum(tf.matMul(tf.expandDims(of('beta'), 3), feedback, true, false), 0), [1]),
      };
    },
  },
];
