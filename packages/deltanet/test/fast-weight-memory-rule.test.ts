import * as core from '@fwp/core';
import { dispose, init } from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fastWeightMemory } from '../src/index.ts';
import { fastWeightMemoryReference, type Sequences } from './reference.ts';

/** 35 steps are three pieces of the gradient. */
const SIZES = { batch: 2, heads: 2, time: 35, keyDim: 5, valueDim: 3 };
const EPSILON = 1e-2;

/** Reproducible numbers in (−1, 1). */
function noise(size: number, seed: number): Float64Array {
  return Float64Array.from({ length: size }, (_, i) => 2 * ((Math.sin(seed * 1000 + i) * 43758.5453) % 1));
}

function inputs(): { shapes: Record<string, number[]>; values: Sequences } {
  const { batch, heads, time, keyDim, valueDim } = SIZES;
  const shapes = {
    q: [batch, heads, time, keyDim],
    k: [batch, heads, time, keyDim],
    v: [batch, heads, time, valueDim],
    beta: [batch, heads, time],
    initialState: [batch, heads, valueDim, keyDim],
  };
  const values = Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [name, noise(tf.util.sizeFromShape(shape), i)]),
  );
  return { shapes, values: values as unknown as Sequences };
}

describe.each(await availableDevices(core))('fastWeightMemory on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  const run = ([q, k, v, beta, initialState]: tf.Tensor[]) =>
    fastWeightMemory(q!, k!, v!, beta!, { initialState, epsilon: EPSILON });

  it('agrees with its float64 reference, gradients included', () => {
    const { shapes, values } = inputs();
    const names = Object.keys(shapes) as (keyof Sequences)[];
    const expected = fastWeightMemoryReference(values, SIZES, EPSILON);
    const weights = [noise(expected.output.length, 7), noise(expected.finalState.length, 8)] as const;
    const referenceLoss = (given: Sequences): number => {
      const { output, finalState } = fastWeightMemoryReference(given, SIZES, EPSILON);
      return dot(output, weights[0]) + dot(finalState, weights[1]);
    };
    // Some steps are bounded, and some are not.
    expect(expected.norms.some((norm) => norm > 1.01)).toBe(true);
    expect(expected.norms.some((norm) => norm < 0.99)).toBe(true);
    tf.tidy(() => {
      const tensors = names.map((name) => tf.tensor(Float32Array.from(values[name]), shapes[name]!));
      const { output, finalState } = run(tensors);
      assertAllClose(output.dataSync(), expected.output, { rtol: 1e-4, atol: 1e-5, name: 'output' });
      assertAllClose(finalState.dataSync(), expected.finalState, { rtol: 1e-4, atol: 1e-5, name: 'final state' });
      const loss = (...given: tf.Tensor[]): tf.Scalar => {
        const result = run(given);
        const sums = [result.output, result.finalState].map((tensor, i) =>
          tf.sum(tf.mul(tensor, tf.tensor(Float32Array.from(weights[i]!), tensor.shape))),
        );
        return tf.add(sums[0]!, sums[1]!);
      };
      const gradients = tf.grads(loss)(tensors);
      for (const [i, name] of names.entries()) {
        const gradient = gradients[i]!.dataSync();
        const direction = noise(gradient.length, 20 + i);
        const step = 1e-5;
        const at = (sign: number) =>
          referenceLoss({ ...values, [name]: values[name].map((x, j) => x + sign * step * direction[j]!) });
        const slope = (at(1) - at(-1)) / (2 * step);
        expect(Math.abs(dot(gradient, direction) - slope), name).toBeLessThan(1e-4 * (1 + Math.abs(slope)));
      }
    });
  });

  it('keeps states within norm 1', () => {
    tf.tidy(() => {
      const { shapes, values } = inputs();
      const tensors = Object.entries(shapes).map(([name, shape]) =>
        tf.mul(tf.tensor(Float32Array.from(values[name as keyof Sequences]), shape), 10),
      );
      const norms = tf.sqrt(tf.sum(tf.square(run(tensors).finalState), [2, 3])).dataSync();
      expect(norms.every((norm) => norm <= 1.00001 && norm > 0.5)).toBe(true);
    });
  });

  it('takes sequences without steps, and says what is wrong', () => {
    tf.tidy(() => {
      const x = tf.zeros([1, 2, 0, 3]);
      const { output, finalState } = fastWeightMemory(x, x, x, tf.zeros([1, 2, 0]));
      expect(output.shape).toEqual([1, 2, 0, 3]);
      expect(finalState.shape).toEqual([1, 2, 3, 3]);
      expect(() => fastWeightMemory(x, x, x, tf.zeros([1, 2, 1]))).toThrow('fastWeightMemory: beta must have shape');
      expect(() => fastWeightMemory(x, tf.zeros([1, 2, 0, 4]), x, tf.zeros([1, 2, 0]))).toThrow('fastWeightMemory: k');
    });
  });
});

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
