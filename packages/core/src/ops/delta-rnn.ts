/**
 * The Delta RNN (Irie, Schlag, Csordás, Schmidhuber 2021, "Going beyond linear Transformers with recurrent fast weight
 * programmers", section 3.1): a fast recurrent net, both of whose matrices the delta rule writes.
 *
 *   W_t = W_{t-1} + β_t (v_t − W_{t-1} k_t) k_tᵀ        R_t = R_{t-1} + β'_t (v'_t − R_{t-1} k'_t) k'_tᵀ
 *   version 2    y_t = W_t q_t + R_t softmax(y_{t-1})               y_0 = 0
 *   version 1    y_t = softmax(W_t q_t + R_t y_{t-1})               y_0 = 0
 *
 *   q, k [batch, heads, time, keyDim]   v, k', v', y [batch, heads, time, valueDim]   β, β' [batch, heads, time]
 *   W [batch, heads, valueDim, keyDim]   R [batch, heads, valueDim, valueDim]
 *
 * Version 2 is the paper's main one. W sees no output, so its half is the {@link deltaRule}; the other half runs one step after
 * the other (`fast-recurrence.ts`). Queries of R are not negative and add up to 1, and its keys should be alike: a softmax.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertOneOf } from '../shape-checks.ts';
import { deltaRule } from './delta-rule.ts';
import { fastRecurrence } from './fast-recurrence.ts';
import { assertScan, type ScanOptions } from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
import { lastOutput, stepOf, withTime } from './recurrent-steps.ts';

/** What a {@link deltaRnn} is given, float32. */
export interface DeltaRnnInputs {
  /** Queries of W, `[batch, heads, time, keyDim]`. */
  q: tf.Tensor;
  /** Keys of W, `[batch, heads, time, keyDim]`. */
  k: tf.Tensor;
  /** Values of W, `[batch, heads, time, valueDim]`. */
  v: tf.Tensor;
  /** Write strengths of W, `[batch, heads, time]`. */
  beta: tf.Tensor;
  /** Keys of R, `[batch, heads, time, valueDim]`. */
  recurrentK: tf.Tensor;
  /** Values of R, `[batch, heads, time, valueDim]`. */
  recurrentV: tf.Tensor;
  /** Write strengths of R, `[batch, heads, time]`. */
  recurrentBeta: tf.Tensor;
}

/** State of a {@link deltaRnn}. */
export interface DeltaRnnState {
  /** W, `[batch, heads, valueDim, keyDim]`. */
  fastWeights: tf.Tensor;
  /** R, `[batch, heads, valueDim, valueDim]`. */
  recurrentWeights: tf.Tensor;
  /** y of the last step, `[batch, heads, valueDim]`. */
  output: tf.Tensor;
}

/** Options of {@link deltaRnn}. */
export interface DeltaRnnOptions extends Pick<ScanOptions, 'resetMask'> {
  /** Which of the two. Default 2. */
  version?: 1 | 2 | undefined;
  /** The state before the first step. Default: zeros. */
  initialState?: DeltaRnnState | undefined;
}

/** Result of {@link deltaRnn}. */
export interface DeltaRnnResult {
  /** y of all steps, `[batch, heads, time, valueDim]`. */
  output: tf.Tensor4D;
  /** The state after the last step. */
  finalState: DeltaRnnState;
}

/**
 * Runs a Delta RNN over sequences.
 *
 * @param inputs what is written into its matrices, and the queries
 * @param options version, initial state, resets
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaRnn(inputs: DeltaRnnInputs, options: DeltaRnnOptions = {}): DeltaRnnResult {
  const { q, k, v, beta, recurrentK, recurrentV, recurrentBeta } = inputs;
  const { version = 2, initialState, resetMask } = options;
  const sizes = assertScan('deltaRnn', { q, k, v }, { resetMask });
  assertFloatShape('deltaRnn: beta', beta, ['batch', 'heads', 'time'], sizes);
  assertFloatShape('deltaRnn: recurrentK', recurrentK, ['batch', 'heads', 'time', 'valueDim'], sizes);
  assertFloatShape('deltaRnn: recurrentV', recurrentV, ['batch', 'heads', 'time', 'valueDim'], sizes);
  assertFloatShape('deltaRnn: recurrentBeta', recurrentBeta, ['batch', 'heads', 'time'], sizes);
  assertOneOf('deltaRnn: version', version, [1, 2]);
  if (initialState !== undefined) {
    const { fastWeights, recurrentWeights, output } = initialState;
    const shapes = [
      ['fastWeights', fastWeights, ['batch', 'heads', 'valueDim', 'keyDim']],
      ['recurrentWeights', recurrentWeights, ['batch', 'heads', 'valueDim', 'valueDim']],
      ['output', output, ['batch', 'heads', 'valueDim']],
    ] as const;
    for (const [name, x, shape] of shapes) assertFloatShape(`deltaRnn: initialState.${name}`, x, shape, sizes);
  }
  const { batch, heads, time, valueDim: dim } = sizes;
  return inTidy(() => {
    const fed = deltaRule(q, k, v, beta, { initialState: initialState?.fastWeights, resetMask });
    const before = initialState?.output ?? tf.zeros([batch, heads, dim]);
    const { output, finalState } = fastRecurrence(
      { batch, heads, gates: 1, time, dim },
      {
        ...withTime({ z: fed.output, k: recurrentK, v: recurrentV, beta: recurrentBeta }, 2),
        initialState: initialState && tf.expandDims(initialState.recurrentWeights, 2),
        initialQuery: version === 1 ? before : tf.softmax(before),
        initialCell: undefined,
        resetMask,
      },
      { version: 0, start: version === 1 ? 0 : 1 / dim },
    );
    const outputs = version === 1 ? tf.softmax(output) : output;
    return {
      output: outputs as tf.Tensor4D,
      finalState: {
        fastWeights: fed.finalState,
        recurrentWeights: tf.squeeze(finalState, [2]),
        output: lastOutput(outputs, before),
      },
    };
  });
}

/** Result of {@link deltaRnnStep}. */
export interface DeltaRnnStepResult {
  /** y, `[batch, heads, valueDim]`. */
  output: tf.Tensor3D;
  /** The state after the step. */
  state: DeltaRnnState;
}

/**
 * One step of a Delta RNN, for streams: equal to {@link deltaRnn} on one more element.
 *
 * @param inputs those of {@link deltaRnn} without their axis of time
 * @param state the state before the step; undefined: zeros
 * @param options the version
 * @returns the output and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaRnnStep(
  inputs: DeltaRnnInputs,
  state: DeltaRnnState | undefined,
  options: Pick<DeltaRnnOptions, 'version'> = {},
): DeltaRnnStepResult {
  for (const name of ['q', 'k', 'v', 'recurrentK', 'recurrentV'] as const) {
    assertFloatShape(`deltaRnnStep: ${name}`, inputs[name], ['batch', 'heads', 'dim']);
  }
  for (const name of ['beta', 'recurrentBeta'] as const) {
    assertFloatShape(`deltaRnnStep: ${name}`, inputs[name], ['batch', 'heads']);
  }
  return inTidy(() => {
    const { output, finalState } = deltaRnn(withTime(inputs, 2), { ...options, initialState: state });
    return { output: stepOf(output, 2, 0) as tf.Tensor3D, state: finalState };
  });
}
