/** Linear attention over whole sequences, with and without decays, forward and backward: `[batch, heads, length, dim]`. */

import { gatedLinearAttention, linearAttention } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import { backward, forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';

/** Our programs; peers have their own of the same names. */
export const linearAttentionPrograms: ProgramTable = {
  'linear attention': (parameters) => {
    const [q, k, v] = sequences(parameters);
    return forward([q, k, v], () => tf.tidy(() => linearAttention(q, k, v).output));
  },
  'linear attention backward': (parameters) => {
    const inputs = sequences(parameters);
    return backward(
      inputs,
      uniformTensor(inputs[0].shape, 4),
      (q, k, v) => linearAttention(q as tf.Tensor, k as tf.Tensor, v as tf.Tensor).output,
    );
  },
  'gated linear attention': (parameters) => {
    const [q, k, v] = sequences(parameters);
    const decay = decays(parameters);
    return forward([q, k, v, decay], () => tf.tidy(() => gatedLinearAttention(q, k, v, decay).output));
  },
  'gated linear attention backward': (parameters) => {
    const inputs = [...sequences(parameters), decays(parameters)];
    return backward(
      inputs,
      uniformTensor((inputs[0] as tf.Tensor).shape, 4),
      (q, k, v, decay) =>
        gatedLinearAttention(q as tf.Tensor, k as tf.Tensor, v as tf.Tensor, decay as tf.Tensor).output,
    );
  },
};

/** q, k and v. */
export function sequences(parameters: Parameters): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const shape = ['batch', 'heads', 'length', 'dim'].map((name) => numberOf(parameters, name));
  return [uniformTensor(shape, 1), uniformTensor(shape, 2), uniformTensor(shape, 3)];
}

/** One factor for each key channel and step, from 0.9 to 1. */
function decays(parameters: Parameters): tf.Tensor {
  const shape = ['batch', 'heads', 'length', 'dim'].map((name) => numberOf(parameters, name));
  return tf.tidy(() => tf.add(uniformTensor(shape, 5, 0.05), 0.95));
}
