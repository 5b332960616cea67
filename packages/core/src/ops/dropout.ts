/**
 * Dropout (Srivastava et al., 2014, in the form that scales while training):
 *
 *     y_i = x_i / (1 − rate)  with probability 1 − rate, else 0          dx_i = dy_i / (1 − rate) where y_i was kept
 *
 * Whether element i is kept follows from word i of a counter-based random stream, so that no mask is stored: the
 * backward pass draws the same words again.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { RandomStream, RandomStreamState } from '../random/stream.ts';
import { randomBernoulli } from '../random/tensors.ts';
import { assertNumber, assertTensor } from '../shape-checks.ts';
import type { Gradient } from './gradients/support.ts';

/** Attributes of kernel `FwpDropout`. */
export interface DropoutAttributes {
  /** An element is kept where its random word is below. */
  readonly threshold: number;
  /** Factor of what is kept. */
  readonly scale: number;
  /** Where the random words begin. */
  readonly state: RandomStreamState;
}

/**
 * Sets elements to zero at random and scales the others up, so that the expected value stays.
 *
 * @param x float32 of any shape
 * @param rate probability that an element is dropped, from 0 (nothing changes, nothing is drawn) to below 1
 * @param random decides; moves on by the number of elements
 * @returns the shape of x
 */
export function dropout<T extends tf.Tensor>(x: T, rate: number, random: RandomStream): T {
  assertTensor('dropout: x', x, 'float32');
  assertNumber('dropout: rate', rate, 0, 1 - 2 ** -32);
  const keep = 1 - rate;
  const threshold = Math.round(keep * 2 ** 32);
  if (threshold >= 2 ** 32) return x.clone() as T;
  const scale = Math.fround(1 / keep);
  if (tf.getKernel('FwpDropout', tf.getBackend()) === undefined) {
    const options = { probability: keep, dtype: 'float32', value: scale } as const;
    return tf.tidy(() => tf.mul(x, randomBernoulli(random, x.shape, options)));
  }
  const attributes: DropoutAttributes = { threshold, scale, state: random.state };
  random.reserve(x.size);
  return tf.engine().runKernel('FwpDropout', { x }, attributes as unknown as tf.NamedAttrMap) as T;
}

/** Gradient of the kernel, for {@link registerGradients}. */
export const dropoutGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpDropout',
    gradFunc: (dy, _saved, attributes) => ({
      x: () => tf.engine().runKernel('FwpDropout', { x: dy as tf.Tensor }, attributes) as tf.Tensor,
    }),
  },
];
