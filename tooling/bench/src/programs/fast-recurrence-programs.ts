/** Fast weights with recurrence over whole sequences, forward and backward: `[batch, heads, length, dim]`. */

import { type DeltaRnnInputs, deltaLstm, deltaRnn, recurrentDelta } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Parameters } from '../harness/protocol.ts';
import { backward, forward, uniformTensor } from './operation-programs.ts';
import { numberOf, type ProgramTable } from './program.ts';

/** Our programs; the peer's of the same names are loops over time. */
export const fastRecurrencePrograms: ProgramTable = {
  ...bothWays('delta rnn', fastNetInputs([]), (...given) => deltaRnn(named(given)).output),
  ...bothWays('delta lstm', fastNetInputs([3]), (...given) => deltaLstm(named(given)).output),
  ...bothWays('recurrent delta', recurrentDeltaInputs, (...given) => {
    const [q, k, v, beta, query, key, value, rate] = given as [...Four, ...Four];
    return recurrentDelta({ q, k, v, beta }, { query, key, value, beta: rate }).output;
  }),
};

type Four = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
type MakeInputs = (parameters: Parameters) => tf.Tensor[];

/** A program for a function of tensors, and one for its gradient. */
function bothWays(name: string, makeInputs: MakeInputs, compute: (...inputs: tf.Tensor[]) => tf.Tensor): ProgramTable {
  return {
    [name]: (parameters) => {
      const inputs = makeInputs(parameters);
      return forward(inputs, () => tf.tidy(() => compute(...inputs)));
    },
    [`${name} backward`]: (parameters) => {
      const { batch, heads, length, dim } = sizesOf(parameters);
      return backward(makeInputs(parameters), uniformTensor([batch, heads, length, dim], 9), compute);
    },
  };
}

/** Those of a Delta RNN and, with an axis of gates more, of a Delta LSTM. */
function named(given: readonly tf.Tensor[]): DeltaRnnInputs {
  const [q, k, v, beta, recurrentK, recurrentV, recurrentBeta] = given as [...Four, tf.Tensor, tf.Tensor, tf.Tensor];
  return { q, k, v, beta, recurrentK, recurrentV, recurrentBeta };
}

/** Keys of W of length about 1, keys of R that are a softmax, write strengths from 0 to 1. */
function fastNetInputs(gates: readonly number[]): MakeInputs {
  return (parameters) => {
    const { batch, heads, length, dim } = sizesOf(parameters);
    const [vectors, scalars] = [
      [batch, heads, ...gates, length, dim],
      [batch, heads, ...gates, length],
    ] as const;
    const rates = (seed: number) => tf.tidy(() => tf.add(uniformTensor([...scalars], seed, 0.5), 0.5));
    const key = uniformTensor([...vectors], 2, Math.sqrt(3 / dim));
    const recurrentKey = tf.tidy(() => tf.softmax(uniformTensor([...vectors], 5)));
    return [
      ...[uniformTensor([...vectors], 1), key, uniformTensor([...vectors], 3), rates(4)],
      ...[recurrentKey, uniformTensor([...vectors], 6), rates(7)],
    ];
  };
}

/** Of queries, keys, values and rates before their activations, then weights of standard deviation 1 / √dim. */
function recurrentDeltaInputs(parameters: Parameters): tf.Tensor[] {
  const { batch, heads, length, dim } = sizesOf(parameters);
  const fed = (seed: number) => uniformTensor([batch, heads, length, dim], seed);
  const weight = (seed: number) => uniformTensor([heads, dim, dim], seed, Math.sqrt(3 / dim));
  return [
    ...[fed(1), fed(2), fed(3), uniformTensor([batch, heads, length], 4)],
    ...[weight(5), weight(6), weight(7), uniformTensor([heads, dim], 8, Math.sqrt(3 / dim))],
  ];
}

function sizesOf(parameters: Parameters): { batch: number; heads: number; length: number; dim: number } {
  const [batch, heads, length, dim] = ['batch', 'heads', 'length', 'dim'].map((name) => numberOf(parameters, name));
  return { batch, heads, length, dim } as { batch: number; heads: number; length: number; dim: number };
}
