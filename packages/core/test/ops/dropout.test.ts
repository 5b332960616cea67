import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, dropout, init, RandomStream } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';

const devices = [...(await availableDevices()), ...composedDevices];

/** What dropout has to do, from the words of the stream. */
function reference(x: ArrayLike<number>, rate: number, random: RandomStream): number[] {
  const words = random.bits(x.length);
  const scale = Math.fround(1 / (1 - rate));
  const threshold = Math.round((1 - rate) * 2 ** 32);
  return Array.from(x, (value, i) => ((words[i] as number) < threshold ? Math.fround(value * scale) : 0));
}

describe.each(devices)('dropout on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('keeps what the words of the stream say, forward and backward, for every shape', () => {
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(
        fc.array(fc.nat(9), { maxLength: 3 }),
        fc.constantFrom(0.1, 0.5, 0.9),
        fc.nat(),
        fc.nat(5),
        (shape, rate, seed, used) => {
          const stream = (): RandomStream => {
            const random = new RandomStream(seed);
            random.reserve(4 * used);
            return random;
          };
          tf.tidy(() => {
            const x = tf.add(tf.reshape(tf.range(0, tf.util.sizeFromShape(shape)), shape), 1);
            const random = stream();
            const y = dropout(x, rate, random);
            expect(y.shape).toEqual(shape);
            expect(Array.from(y.dataSync())).toEqual(reference(x.dataSync(), rate, stream()));
            const expected = stream();
            expected.reserve(x.size);
            expect(random.state).toEqual(expected.state);
            const dx = tf.grad((z) => dropout(z, rate, stream()))(x, tf.onesLike(x));
            expect(Array.from(dx.dataSync())).toEqual(reference(new Float32Array(x.size).fill(1), rate, stream()));
          });
        },
      ),
      { numRuns: 40 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('drops the given share and keeps the mean', () => {
    tf.tidy(() => {
      const y = dropout(tf.ones([100_000]), 0.3, new RandomStream(7)).dataSync();
      const kept = y.filter((value) => value !== 0).length / y.length;
      // Four standard deviations.
      expect(Math.abs(kept - 0.7)).toBeLessThan(4 * Math.sqrt((0.3 * 0.7) / y.length));
      expect(new Set(y)).toEqual(new Set([0, Math.fround(1 / 0.7)]));
    });
  });

  it('draws anew each time, and the same again from the same state', () => {
    tf.tidy(() => {
      const x = tf.ones([1000]);
      const random = new RandomStream(1);
      const { state } = random;
      const first = Array.from(dropout(x, 0.5, random).dataSync());
      expect(Array.from(dropout(x, 0.5, random).dataSync())).not.toEqual(first);
      expect(Array.from(dropout(x, 0.5, RandomStream.fromState(state)).dataSync())).toEqual(first);
    });
  });

  it('with rate 0 changes nothing and draws nothing', () => {
    tf.tidy(() => {
      const random = new RandomStream(1);
      const y = dropout(tf.tensor1d([1, -2]), 0, random);
      expect(Array.from(y.dataSync())).toEqual([1, -2]);
      expect(random.position).toBe(0);
    });
  });

  it('can be differentiated twice', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([1, 2, 3, 4, 5, 6, 7, 8]);
      const cube = (z: tf.Tensor): tf.Tensor => tf.pow(dropout(z, 0.5, new RandomStream(3)), 3);
      const second = tf.grad((z) => tf.grad(cube)(z))(x);
      const mask = reference(new Float32Array(8).fill(1), 0.5, new RandomStream(3));
      const expected = Array.from(x.dataSync(), (value, i) => 6 * value * (mask[i] as number) ** 3);
      second.dataSync().forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] as number, 3);
      });
    });
  });

  it('refuses bad arguments', () => {
    const x = tf.tensor1d([1], 'int32');
    expect(() => dropout(x, 0.5, new RandomStream())).toThrow('dropout: x must be float32, but is int32');
    const y = tf.tensor1d([1]);
    expect(() => dropout(y, 1, new RandomStream())).toThrow('dropout: rate must be a finite number from 0 to 0.99');
    tf.dispose([x, y]);
  });
});

it.each(await availableDevices())(
  'dropout on $name gives the same bits for every number of threads',
  async ({ options }) => {
    await expectSameBitsForAllThreads(options, () => [
      dropout(tf.range(0, 100_003), 0.4, new RandomStream(5)).dataSync(),
    ]);
    await dispose();
  },
);
