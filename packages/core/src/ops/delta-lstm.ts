/**
 * The Delta LSTM (Irie, Schlag, Csordás, Schmidhuber 2021, section 3.1 and appendix A): an LSTM whose six matrices are fast
 * weights, written by the delta rule. For the gates g = i, u, o, with W^g and R^g as in `delta-rnn.ts`,
 *
 *   p^g_t = W^g_t q^g_t + R^g_t s_{t-1}
 *   i = σ(p^i)    u = f(p^u)    o = σ(p^o)    c_t = i ∘ u + (1 − i) ∘ c_{t-1}
 *
 *   version 4    h_t = o ∘ c_t                     f = identity    s = softmax(h)
 *   version 3    h_t = o ∘ c_t + W^u_t q^u_t       f = σ           s = softmax(h)
 *   version 2    h_t = o ∘ c_t                     f = σ           s = softmax(h)
 *   version 1    h_t = softmax(o ∘ c_t)            f = σ           s = h
 *
 *   q, k [batch, heads, 3, time, keyDim]   v, k', v' [batch, heads, 3, time, valueDim]   β, β' [batch, heads, 3, time]
 *   h [batch, heads, time, valueDim]   c, s [batch, heads, valueDim]
 *
 * with the gates in the order i, u, o, and h and c zero before the first step. Version 4 is the paper's main one.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertFloatShape, assertOneOf, assertShape, assertTensor } from '../shape-checks.ts';
import { deltaRule } from './delta-rule.ts';
import { fastRecurrence } from './fast-recurrence.ts';
import type { ScanOptions, ScanSizes } from './fast-weight-scan.ts';
import { inTidy } from './in-tidy.ts';
import { lastOutput, stepOf, withTime } from './recurrent-steps.ts';

/** What a {@link deltaLstm} is given, float32; gates in the order i, u, o. */
export interface DeltaLstmInputs {
  /** Queries of W, `[batch, heads, 3, time, keyDim]`. */
  q: tf.Tensor;
  /** Keys of W, `[batch, heads, 3, time, keyDim]`. */
  k: tf.Tensor;
  /** Values of W, `[batch, heads, 3, time, valueDim]`. */
  v: tf.Tensor;
  /** Write strengths of W, `[batch, heads, 3, time]`. */
  beta: tf.Tensor;
  /** Keys of R, `[batch, heads, 3, time, valueDim]`. */
  recurrentK: tf.Tensor;
  /** Values of R, `[batch, heads, 3, time, valueDim]`. */
  recurrentV: tf.Tensor;
  /** Write strengths of R, `[batch, heads, 3, time]`. */
  recurrentBeta: tf.Tensor;
}

/** State of a {@link deltaLstm}. */
export interface DeltaLstmState {
  /** W, `[batch, heads, 3, valueDim, keyDim]`. */
  fastWeights: tf.Tensor;
  /** R, `[batch, heads, 3, valueDim, valueDim]`. */
  recurrentWeights: tf.Tensor;
  /** h of the last step, `[batch, heads, valueDim]`. */
  output: tf.Tensor;
  /** c, `[batch, heads, valueDim]`. */
  cell: tf.Tensor;
}

/** Options of {@link deltaLstm}. */
export interface DeltaLstmOptions extends Pick<ScanOptions, 'resetMask'> {
  /** Which of the four. Default 4. */
  version?: 1 | 2 | 3 | 4 | undefined;
  /** The state before the first step. Default: zeros. */
  initialState?: DeltaLstmState | undefined;
}

/** Result of {@link deltaLstm}. */
export interface DeltaLstmResult {
  /** h of all steps, `[batch, heads, time, valueDim]`. */
  output: tf.Tensor4D;
  /** The state after the last step. */
  finalState: DeltaLstmState;
}

const GATES = 3;

