import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, type VTraceOptions, vTrace } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { vTraceReference } from '../reference/v-trace.ts';
import { expectWithin, noise } from './against-reference.ts';

const devices = await availableDevices();

/** Ratios around 1, rewards and values in (-1, 1), and an end of an episode here and there. */
function inputsOf(batch: number, time: number, seed: number) {
  const size = batch * time;
  return {
    logRhos: noise(size, seed),
    discounts: noise(size, seed + 1).map((x) => (x > 0.6 ? 0 : 0.97)),
    rewards: noise(size, seed + 2),
    values: noise(size, seed + 3),
    bootstrapValue: noise(batch, seed + 4),
  };
}

type Values = ReturnType<typeof inputsOf>;

function run(values: Values, batch: number, time: number, options: VTraceOptions = {}): Float32Array[] {
  return tf.tidy(() => {
    const matrix = (x: Float32Array) => tf.tensor2d(x, [batch, time]);
    const { targets, advantages } = vTrace(
      {
        logRhos: matrix(values.logRhos),
        discounts: matrix(values.discounts),
        rewards: matrix(values.rewards),
        values: matrix(values.values),
        bootstrapValue: tf.tensor1d(values.bootstrapValue),
      },
      options,
    );
    return [targets.dataSync() as Float32Array, advantages.dataSync() as Float32Array];
  });
}

describe.each([...devices, ...composedDevices])('vTrace on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('is the sum of corrected temporal differences', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 5),
        fc.constantFrom(1, 3, 8, 17),
        fc.constantFrom(1, 0.5, 2),
        fc.constantFrom(1, 0.9),
        fc.nat(100),
        (batch, time, rhoClip, cClip, seed) => {
          const values = inputsOf(batch, time, seed);
          const [targets, advantages] = run(values, batch, time, { rhoClip, cClip });
          for (let row = 0; row < batch; row++) {
            const part = (x: Float32Array) => x.subarray(row * time, (row + 1) * time);
            const expected = vTraceReference(
              {
                logRhos: part(values.logRhos),
                discounts: part(values.discounts),
                rewards: part(values.rewards),
                values: part(values.values),
                bootstrapValue: values.bootstrapValue[row]!,
              },
              { rhoClip, cClip },
            );
            expectWithin(part(targets!), expected[0], 2e-6, 'targets');
            expectWithin(part(advantages!), expected[1], 2e-6, 'advantages');
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('is the n-step return for data of the same policy', () => {
    const time = 6;
    const values = {
      ...inputsOf(1, time, 3),
      logRhos: new Float32Array(time),
      discounts: new Float32Array(time).fill(0.9),
    };
    const [targets, advantages] = run(values, 1, time);
    let next: number = values.bootstrapValue[0]!;
    for (let t = time - 1; t >= 0; t--) {
      const target = values.rewards[t]! + 0.9 * next;
      expect(targets![t]).toBeCloseTo(target, 5);
      expect(advantages![t]).toBeCloseTo(target - values.values[t]!, 5);
      next = target;
    }
  });

  it('is a constant for the tape', () => {
    tf.tidy(() => {
      const rest = { discounts: tf.ones([2, 3]), rewards: tf.ones([2, 3]), bootstrapValue: tf.ones([2]) };
      const gradient = tf.grad((x: tf.Tensor) => {
        const { targets, advantages } = vTrace({ ...rest, logRhos: x, values: x });
        return tf.sum(tf.add(tf.mul(x, advantages), tf.mul(0, targets)));
      })(tf.zeros([2, 3]));
      const { advantages } = vTrace({ ...rest, logRhos: tf.zeros([2, 3]), values: tf.zeros([2, 3]) });
      expectWithin(gradient.dataSync(), advantages.dataSync(), 1e-6, 'gradient');
    });
  });

  it('accepts sequences without steps, and keeps nothing', () => {
    const before = tf.memory().numTensors;
    expect(run(inputsOf(2, 0, 1), 2, 0).map((x) => x.length)).toEqual([0, 0]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('says what is wrong with an argument', () => {
    tf.tidy(() => {
      const matrix = tf.zeros([2, 3]);
      const inputs = {
        logRhos: matrix,
        discounts: matrix,
        rewards: matrix,
        values: matrix,
        bootstrapValue: tf.zeros([2]),
      };
      expect(() => vTrace({ ...inputs, rewards: tf.zeros([2, 4]) })).toThrow(/vTrace: rewards .* 4 instead of 3/);
      expect(() => vTrace({ ...inputs, bootstrapValue: tf.zeros([3]) })).toThrow(/bootstrapValue .* 3 instead of 2/);
      expect(() => vTrace(inputs, { rhoClip: -1 })).toThrow(/vTrace: rhoClip/);
    });
  });
});

describe('vTrace', () => {
  afterAll(dispose);

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of devices) {
      await expectSameBitsForAllThreads(options, () => run(inputsOf(150, 200, 1), 150, 200));
    }
  });
});
