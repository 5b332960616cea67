/** What the tests of scans over time share: inputs of steps, cut, masked and differentiated. */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type Inputs, noise } from './against-reference.ts';

export type Tensors = Record<string, tf.Tensor>;

export function tensorsOf(inputs: Inputs): Tensors {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
  );
}

/** Numbers in (0, 1). */
export function rates(shape: number[], seed: number): { shape: number[]; values: Float32Array } {
  return { shape, values: noise(tf.util.sizeFromShape(shape), seed).map((x) => (x + 1) / 2) };
}

/** Keys: numbers that are not negative and add up to 1 along the last axis. */
export function keys(shape: number[], seed: number): { shape: number[]; values: Float32Array } {
  const size = shape.at(-1)!;
  const values = noise(tf.util.sizeFromShape(shape), seed).map((x) => (x + 1.1) / 2);
  for (let row = 0; row < values.length; row += size) {
    const part = values.subarray(row, row + size);
    const sum = part.reduce((a, b) => a + b, 0);
    for (let i = 0; i < size; i++) part[i] = part[i]! / sum;
  }
  return { shape, values };
}

/** Where sequences begin: at some steps, not the same in all. */
export function resetsOf({ batch, time }: { batch: number; time: number }): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.7 ? 1 : 0));
}

/** The same as a mask. */
export function resetMaskOf(sizes: { batch: number; time: number }): tf.Tensor {
  return tf.tensor2d(resetsOf(sizes), [sizes.batch, sizes.time], 'bool');
}

/** Results, and gradients of all inputs for a fixed loss on all results. */
export function valuesAndGradients(inputs: Inputs, run: (tensors: Tensors) => tf.Tensor[]): Float32Array[] {
  return tf.tidy(() => {
    const names = Object.keys(inputs);
    const tensors = Object.values(tensorsOf(inputs));
    const named = (given: tf.Tensor[]) => Object.fromEntries(names.map((name, index) => [name, given[index]!]));
    const loss = (...given: tf.Tensor[]) =>
      run(named(given))
        .map((x, index) => tf.sum(tf.mul(x, tf.tensor(noise(x.size, 20 + index), x.shape))))
        .reduce((a, b) => tf.add(a, b)) as tf.Scalar;
    return [...run(named(tensors)), ...tf.grads(loss)(tensors)].map((x) => x.dataSync() as Float32Array);
  });
}

/** Expects root-mean-square errors of at most `tolerance`, relative to the root mean square of what is expected. */
export function expectRelativeErrors(
  actual: ArrayLike<number>[],
  expected: ArrayLike<number>[],
  tolerance: number,
): void {
  expect(actual.length).toBe(expected.length);
  for (const [index, values] of expected.entries()) {
    let [error, size] = [0, 1e-30];
    for (let i = 0; i < values.length; i++) {
      error += (actual[index]![i]! - values[i]!) ** 2;
      size += values[i]! ** 2;
    }
    expect(Math.sqrt(error / size), `array ${index}`).toBeLessThan(tolerance);
  }
}

/** Places `from` to `to` of an axis, of the tensors that have steps. */
export function steps(tensors: Tensors, names: readonly string[], axis: number, from: number, to: number): Tensors {
  const cut = ([name, x]: [string, tf.Tensor]): [string, tf.Tensor] => {
    if (!names.includes(name)) return [name, x];
    const begin = x.shape.map((_, i) => (i === axis ? from : 0));
    const size = x.shape.map((extent, i) => (i === axis ? to - from : extent));
    return [name, tf.slice(x, begin, size)];
  };
  return Object.fromEntries(Object.entries(tensors).map(cut));
}
