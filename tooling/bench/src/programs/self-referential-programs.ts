/** Self-referential weight matrices over whole sequences: x `[batch, heads, length, dim]`, W `[heads, dim, 3 dim + 4]`. */

import { selfReferential } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import { backward, forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';

/** Our programs; the peer's of the same names are loops over time. */
export const selfReferentialPrograms: ProgramTable = {
  'self-referential': (parameters) => {
    const [x, weights] = inputsOf(parameters);
    return forward([x, weights], () => tf.tidy(() => selfReferential(x, weights).output));
  },
  'self-referential backward': (parameters) => {
    const [x, weights] = inputsOf(parameters);
    return backward(
      [x, weights],
      uniformTensor(x.shape, 5),
      (...given) => selfReferential(...(given as [tf.Tensor, tf.Tensor])).output,
    );
  },
};

/** Weights of standard deviation 1 / √dim. */
function inputsOf(parameters: Parameters): [x: tf.Tensor, weights: tf.Tensor] {
  const [batch, heads, length, dim] = ['batch', 'heads', 'length', 'dim'].map((name) => numberOf(parameters, name)) as [
    number,
    number,
    number,
    number,
  ];
  return [
    uniformTensor([batch, heads, length, dim], 1),
    uniformTensor([heads, dim, 3 * dim + 4], 2, Math.sqrt(3 / dim)),
  ];
}