/**
 * Runs a Delta LSTM over sequences.
 *
 * @param inputs what is written into its matrices, and the queries
 * @param options version, initial state, resets
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaLstm(inputs: DeltaLstmInputs, options: DeltaLstmOptions = {}): DeltaLstmResult {
  const { version = 4, initialState, resetMask } = options;
  const { batch, heads, time, keyDim, valueDim } = assertInputs(inputs, options);
  return inTidy(() => {
    // To the feed-forward half, the gates are heads.
    const asHeads = (x: tf.Tensor) => tf.reshape(x, [batch, heads * GATES, ...x.shape.slice(3)]);
    const asGates = (x: tf.Tensor) => tf.reshape(x, [batch, heads, GATES, ...x.shape.slice(2)]);
    const [q, k, v, beta] = [inputs.q, inputs.k, inputs.v, inputs.beta].map(asHeads) as Four;
    const state = initialState && asHeads(initialState.fastWeights);
    const fed = deltaRule(q, k, v, beta, { initialState: state, resetMask });
    const before = initialState?.output ?? tf.zeros([batch, heads, valueDim]);
    const { output, finalState, finalCell } = fastRecurrence(
      { batch, heads, gates: GATES, time, dim: valueDim },
      {
        z: asGates(fed.output),
        k: inputs.recurrentK,
        v: inputs.recurrentV,
        beta: inputs.recurrentBeta,
        initialState: initialState?.recurrentWeights,
        initialQuery: version === 1 ? before : tf.softmax(before),
        initialCell: initialState?.cell,
        resetMask,
      },
      { version, start: version === 1 ? 0 : 1 / valueDim },
    );
    const outputs = version === 1 ? tf.softmax(output) : output;
    const fastWeights = tf.reshape(fed.finalState, [batch, heads, GATES, valueDim, keyDim]);
    return {
      output: outputs as tf.Tensor4D,
      finalState: {
        fastWeights,
        recurrentWeights: finalState,
        output: lastOutput(outputs, before),
        cell: finalCell,
      },
    };
  });
}

type Four = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

function assertInputs(inputs: DeltaLstmInputs, options: DeltaLstmOptions): ScanSizes {
  const { version = 4, initialState, resetMask } = options;
  const steps = ['batch', 'heads', GATES, 'time'];
  let sizes = assertFloatShape('deltaLstm: q', inputs.q, [...steps, 'keyDim']);
  sizes = assertFloatShape('deltaLstm: k', inputs.k, [...steps, 'keyDim'], sizes);
  sizes = assertFloatShape('deltaLstm: v', inputs.v, [...steps, 'valueDim'], sizes);
  assertFloatShape('deltaLstm: beta', inputs.beta, steps, sizes);
  assertFloatShape('deltaLstm: recurrentK', inputs.recurrentK, [...steps, 'valueDim'], sizes);
  assertFloatShape('deltaLstm: recurrentV', inputs.recurrentV, [...steps, 'valueDim'], sizes);
  assertFloatShape('deltaLstm: recurrentBeta', inputs.recurrentBeta, steps, sizes);
  assertOneOf('deltaLstm: version', version, [1, 2, 3, 4]);
  if (resetMask !== undefined) {
    assertTensor('deltaLstm: resetMask', resetMask, 'bool');
    assertShape('deltaLstm: resetMask', resetMask, ['batch', 'time'], sizes);
  }
  if (initialState !== undefined) {
    const { fastWeights, recurrentWeights, output, cell } = initialState;
    const shapes = [
      ['fastWeights', fastWeights, ['batch', 'heads', GATES, 'valueDim', 'keyDim']],
      ['recurrentWeights', recurrentWeights, ['batch', 'heads', GATES, 'valueDim', 'valueDim']],
      ['output', output, ['batch', 'heads', 'valueDim']],
      ['cell', cell, ['batch', 'heads', 'valueDim']],
    ] as const;
    for (const [name, x, shape] of shapes) assertFloatShape(`deltaLstm: initialState.${name}`, x, shape, sizes);
  }
  return sizes as ScanSizes;
}

/** Result of {@link deltaLstmStep}. */
export interface DeltaLstmStepResult {
  /** h, `[batch, heads, valueDim]`. */
  output: tf.Tensor3D;
  /** The state after the step. */
  state: DeltaLstmState;
}

/**
 * One step of a Delta LSTM, for streams: equal to {@link deltaLstm} on one more element.
 *
 * @param inputs those of {@link deltaLstm} without their axis of time
 * @param state the state before the step; undefined: zeros
 * @param options the version
 * @returns the output and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaLstmStep(
  inputs: DeltaLstmInputs,
  state: DeltaLstmState | undefined,
  options: Pick<DeltaLstmOptions, 'version'> = {},
): DeltaLstmStepResult {
  for (const name of ['q', 'k', 'v', 'recurrentK', 'recurrentV'] as const) {
    assertFloatShape(`deltaLstmStep: ${name}`, inputs[name], ['batch', 'heads', GATES, 'dim']);
  }
  for (const name of ['beta', 'recurrentBeta'] as const) {
    assertFloatShape(`deltaLstmStep: ${name}`, inputs[name], ['batch', 'heads', GATES]);
  }
  return inTidy(() => {
    const { output, finalState } = deltaLstm(withTime(inputs, 3), { ...options, initialState: state });
    return { output: stepOf(output, 2, 0) as tf.Tensor3D, state: finalState };
  });
}
