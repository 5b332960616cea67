import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DeviceUnavailableError,
  dispose,
  init,
  RandomStream,
  randomBernoulli,
  randomIntegers,
  randomNormal,
  randomPermutation,
  randomTruncatedNormal,
  randomUniform,
} from '../../src/index.ts';
import { digestOf } from '../backend/kernels/special-values.ts';
import { availableDevices, tfjsCpu } from '../devices.ts';

/** Every distribution, and the same numbers without tensors. */
const draws: Record<
  string,
  [(stream: RandomStream, n: number) => tf.Tensor, (stream: RandomStream, n: number) => ArrayLike<number>]
> = {
  uniform: [(s, n) => randomUniform(s, [n]), (s, n) => s.uniform(n)],
  'uniform between bounds': [
    (s, n) => randomUniform(s, [n], { low: -0.1, high: 0.7 }),
    (s, n) => s.uniform(n, { low: -0.1, high: 0.7 }),
  ],
  normal: [(s, n) => randomNormal(s, [n]), (s, n) => s.normal(n)],
  'scaled normal': [
    (s, n) => randomNormal(s, [n], { mean: 0.3, standardDeviation: 0.02 }),
    (s, n) => s.normal(n, { mean: 0.3, standardDeviation: 0.02 }),
  ],
  'truncated normal': [
    (s, n) => randomTruncatedNormal(s, [n], { standardDeviation: 0.1 }),
    (s, n) => s.truncatedNormal(n, { standardDeviation: 0.1 }),
  ],
  bernoulli: [(s, n) => randomBernoulli(s, [n], { probability: 0.3 }), (s, n) => s.bernoulli(n, 0.3)],
  'scaled bernoulli': [
    (s, n) => randomBernoulli(s, [n], { probability: 0.9, dtype: 'float32', value: 1 / 0.9 }),
    (s, n) => Float32Array.from(s.bernoulli(n, 0.9), (x) => x * (1 / 0.9)),
  ],
  'certain bernoulli': [(s, n) => randomBernoulli(s, [n], { probability: 1 }), (s, n) => s.bernoulli(n, 1)],
  integers: [(s, n) => randomIntegers(s, [n], -7, 1000), (s, n) => s.integers(n, -7, 1000)],
  'all integers': [(s, n) => randomIntegers(s, [n], -(2 ** 31), 2 ** 31), (s, n) => s.integers(n, -(2 ** 31), 2 ** 31)],
  permutation: [(s, n) => randomPermutation(s, n), (s, n) => s.permutation(n)],
};

describe.each(await availableDevices())('random tensors on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(Object.keys(draws))(
    '%s has the bits of the TypeScript implementation and takes as much of the stream',
    (name) => {
      const [draw, reference] = draws[name]!;
      for (const count of [0, 1, 2, 3, 5, 31, 1024, 1025, 40_007]) {
        const ours = new RandomStream(11).split(name);
        const theirs = RandomStream.fromState(ours.state);
        // Twice, so that the second draw starts in the middle of the stream; then beyond 2^32 blocks.
        for (let repeat = 0; repeat < 3; repeat++) {
          const tensor = draw(ours, count);
          const values = tensor.dataSync();
          tensor.dispose();
          const expected = reference(theirs, count);
          expect(values.length).toBe(expected.length);
          for (let i = 0; i < values.length; i++) {
            if (!Object.is(values[i], expected[i]))
              expect.fail(`element ${i} of ${count}: ${values[i]}, not ${expected[i]}`);
          }
          expect(ours.position).toBe(theirs.position);
          if (repeat === 1) ours.position = theirs.position = 2 ** 32 - 3;
        }
      }
    },
  );

  it('tensors have the shape and the dtype that was asked for, and are tracked by tidy', () => {
    const stream = new RandomStream(1);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      expect(randomNormal(stream, [2, 3, 4]).shape).toEqual([2, 3, 4]);
      expect(randomBernoulli(stream, [5]).dtype).toBe('bool');
      expect(randomBernoulli(stream, [5], { dtype: 'float32' }).dtype).toBe('float32');
      expect(randomPermutation(stream, 5).dtype).toBe('int32');
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe.each([...(await availableDevices()), tfjsCpu])('a draw that fails, on $name,', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('takes nothing of the stream', () => {
    const stream = new RandomStream(1);
    stream.bits(40);
    for (const shape of [[-2, 3], [2.5], [Number.NaN]]) {
      expect(() => randomNormal(stream, shape)).toThrow(
        /randomNormal: shape\[0\] must be a whole number of at least 0/,
      );
    }
    expect(() => randomPermutation(stream, -1)).toThrow('randomPermutation: count must be a whole number');
    // More than there is memory for.
    const { numTensors } = tf.memory();
    expect(() => randomUniform(stream, [2 ** 20, 2 ** 20])).toThrow();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(stream.position).toBe(10);
  });
});

describe('random tensors everywhere', () => {
  it('are the same on every device, thread count and on the cpu backend of tfjs', async () => {
    const digests = new Map<string, string[]>();
    const record = (name: string): void => {
      const stream = new RandomStream(5);
      digests.set(
        name,
        Object.values(draws).map(([draw]) => {
          const tensor = draw(stream, 50_001);
          const digest = digestOf(tensor.dataSync());
          tensor.dispose();
          return digest;
        }),
      );
    };
    for (const { name, options } of await availableDevices()) {
      for (const threads of [1, 2, 4]) {
        await init({ ...options, threads });
        record(`${name} with ${threads} threads`);
        await dispose();
      }
      // Instruction sets with and without fused multiplication and addition.
      for (const simd of options.device === 'native' ? ['baseline', 'avx2', 'avx512', 'neon'] : []) {
        try {
          await init({ ...options, simd });
        } catch (error) {
          expect(error).toBeInstanceOf(DeviceUnavailableError);
          continue;
        }
        record(`${name} with ${simd}`);
        await dispose();
      }
    }
    await tf.setBackend('cpu');
    record('cpu');
    const [first, ...others] = digests.values();
    for (const other of others) expect(other).toEqual(first);
  });
});
