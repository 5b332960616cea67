/**
 * The Delta Delta Net (Irie, Schlag, Csordás, Schmidhuber 2021, section 3.1): a fast weight programmer that is programmed
 * itself. What is read from one memory, W, is written into another, S, both by the delta rule:
 *
 *   W_t = W_{t-1} + β_t (v_t − W_{t-1} k_t) k_tᵀ        [q', k', v', β'] = W_t q_t
 *   S_t = S_{t-1} + σ(β') (v' − S_{t-1} φ(k')) φ(k')ᵀ     y_t = S_t φ(q')       φ(x) = (ELU(x) + 1) / (Σ (ELU(x) + 1) + ε)
 *
 *   q, k [batch, heads, time, keyDim]   v [batch, heads, time, 2 · innerKeyDim + innerValueDim + 1]   β [batch, heads, time]
 *   W [batch, heads, the size of v, keyDim]   S [batch, heads, innerValueDim, innerKeyDim]
 *
 * Neither memory sees an output of its own: two {@link deltaRule}s, one after the other. A W that is not zero at first, which
 * the paper trains, is `initialState.outer`, repeated over the batch.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertCount, assertFloatShape } from '../shape-checks.ts';
import { deltaRule } from './delta-rule.ts';
import { assertScan, type ScanOptions } from './fast-weight-scan.ts';
import { eluPlusOne } from './feature-maps/elementwise.ts';
import { inTidy } from './in-tidy.ts';
import { stepOf, withTime } from './recurrent-steps.ts';

/** What a {@link deltaDelta} is given at each step, float32. */
export interface DeltaDeltaInputs {
  /** Queries of W, `[batch, heads, time, keyDim]`. */
  q: tf.Tensor;
  /** Keys of W, `[batch, heads, time, keyDim]`. */
  k: tf.Tensor;
  /** Values of W: for queries, keys, values and write strength of S, `[batch, heads, time, 2 · innerKeyDim + innerValueDim + 1]`. */
  v: tf.Tensor;
  /** Write strengths of W, `[batch, heads, time]`. */
  beta: tf.Tensor;
}

/** State of a {@link deltaDelta}. */
export interface DeltaDeltaState {
  /** W, `[batch, heads, 2 · innerKeyDim + innerValueDim + 1, keyDim]`. */
  outer: tf.Tensor;
  /** S, `[batch, heads, innerValueDim, innerKeyDim]`. */
  inner: tf.Tensor;
}

/** Options of {@link deltaDelta}. */
export interface DeltaDeltaOptions extends Pick<ScanOptions, 'resetMask'> {
  /** Size of queries and keys of S. Default keyDim. */
  innerKeyDim?: number | undefined;
  /** The state before the first step. Default: zeros. */
  initialState?: DeltaDeltaState | undefined;
  /** ε of the features. Default 1e-6. */
  epsilon?: number | undefined;
}

/** Result of {@link deltaDelta}. */
export interface DeltaDeltaResult {
  /** y of all steps, `[batch, heads, time, innerValueDim]`. */
  output: tf.Tensor4D;
  /** The state after the last step. */
  finalState: DeltaDeltaState;
}

/**
 * Runs a Delta Delta Net over sequences.
 *
 * @param inputs what is written into W, and its queries
 * @param options sizes, initial state, resets, ε
 * @returns all outputs and the final state
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaDelta({ q, k, v, beta }: DeltaDeltaInputs, options: DeltaDeltaOptions = {}): DeltaDeltaResult {
  const { initialState, resetMask, epsilon = 1e-6 } = options;
  const sizes = assertScan('deltaDelta', { q, k, v }, { resetMask, initialState: initialState?.outer });
  const { innerKeyDim = sizes.keyDim } = options;
  assertCount('deltaDelta: innerKeyDim', innerKeyDim);
  const innerValueDim = sizes.valueDim - 2 * innerKeyDim - 1;
  if (innerValueDim < 1) {
    throw new RangeError(
      `deltaDelta: v has ${sizes.valueDim} elements, which is too few for queries and keys of ${innerKeyDim}, a write strength ` +
        `and at least one for values; give at least ${2 * innerKeyDim + 2}, or a smaller innerKeyDim.`,
    );
  }
  assertFloatShape('deltaDelta: beta', beta, ['batch', 'heads', 'time'], sizes);
  if (initialState !== undefined) {
    const shape = ['batch', 'heads', innerValueDim, innerKeyDim];
    assertFloatShape('deltaDelta: initialState.inner', initialState.inner, shape, sizes);
  }
  return inTidy(() => {
    const outer = deltaRule(q, k, v, beta, { initialState: initialState?.outer, resetMask });
    const parts = tf.split(outer.output, [innerKeyDim, innerKeyDim, innerValueDim, 1], 3);
    const [queries, keys, values, rates] = parts as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    const features = { normalization: 'sum', epsilon } as const;
    const { output, finalState } = deltaRule(
      eluPlusOne(queries, features),
      eluPlusOne(keys, features),
      values,
      tf.sigmoid(tf.squeeze(rates, [3])),
      { initialState: initialState?.inner, resetMask },
    );
    return { output, finalState: { outer: outer.finalState, inner: finalState } };
  });
}

/** Result of {@link deltaDeltaStep}. */
export interface DeltaDeltaStepResult {
  /** y, `[batch, heads, innerValueDim]`. */
  output: tf.Tensor3D;
  /** The state after the step. */
  state: DeltaDeltaState;
}

/**
 * One step of a Delta Delta Net, for streams: equal to {@link deltaDelta} on one more element.
 *
 * @param inputs those of {@link deltaDelta} without their axis of time
 * @param state the state before the step; undefined: zeros
 * @param options sizes and ε
 * @returns the output and the state after the step
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function deltaDeltaStep(
  inputs: DeltaDeltaInputs,
  state: DeltaDeltaState | undefined,
  options: Pick<DeltaDeltaOptions, 'innerKeyDim' | 'epsilon'> = {},
): DeltaDeltaStepResult {
  for (const name of ['q', 'k', 'v'] as const) {
    assertFloatShape(`deltaDeltaStep: ${name}`, inputs[name], ['batch', 'heads', 'dim']);
  }
  assertFloatShape('deltaDeltaStep: beta', inputs.beta, ['batch', 'heads']);
  return inTidy(() => {
    const { output, finalState } = deltaDelta(withTime(inputs, 2), { ...options, initialState: state });
    return { output: stepOf(output, 2, 0) as tf.Tensor3D, state: finalState };
  });
}
