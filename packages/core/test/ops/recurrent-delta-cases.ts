/** Inputs of Recurrent Delta Nets, and the operation on them, for the tests on every device. */

import type * as tf from '@tensorflow/tfjs-core';
import {
  type RecurrentDeltaInputs,
  type RecurrentDeltaState,
  type RecurrentDeltaWeights,
  recurrentDelta,
} from '../../src/index.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { type Inputs, noiseInput } from './against-reference.ts';
import type { Tensors } from './scan-cases.ts';

/** Inputs with an axis of time. */
export const SEQUENCES = ['q', 'k', 'v', 'beta'] as const;

export function noiseInputs({ batch, heads, time, keyDim, valueDim }: ScanSizes): Inputs {
  const weight = 1 / Math.sqrt(valueDim);
  return {
    q: noiseInput([batch, heads, time, keyDim], 1, 2),
    k: noiseInput([batch, heads, time, keyDim], 2, 2),
    v: noiseInput([batch, heads, time, valueDim], 3),
    beta: noiseInput([batch, heads, time], 4, 2),
    queryWeight: noiseInput([heads, keyDim, valueDim], 5, weight),
    keyWeight: noiseInput([heads, keyDim, valueDim], 6, weight),
    valueWeight: noiseInput([heads, valueDim, valueDim], 7, weight),
    betaWeight: noiseInput([heads, valueDim], 8, weight),
    fastWeights: noiseInput([batch, heads, valueDim, keyDim], 9),
    output: noiseInput([batch, heads, valueDim], 10),
  };
}

export function weightsOf({ queryWeight, keyWeight, valueWeight, betaWeight }: Tensors): RecurrentDeltaWeights {
  return { query: queryWeight!, key: keyWeight!, value: valueWeight!, beta: betaWeight! };
}

/** [output, S, last output]. */
export function apply(tensors: Tensors, resetMask?: tf.Tensor): tf.Tensor[] {
  const { fastWeights, output: before } = tensors;
  const initialState = fastWeights && ({ fastWeights, output: before } as RecurrentDeltaState);
  const { output, finalState } = recurrentDelta(tensors as unknown as RecurrentDeltaInputs, weightsOf(tensors), {
    initialState,
    resetMask,
  });
  return [output, finalState.fastWeights, finalState.output];
}
