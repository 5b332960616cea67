/** Inputs of Delta RNNs and Delta LSTMs, and the operations on them, for the tests on every device. */

import type * as tf from '@tensorflow/tfjs-core';
import {
  type DeltaLstmInputs,
  type DeltaLstmState,
  type DeltaRnnInputs,
  deltaLstm,
  deltaRnn,
} from '../../src/index.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { type Inputs, noiseInput } from './against-reference.ts';
import { keys, rates, type Tensors } from './scan-cases.ts';

/** A Delta RNN (1 gate) or Delta LSTM (3), and which of its versions. */
export type Net = { readonly gates: 1 | 3; readonly version: number };

/** Inputs with an axis of time. */
export const SEQUENCES = ['q', 'k', 'v', 'beta', 'recurrentK', 'recurrentV', 'recurrentBeta'] as const;

/** The Delta RNN has no axis of gates. */
export function noiseInputs({ batch, heads, time, keyDim, valueDim }: ScanSizes, { gates }: Net): Inputs {
  const head = [batch, heads, ...(gates === 3 ? [3] : [])];
  return {
    q: keys([...head, time, keyDim], 1),
    k: keys([...head, time, keyDim], 2),
    v: noiseInput([...head, time, valueDim], 3),
    beta: rates([...head, time], 4),
    recurrentK: keys([...head, time, valueDim], 5),
    recurrentV: noiseInput([...head, time, valueDim], 6),
    recurrentBeta: rates([...head, time], 7),
    fastWeights: noiseInput([...head, valueDim, keyDim], 8),
    recurrentWeights: noiseInput([...head, valueDim, valueDim], 9),
    output: noiseInput([batch, heads, valueDim], 10),
    ...(gates === 3 ? { cell: noiseInput([batch, heads, valueDim], 11) } : {}),
  };
}

export function stateOf(tensors: Tensors): DeltaLstmState | undefined {
  const { fastWeights, recurrentWeights, output, cell } = tensors;
  return fastWeights && ({ fastWeights, recurrentWeights, output, cell } as DeltaLstmState);
}

/** [output, W, R, last output, and the cell if there is one]. */
export function apply(tensors: Tensors, { gates, version }: Net, resetMask?: tf.Tensor): tf.Tensor[] {
  const inputs = tensors as unknown as DeltaRnnInputs & DeltaLstmInputs;
  const options = { initialState: stateOf(tensors), resetMask };
  if (gates === 1) {
    const { output, finalState } = deltaRnn(inputs, { ...options, version: version as 1 | 2 });
    return [output, finalState.fastWeights, finalState.recurrentWeights, finalState.output];
  }
  const { output, finalState } = deltaLstm(inputs, { ...options, version: version as 1 | 2 | 3 | 4 });
  return [output, finalState.fastWeights, finalState.recurrentWeights, finalState.output, finalState.cell];
}
