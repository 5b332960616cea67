/** Inputs of self-referential weight matrices, and the operation on them, for the tests on every device. */

import { type SelfReferentialOptions, type SelfReferentialResult, selfReferential } from '../../src/index.ts';
import type { SelfReferentialSizes } from '../reference/self-referential.ts';
import { type Inputs, noise, noiseInput } from './against-reference.ts';
import type { Tensors } from './scan-cases.ts';

const columnsOf = ({ dim, outputDim }: SelfReferentialSizes): number => outputDim + 2 * dim + 4;

/** Weights of such a size that softmaxes are far from uniform and learning rates far from ½. */
export function noiseInputs(sizes: SelfReferentialSizes, state = true): Inputs {
  const { batch, heads, time, dim } = sizes;
  const columns = columnsOf(sizes);
  return {
    x: noiseInput([batch, heads, time, dim], 1),
    weights: noiseInput([heads, dim, columns], 2, 3 / Math.sqrt(dim)),
    ...(state ? { initialState: noiseInput([batch, heads, dim, columns], 3) } : {}),
  };
}

export function resetsOf({ batch, time }: SelfReferentialSizes): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.5 ? 1 : 0));
}

export function apply(tensors: Tensors, options: SelfReferentialOptions = {}): SelfReferentialResult {
  const { x, weights, initialState } = tensors;
  return selfReferential(x!, weights!, { initialState, ...options });
}
