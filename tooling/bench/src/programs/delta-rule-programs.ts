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
    return forward(inputs, () => deltaRule(...inputs).output);
  },
  'delta rule backward': deltaRuleBackward,
  'delta rule loop backward': deltaRuleBackward,
  'gated delta rule backward': (parameters) => {
    const inputs = deltaRuleInputs(parameters);
    const decay = tf.tidy(() => tf.add(uniformTensor(inputs[3].shape, 6, 0.05), 0.95));
    return backward(
      [...inputs, decay],
      uniformTensor(inputs[0].shape, 5),
      (...given) => gatedDeltaRule(...(given as [...Inputs, tf.Tensor])).output,
    );
  },
};

type Inputs = [q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, beta: tf.Tensor];

/** Keys of length about 1, write strengths from 0 to 1. */
function deltaRuleInputs(parameters: Parameters): Inputs {
  const shape = ['batch', 'heads', 'length', 'dim'].map((name) => numberOf(parameters, name));
  const scale = Math.sqrt(3 / (shape[3] as number));
  const beta = tf.tidy(() => tf.add(uniformTensor(shape.slice(0, 3), 4, 0.5), 0.5));
  return [uniformTensor(shape, 1), uniformTensor(shape, 2, scale), uniformTensor(shape, 3), beta];
}
