/**
 * A differentiable operation against its float64 reference: values directly, gradients through the reference's central
 * differences along random directions (every element of a gradient takes part in each direction).
 */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** A float32 input. */
export interface Input {
  readonly shape: number[];
  readonly values: Float32Array;
}

/** Inputs by name. */
export type Inputs = Readonly<Record<string, Input>>;

/** An operation and its reference; both give their results in the same order. */
export interface Comparison {
  readonly inputs: Inputs;
  readonly operation: (tensors: Record<string, tf.Tensor>) => tf.Tensor[];
  readonly reference: (values: Record<string, Float64Array>) => Float64Array[];
  /** What a value may be off, absolutely and relative to the largest value; default 3e-6. */
  readonly tolerance?: number;
}

/** Reproducible numbers in (-1, 1). */
export function noise(size: number, seed: number): Float32Array {
  const values = new Float32Array(size);
  let state = (Math.imul(seed + 1, 2654435761) + 12345) >>> 0;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

/** An input of noise, multiplied by `factor`. */
export function noiseInput(shape: number[], seed: number, factor = 1): Input {
  return { shape, values: noise(tf.util.sizeFromShape(shape), seed).map((x) => x * factor) };
}

/** Expects the operation's results and the gradients of all its inputs to agree with the reference. */
export function expectMatchesReference({ inputs, operation, reference, tolerance = 3e-6 }: Comparison): void {
  const names = Object.keys(inputs);
  const exact = Object.fromEntries(names.map((name) => [name, Float64Array.from(inputs[name]!.values)]));
  const expected = reference(exact);
  const weights = expected.map((values, index) => noise(values.length, 1000 + index));
  const loss = (values: Record<string, Float64Array>): number =>
    reference(values).reduce((sum, result, index) => sum + dot(result, weights[index]!), 0);

  tf.tidy(() => {
    const tensors = names.map((name) => tf.tensor(inputs[name]!.values, inputs[name]!.shape));
    const named = (given: tf.Tensor[]) => Object.fromEntries(names.map((name, index) => [name, given[index]!]));
    for (const [index, result] of operation(named(tensors)).entries()) {
      expectWithin(result.dataSync(), expected[index]!, tolerance, `result ${index}`);
    }
    const weighted = (...given: tf.Tensor[]): tf.Scalar =>
      operation(named(given))
        .map((result, index) => tf.sum(tf.mul(result, tf.tensor(weights[index]!, result.shape))))
        .reduce((a, b) => tf.add(a, b)) as tf.Scalar;
    const gradients = tf.grads(weighted as (...given: tf.Tensor[]) => tf.Scalar)(tensors);
    for (const [index, name] of names.entries()) {
      const gradient = gradients[index]!.dataSync();
      const norm = Math.sqrt(dot(gradient, gradient));
      for (let seed = 0; seed < 3; seed++) {
        const direction = noise(gradient.length, 2000 + 10 * index + seed).map((x) => (x < 0 ? -1 : 1));
        const step = 1e-5;
        const moved = (sign: number) => ({
          ...exact,
          [name]: exact[name]!.map((value, i) => value + sign * step * direction[i]!),
        });
        const slope = (loss(moved(1)) - loss(moved(-1))) / (2 * step);
        const error = Math.abs(dot(gradient, direction) - slope);
        // Where the gradient is nothing but rounding errors, these add up like a random walk.
        if (!(error <= 3e-5 * norm + 1e-5 + 1e-6 * Math.sqrt(gradient.length))) {
          expect.fail(`gradient of ${name}: ${dot(gradient, direction)} along a direction, expected ${slope}`);
        }
      }
    }
  });
}

/** Expects the largest error to be within `tolerance` of the largest value (at least 1). */
export function expectWithin(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  message: string,
): void {
  expect(actual.length, message).toBe(expected.length);
  let largest = 1;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i]! - expected[i]!) <= tolerance * largest)) {
      expect.fail(`${message}: element ${i} is ${actual[i]}, expected ${expected[i]}`);
    }
  }
}

/** Expects two lists of arrays to be equal bit for bit, NaN included. */
export function expectSameBits(actual: readonly ArrayLike<number>[], expected: readonly ArrayLike<number>[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [index, values] of actual.entries()) {
    expect(bytesOf(values).equals(bytesOf(expected[index]!)), `array ${index} is the same`).toBe(true);
  }
}

function bytesOf(values: ArrayLike<number>): Buffer {
  const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(values) ? values : Float64Array.from(values);
  return Buffer.from(buffer, byteOffset, byteLength);
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
