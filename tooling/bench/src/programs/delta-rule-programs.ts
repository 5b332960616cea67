/** The delta rule over whole sequences, forward and backward: `[batch, heads, length, dim]`. */

import { deltaRule, gatedDeltaRule } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import { backward, forward, uniformTensor } from './operation-programs.ts';
import { type MakeProgram, numberOf, type ProgramTable } from './program.ts';

const deltaRuleBackward: MakeProgram = (parameters) => {
  const inputs = deltaRuleInputs(parameters);
  return backward(inputs, uniformTensor(inputs[0].shape, 5), (...given) => deltaRule(...(given as Inputs)).output);
};

/** Our programs; peers have their own of the same names, of which the `loop` is another algorithm. */
export const deltaRulePrograms: ProgramTable = {
  'delta rule': (parameters) => {
    const inputs = deltaRuleInputs(parameters);
    return forward(inputs, () => tf.tidy(() => deltaRule(...inputs).output));
  },
  'delta rule backward': deltaRuleBackward,
  'delta rule loop backward': deltaRuleBackward,
  'delta rule step by step backward': (parameters) => {
    const inputs = deltaRuleInputs(parameters);
    return backward(inputs, uniformTensor(inputs[0].shape, 5), (...given) => deltaRuleStepByStep(...(given as Inputs)));
  },
  'gated delta rule': (parameters) => {
    const inputs = gatedInputs(parameters);
    return forward(inputs, () => tf.tidy(() => gatedDeltaRule(...inputs).output));
  },
  'gated delta rule backward': (parameters) => {
    const inputs = gatedInputs(parameters);
    return backward(
      inputs,
      uniformTensor(inputs[0].shape, 5),
      (...given) => gatedDeltaRule(...(given as [...Inputs, tf.Tensor])).output,
    );
  },
};

type Inputs = [q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, beta: tf.Tensor];

/** The delta rule as a user of tfjs would write it; what a kernel is worth is measured against it. */
function deltaRuleStepByStep(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, beta: tf.Tensor): tf.Tensor {
  const [batch, heads, length, dim] = q.shape as [number, number, number, number];
  let state: tf.Tensor = tf.zeros([batch, heads, dim, dim]);
  const outputs: tf.Tensor[] = [];
  for (let t = 0; t < length; t++) {
    const at = (x: tf.Tensor) => tf.slice(x, [0, 0, t, 0], [batch, heads, 1, dim]);
    const strength = tf.reshape(tf.slice(beta, [0, 0, t], [batch, heads, 1]), [batch, heads, 1, 1]);
    const error = tf.sub(at(v), tf.matMul(at(k), state, false, true));
    state = tf.add(state, tf.matMul(tf.mul(strength, error), at(k), true, false));
    outputs.push(tf.matMul(at(q), state, false, true));
  }
  return tf.concat(outputs, 2);
}

/** The same with one factor for each step, from 0.9 to 1. */
function gatedInputs(parameters: Parameters): [...Inputs, decay: tf.Tensor] {
  const inputs = deltaRuleInputs(parameters);
  return [...inputs, tf.tidy(() => tf.add(uniformTensor(inputs[3].shape, 6, 0.05), 0.95))];
}

/** Keys of length about 1, write strengths from 0 to 1. */
function deltaRuleInputs(parameters: Parameters): Inputs {
  const shape = ['batch', 'heads', 'length', 'dim'].map((name) => numberOf(parameters, name));
  const scale = Math.sqrt(3 / (shape[3] as number));
  const beta = tf.tidy(() => tf.add(uniformTensor(shape.slice(0, 3), 4, 0.5), 0.5));
  return [uniformTensor(shape, 1), uniformTensor(shape, 2, scale), uniformTensor(shape, 3), beta];
}
