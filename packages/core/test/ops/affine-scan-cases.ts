/** Inputs of affine scans, and the operation on them, for the tests on every device. */

import type * as tf from '@tensorflow/tfjs-core';
import { type AffineTransition, affineScan } from '../../src/index.ts';
import type { AffineSizes } from '../reference/prefix-scan.ts';
import { type Inputs, noiseInput } from './against-reference.ts';
import type { Tensors } from './scan-cases.ts';

function transitionShape(kind: AffineTransition, { batch, time, rows, columns }: AffineSizes): number[] {
  const last = { elementwise: [rows, columns], scalar: [], diagonal: [columns], matrix: [columns, columns] }[kind];
  return [batch, time, ...last];
}

export function noiseInputs(kind: AffineTransition, sizes: AffineSizes): Inputs {
  const { batch, time, rows, columns } = sizes;
  return {
    transition: noiseInput(transitionShape(kind, sizes), 1, kind === 'matrix' ? 1 / Math.sqrt(columns) : 1),
    input: noiseInput([batch, time, rows, columns], 2),
    initialState: noiseInput([batch, rows, columns], 3),
  };
}

export function apply(kind: AffineTransition, tensors: Tensors, resetMask?: tf.Tensor): tf.Tensor[] {
  const { transition, input, initialState } = tensors;
  const { states, finalState } = affineScan(
    kind,
    { transition: transition!, input: input! },
    { initialState, resetMask },
  );
  return [states, finalState];
}
