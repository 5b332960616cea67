import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import {
  dispose,
  type GeometricAttentionOptions,
  geometricAttention,
  geometricAttentionWeights,
  init,
  RandomStream,
} from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { type GeometricSizes, geometricAttentionReference } from '../reference/geometric-attention.ts';
import { expectSameBits, expectWithin, noise } from './against-reference.ts';
import { COEFFICIENTS, expectGeometricMatches, inputsOf, presence, rowOf } from './geometric-cases.ts';

const devices = await availableDevices();
const sizesArbitrary = fc.record<GeometricSizes>({
  batch: fc.integer({ min: 1, max: 3 }),
  time: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(17, 33)),
  heads: fc.integer({ min: 1, max: 3 }),
  dim: fc.constantFrom(1, 3, 7, 8, 16, 33),
});

/** Output and gradients for a fixed upstream gradient. */
function valueAndGradients(
  sizes: GeometricSizes,
  options: () => Omit<GeometricAttentionOptions, 'heads'>,
): Float32Array[] {
  return tf.tidy(() => {
    const { projections, coefficients } = inputsOf(sizes);
    const tensors = [projections, coefficients].map(({ values, shape }) => tf.tensor(values, shape));
    const apply = (...given: tf.Tensor[]) =>
      geometricAttention(given[0]!, given[1]!, {
        heads: sizes.heads,
        ...options(),
      });
    const output = apply(...tensors);
    const dy = tf.tensor(noise(output.size, 4), output.shape);
    return [output, ...tf.grads(apply)(tensors, dy)].map((x) => x.dataSync() as Float32Array);
  });
}

/** z of all zeros: each position matches with probability 1/2. */
function halves(time: number): number[][] {
  let rows: number[][] = [];
  tf.tidy(() => {
    const weights = geometricAttentionWeights(tf.zeros([1, time, 5]), tf.tensor1d([1, 1, 0]), { heads: 1 });
    rows = tf.squeeze<tf.Tensor2D>(weights).arraySync();
  });
  return rows;
}

