/** Reproducible test data, and comparison with a float64 reference. */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** Numbers in (-1, 1) that depend on the seed alone. */
export function noise(size: number, seed: number): Float32Array {
  const values = new Float32Array(size);
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

/** A float32 tensor of noise. */
export function noiseTensor(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(noise(tf.util.sizeFromShape(shape), seed), shape);
}

/** Expects `actual` within 1e-6 of `scale`, the sum of absolute products: what a float32 sum of 500 terms can keep. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  scale: ArrayLike<number>,
  message: string,
): void {
  expect(actual.length, message).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] as number) - expected[i]!);
    if (!(error <= 1e-6 * scale[i]! + 1e-30)) {
      expect.fail(`${message}: element ${i} is ${actual[i]}, expected ${expected[i]}`);
    }
  }
}
