/** Inputs of LSTMs with elementwise recurrence, and the operations on them, for the tests on every device. */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { elementwiseLstm, elementwiseLstmRtrl, elementwiseLstmTrace } from '../../src/index.ts';
import type { ElementwiseLstmSizes, ElementwiseLstmValues } from '../reference/elementwise-lstm.ts';
import { type Inputs, noise, noiseInput } from './against-reference.ts';

export function noiseInputs({ batch, time, inputs, hidden }: ElementwiseLstmSizes): Inputs {
  return {
    x: noiseInput([batch, time, inputs], 1),
    inputWeight: noiseInput([inputs, 2 * hidden], 2),
    recurrentWeight: noiseInput([2 * hidden], 3, 2),
    bias: noiseInput([2 * hidden], 4),
    initialState: noiseInput([batch, hidden], 5),
  };
}

/** The operation in the form of the reference. */
export function apply(tensors: Record<string, tf.Tensor>, resetMask?: tf.Tensor): tf.Tensor[] {
  const { x, inputWeight, recurrentWeight, bias, initialState } = tensors;
  const weights = { inputWeight: inputWeight!, recurrentWeight: recurrentWeight!, bias };
  const { output, finalState } = elementwiseLstm(x!, weights, { initialState, resetMask });
  return [output, finalState];
}

export function resetsOf({ batch, time }: ElementwiseLstmSizes): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.5 ? 1 : 0));
}

export function resetMaskOf(sizes: ElementwiseLstmSizes): tf.Tensor {
  return tf.tensor2d(resetsOf(sizes), [sizes.batch, sizes.time], 'bool');
}

// ---- real-time recurrent learning ----------------------------------------------------------------

/** Values, errors and sensitivities for it. */
export interface RtrlCase extends ElementwiseLstmValues {
  readonly sizes: ElementwiseLstmSizes;
  readonly errors: Float32Array;
  readonly sensitivities: Float32Array;
}

/** Random values; about a third of the steps have no error, and with `resets` a third begin a sequence. */
export function rtrlCase(
  sizes: ElementwiseLstmSizes,
  { resets = false, fresh = true }: { resets?: boolean; fresh?: boolean } = {},
): RtrlCase {
  const { batch, time, inputs, hidden } = sizes;
  const isQuiet = noise(batch * time, 8).map((x) => (x > 0.4 ? 1 : 0));
  const s = noise(batch * (inputs + 2) * 2 * hidden, 7);
  return {
    sizes,
    x: noise(batch * time * inputs, 1),
    inputWeight: noise(inputs * 2 * hidden, 2),
    recurrentWeight: noise(2 * hidden, 3),
    bias: noise(2 * hidden, 4),
    initialState: noise(batch * hidden, 5),
    errors: noise(batch * time * hidden, 6).map((e, i) => (isQuiet[Math.floor(i / hidden)] ? 0 : e)),
    sensitivities: fresh ? s.fill(0) : s,
    ...(resets ? { reset: Array.from(noise(batch * time, 9), (x) => (x > 0.4 ? 1 : 0)) } : {}),
  };
}

/** S and the gradients by the operation, in pieces of the given numbers of steps, the state carried on. */
export function rtrl(given: RtrlCase, pieces: number[], withErrors = true): Float32Array[] {
  const { batch, time, inputs, hidden } = given.sizes;
  const sensitivities = tf.tidy(() =>
    tf.variable(tf.tensor3d(given.sensitivities.slice(), [batch, inputs + 2, 2 * hidden]), false),
  );
  const results = tf.tidy(() => {
    const x = tf.tensor(given.x as Float32Array, [batch, time, inputs]);
    const errors = tf.tensor(given.errors, [batch, time, hidden]);
    const resetMask = given.reset && tf.tensor2d([...(given.reset as number[])], [batch, time], 'bool');
    const weights = {
      inputWeight: tf.tensor2d(given.inputWeight as Float32Array, [inputs, 2 * hidden]),
      recurrentWeight: tf.tensor1d(given.recurrentWeight as Float32Array),
      bias: tf.tensor1d(given.bias as Float32Array),
    };
    let state: tf.Tensor = tf.tensor(given.initialState as Float32Array, [batch, hidden]);
    let begin = 0;
    let sums: tf.Tensor[] | undefined;
    for (const steps of pieces) {
      const cut = (tensor: tf.Tensor) => tf.slice(tensor, [0, begin], [batch, steps]);
      const options = { initialState: state, ...(resetMask ? { resetMask: cut(resetMask) } : {}) };
      const trace = elementwiseLstmTrace(cut(x), weights, options);
      const withError = withErrors ? { ...options, errors: cut(errors) } : options;
      const gradients = elementwiseLstmRtrl(sensitivities, cut(x), weights, trace, withError);
      expect(gradients === undefined).toBe(!withErrors);
      if (gradients !== undefined) {
        const { inputWeight, recurrentWeight, bias } = gradients;
        const parts = [inputWeight, recurrentWeight, bias];
        sums = sums === undefined ? parts : parts.map((part, i) => tf.add(part, sums![i]!));
      }
      state = trace.finalState;
      begin += steps;
    }
    return [sensitivities, ...(sums ?? [])].map((tensor) => tensor.dataSync() as Float32Array);
  });
  sensitivities.dispose();
  return results;
}