describe.each(devices)('geometricAttention on $name', ({ options: deviceOptions }) => {
  beforeAll(async () => {
    await init(deviceOptions);
  });
  afterAll(dispose);

  it('takes the nearest matches, with exact gradients', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), fc.boolean(), (sizes, masked, normalize) =>
        expectGeometricMatches(sizes, { masked, normalize }),
      ),
      { numRuns: 40 },
    );
  });

  it('drops keys as dropout does', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), (sizes, dropoutSeed) => expectGeometricMatches(sizes, { dropoutSeed })),
      { numRuns: 20 },
    );
  });

  it('gives the weights that it attends with', () => {
    const sizes = { batch: 2, time: 7, heads: 2, dim: 3 };
    const { projections } = inputsOf(sizes);
    tf.tidy(() => {
      const x = tf.tensor(projections.values, projections.shape);
      const weights = geometricAttentionWeights(x, tf.tensor1d(COEFFICIENTS), { heads: 2 });
      expectWithin(
        weights.dataSync(),
        geometricAttentionReference(projections.values, COEFFICIENTS, sizes).weights,
        1e-6,
        'weights',
      );
    });
  });

  it('agrees with its composition, whose gradient can be differentiated again', () => {
    const sizes = { batch: 1, time: 5, heads: 2, dim: 3 };
    const { projections, coefficients } = inputsOf(sizes);
    tf.tidy(() => {
      const apply = (x: tf.Tensor) =>
        tf.sum(
          tf.square(
            geometricAttention(x, tf.tensor(coefficients.values), {
              heads: 2,
            }),
          ),
        ) as tf.Scalar;
      const x = tf.tensor(projections.values, projections.shape);
      const direction = tf.tensor(noise(x.size, 8), x.shape);
      const slope = (at: tf.Tensor) => tf.sum(tf.mul(tf.grad(apply)(at), direction)) as tf.Scalar;
      const second = tf.sum(tf.mul(tf.grad(slope)(x), direction)).dataSync()[0]!;
      const step = 1e-2;
      const [more, less] = [1, -1].map((sign) => slope(tf.add(x, tf.mul(direction, sign * step))).dataSync()[0]!);
      expect(Math.abs(second - (more! - less!) / (2 * step))).toBeLessThan(2e-2 * Math.abs(second) + 1e-2);
    });
  });

  it('what padding holds has no influence, and more padding changes nothing', () => {
    const sizes = { batch: 2, time: 6, heads: 2, dim: 5 };
    const { projections } = inputsOf(sizes);
    const spoilt = Float32Array.from(projections.values, (x, at) =>
      Math.floor(at / rowOf(sizes)) % sizes.time < 4 ? x : Number.NaN,
    );
    tf.tidy(() => {
      const coefficients = tf.tensor1d(COEFFICIENTS);
      const keyMask = tf.tensor2d([1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0], [2, 6], 'bool');
      const long = tf.tensor3d(spoilt, [2, 6, rowOf(sizes)]);
      const short: tf.Tensor3D = tf.slice(long, [0, 0, 0], [2, 4, rowOf(sizes)]);
      const apply = (x: tf.Tensor, mask?: tf.Tensor) =>
        geometricAttention(x, coefficients, {
          heads: 2,
          keyMask: mask,
        }) as tf.Tensor3D;
      const expected = apply(short);
      const actual = apply(long, keyMask);
      expectSameBits(
        [tf.slice(actual, [0, 0, 0], [2, 4, 10]).dataSync() as Float32Array],
        [expected.dataSync() as Float32Array],
      );
      expect(
        tf
          .slice(actual, [0, 4, 0])
          .dataSync()
          .every((x) => x === 0),
      ).toBe(true);
      const gradient = tf.grad((x) => tf.sum(apply(x, keyMask)))(long) as tf.Tensor3D;
      expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
      expect(
        tf
          .slice(gradient, [0, 4, 0])
          .dataSync()
          .every((x) => x === 0),
      ).toBe(true);
    });
  });

  it('halves the rest with every position that matches half', () => {
    expect(halves(5)).toEqual([
      [0, 0.5, 0.25, 0.125, 0.0625],
      [0.25, 0, 0.5, 0.125, 0.0625],
      [0.0625, 0.25, 0, 0.5, 0.125],
      [0.0625, 0.125, 0.25, 0, 0.5],
      [0.0625, 0.125, 0.25, 0.5, 0],
    ]);
    for (const row of halves(5)) expect(row.reduce((a, b) => a + b)).toBe(0.9375);
  });

  it('with certain matches takes the first and nothing else; without any gives 0', () => {
    tf.tidy(() => {
      // dim 1: q = 1 and k = ±100 decide; v is the position.
      const keys = [1, -1, -1, 1, -1, 1];
      const rows = keys.map((key, t) => [1, 100 * key, t, 0, 0]);
      const x = tf.tensor3d([rows, rows.map(([q, , v, l, r]) => [q, -100, v, l, r])] as number[][][]);
      const apply = (given: tf.Tensor) => geometricAttention(given, tf.tensor1d([1, 0, 0]), { heads: 1 });
      const output = apply(x);
      expect(Array.from(output.dataSync())).toEqual([3, 0, 3, 5, 5, 3, 0, 0, 0, 0, 0, 0]);
      const gradient = tf.grad((given) => tf.sum(apply(given)))(x);
      expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
    });
  });

  it('a nearer match never makes a farther one more likely', () => {
    tf.tidy(() => {
      const time = 7;
      const weightsFor = (nearer: number) => {
        const rows = Array.from({ length: time }, (_, t) => [1, t === 4 ? nearer : 0.1 * t, 0, 0.2, -0.1]);
        const all = geometricAttentionWeights(tf.tensor3d([rows]), tf.ones([3]), { heads: 1 });
        return (all.arraySync()[0] as number[][][])[0]![3]!;
      };
      const [before, after] = [weightsFor(-1), weightsFor(2)];
      // Query 3 visits 4, 2, 5, 1, 6, 0.
      expect(after[4]!).toBeGreaterThan(before[4]!);
      for (const j of [2, 5, 1, 6, 0]) expect(after[j]!).toBeLessThanOrEqual(before[j]!);
    });
  });

  it('mirrored, with left and right exchanged, attends to the mirror image, except for ties', () => {
    tf.tidy(() => {
      const time = 6;
      const values = noise(time * 5, 9);
      const rows = Array.from({ length: time }, (_, t) => Array.from(values.subarray(5 * t, 5 * t + 5)));
      const image = rows.map(([q, k, v, left, right]) => [q, k, v, right, left] as number[]).reverse();
      const weigh = (x: number[][]) =>
        (
          geometricAttentionWeights(tf.tensor3d([x]), tf.ones([3]), {
            heads: 1,
          }).arraySync()[0] as number[][][]
        )[0]!;
      const [a, b] = [weigh(rows), weigh(image)];
      // From the first and the last position nothing is equally near.
      for (let j = 0; j < time; j++) {
        expect(a[0]![j]).toBeCloseTo(b[time - 1]![time - 1 - j]!, 6);
        expect(a[time - 1]![j]).toBeCloseTo(b[0]![time - 1 - j]!, 6);
      }
    });
  });

  it('leaves nothing behind, also after errors', () => {
    const before = {
      tensors: tf.memory().numTensors,
      bytes: engineBackend()!.memory().numBytesLive,
    };
    for (let i = 0; i < 5; i++) {
      valueAndGradients({ batch: 2, time: 9, heads: 2, dim: 8 }, () => ({
        keyDropout: { rate: 0.2, random: new RandomStream(i) },
      }));
    }
    tf.tidy(() => {
      const coefficients = tf.ones([3]);
      expect(() => geometricAttention(tf.zeros([1, 2, 9]), coefficients, { heads: 2 })).toThrow(
        'geometricAttention: a row of projections must hold 3 · heads · dim + 2 · heads numbers',
      );
      expect(() => geometricAttention(tf.zeros([1, 2, 5]), tf.ones([2]), { heads: 1 })).toThrow('coefficients');
      expect(() => geometricAttention(tf.zeros([1, 2, 5]), coefficients, { heads: 0 })).toThrow('heads');
      const keyMask = tf.ones([2, 2], 'bool');
      expect(() =>
        geometricAttention(tf.zeros([1, 2, 5]), coefficients, {
          heads: 1,
          keyMask,
        }),
      ).toThrow('keyMask');
    });
    expect(tf.memory().numTensors).toBe(before.tensors);
    expect(engineBackend()!.memory().numBytesLive).toBe(before.bytes);
  });

  it('computes sequences that are too long for the kernel, and empty batches', () => {
    const long = { batch: 1, time: 300, heads: 1, dim: 2 };
    const { projections } = inputsOf(long);
    tf.tidy(() => {
      const x = tf.tensor(projections.values, projections.shape);
      const output = geometricAttention(x, tf.tensor1d(COEFFICIENTS), {
        heads: 1,
      });
      const expected = geometricAttentionReference(projections.values, COEFFICIENTS, { ...long, time: 300 }).output;
      expectWithin(output.dataSync(), expected, 1e-5, 'output');
      expect(geometricAttention(tf.zeros([0, 4, 5]), tf.ones([3]), { heads: 1 }).shape).toEqual([0, 4, 1]);
    });
  });
});

it('is the same composed of tfjs operations', async () => {
  const sizes = { batch: 2, time: 7, heads: 2, dim: 3 };
  const results: Float32Array[][] = [];
  for (const { options } of [devices[0]!, ...composedDevices]) {
    await init(options);
    const run = (normalize: boolean) =>
      valueAndGradients(sizes, () => ({
        normalize,
        keyMask: tf.tensor2d(presence(sizes), [2, 7], 'bool'),
        keyDropout: { rate: 0.25, random: new RandomStream(3) },
      }));
    results.push([...run(false), ...run(true)]);
  }
  await dispose();
  for (const composed of results.slice(1)) {
    for (const [i, values] of composed.entries()) expectWithin(results[0]![i]!, values, 1e-5, `result ${i}`);
  }
});

it.each(devices)('geometricAttention on $name gives the same bits for every number of threads', async ({ options }) => {
  await expectSameBitsForAllThreads(options, () => {
    const random = new RandomStream(6);
    return valueAndGradients({ batch: 37, time: 11, heads: 3, dim: 16 }, () => ({
      keyDropout: { rate: 0.1, random },
    }));
  });
  await dispose();
});
