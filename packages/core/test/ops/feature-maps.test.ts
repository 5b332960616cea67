import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import {
  dispose,
  dpfp,
  eluPlusOne,
  FEATURE_NORMALIZATIONS,
  type FeatureMapOptions,
  favorPlus,
  favorProjection,
  init,
  l2Normalize,
  RandomStream,
  reluFeatures,
  softmaxFeatures,
  sumNormalize,
} from '../../src/index.ts';
import { availableDevices, composedDevices, isComposed } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import * as reference from '../reference/feature-maps.ts';
import { toRows } from '../reference/rows.ts';
import { expectMatchesReference, expectWithin, type Input, noise, noiseInput } from './against-reference.ts';

const EPSILON = 1e-3;
const FLOOR = 0.01;

/** A map with its reference. `isProjected`: it takes Ω. `addsToOne`: it needs no division by the sum. */
interface MapCase {
  readonly name: string;
  readonly run: (x: tf.Tensor, options: FeatureMapOptions, projection: tf.Tensor) => tf.Tensor;
  readonly row: (x: number[], projection: number[][]) => number[];
  readonly isProjected?: boolean;
  readonly addsToOne?: boolean;
}

const maps: MapCase[] = [
  { name: 'eluPlusOne', run: eluPlusOne, row: reference.eluPlusOne },
  { name: 'reluFeatures', run: reluFeatures, row: reference.relu },
  { name: 'softmaxFeatures', run: softmaxFeatures, row: reference.softmax, addsToOne: true },
  ...[1, 2, 3].map((nu) => ({
    name: `dpfp, nu = ${nu}`,
    run: (x: tf.Tensor, options: FeatureMapOptions) => dpfp(x, { nu, ...options }),
    row: (x: number[]) => reference.dpfp(x, nu),
  })),
  {
    name: 'favorPlus',
    run: (x, options, projection) => favorPlus(x, projection, { floor: FLOOR, ...options }),
    row: (x, projection) => reference.favorPlus(x, projection, FLOOR),
    isProjected: true,
  },
];

/** Finite differences must not step over the kinks at zero. */
function awayFromZero({ shape, values }: Input): Input {
  return { shape, values: values.map((x) => x + Math.sign(x) * 1e-3) };
}

const anySize = fc.oneof(fc.integer({ min: 2, max: 40 }), fc.constantFrom(63, 64, 65, 100));
const anyNormalization = fc.constantFrom(...FEATURE_NORMALIZATIONS);

const devices = [...(await availableDevices()), ...composedDevices];

describe.each(devices)('feature maps on $name', ({ name: device, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  describe.each(maps)('$name', ({ run, row, isProjected = false, addsToOne = false }) => {
    it('agrees with the float64 reference, gradients included, for every normalisation', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 9 }),
          anySize,
          fc.integer({ min: 1, max: 20 }),
          anyNormalization,
          fc.nat(1000),
          (rows, size, m, normalization, seed) => {
            const epsilon = addsToOne && normalization === 'sum' ? 0 : EPSILON;
            const scale = isProjected ? 1 / Math.sqrt(size) : 2;
            expectMatchesReference({
              inputs: {
                x: awayFromZero(noiseInput([rows, size], seed, scale)),
                ...(isProjected ? { projection: noiseInput([size, m], seed + 1, 2) } : {}),
              },
              operation: ({ x, projection }) => [
                run(x as tf.Tensor, { normalization, epsilon: EPSILON }, projection as tf.Tensor),
              ],
              reference: ({ x, projection }) => [
                Float64Array.from(
                  toRows(x as Float64Array, size).flatMap((values) =>
                    reference.normalized(row(values, toRows(projection ?? [], m)), normalization, epsilon),
                  ),
                ),
              ],
            });
          },
        ),
        { numRuns: isComposed(device) ? 10 : 30 },
      );
    });

    it.each(FEATURE_NORMALIZATIONS)('can be differentiated twice (normalization: %s)', (normalization) => {
      tf.tidy(() => {
        const projection = tf.tensor2d(noise(10, 1), [5, 2]);
        const f = (x: tf.Tensor): tf.Tensor => tf.square(run(x, { normalization }, projection));
        const slope = tf.grad((x: tf.Tensor) => tf.sum(f(x)));
        const x = tf.tensor1d(noise(5, 2));
        const direction = tf.tensor1d(noise(5, 3));
        const curvature = tf
          .grad((y: tf.Tensor) => tf.sum(tf.mul(slope(y), direction)))(x)
          .dataSync();
        const step = 1e-2;
        const at = (factor: number): tf.Tensor => slope(tf.add(x, tf.mul(direction, factor)));
        const numeric = tf.div(tf.sub(at(step), at(-step)), 2 * step).dataSync();
        expectWithin(curvature, numeric, 2e-2, 'Hessian along a direction');
      });
    });
  });

  it.each([
    ['sum', sumNormalize],
    ['l2', l2Normalize],
  ] as const)('%s normalisation alone agrees with the reference', (normalization, normalize) => {
    for (const size of [1, 7, 64, 130]) {
      expectMatchesReference({
        inputs: {
          x: { shape: [3, 2, size], values: noise(6 * size, size).map((v) => (normalization === 'sum' ? v + 1.5 : v)) },
        },
        operation: ({ x }) => [normalize(x as tf.Tensor, { epsilon: EPSILON })],
        reference: ({ x }) => [
          Float64Array.from(
            toRows(x as Float64Array, size).flatMap((values) => reference.normalized(values, normalization, EPSILON)),
          ),
        ],
      });
    }
  });

  // ---- numeric checks 5 and 6 of the paper's card ------------------------------------------------

  it('DPFP-1 sends different quadrants of the plane to orthogonal features', () => {
    tf.tidy(() => {
      const corners = tf.tensor2d([1, 2, -1, 2, 1, -2, -1, -2], [4, 2]);
      const features = dpfp(corners);
      expect(Array.from(features.dataSync())).toEqual([0, 2, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 2]);
      const products = tf.matMul(features, features, false, true);
      expect(Array.from(products.dataSync())).toEqual(Array.from(tf.mul(tf.eye(4), 4).dataSync()));
    });
  });

  it('DPFP has 2 · size · ν features, none negative, and scales with the square of its argument', () => {
    fc.assert(
      fc.property(anySize, fc.integer({ min: 1, max: 3 }), fc.nat(1000), (size, nu, seed) => {
        tf.tidy(() => {
          const x = tf.tensor2d(noise(3 * size, seed), [3, size]);
          const features = dpfp(x, { nu });
          expect(features.shape).toEqual([3, 2 * size * nu]);
          expect(features.dataSync().every((value) => value >= 0)).toBe(true);
          expectWithin(dpfp(tf.mul(x, 3), { nu }).dataSync(), tf.mul(features, 9).dataSync(), 1e-6, 'scaled');
        });
      }),
      { numRuns: 20 },
    );
  });

  it('about 30 % of the features of DPFP-1 are active for Gaussian vectors', () => {
    const x = tf.tensor2d(new RandomStream(1).normal(200 * 64), [200, 64]);
    const features = Array.from(dpfp(x).dataSync());
    const active = features.filter((value) => value > 0).length / features.length;
    expect(active).toBeGreaterThan(0.2);
    expect(active).toBeLessThan(0.35);
    x.dispose();
  });

  it('sum-normalised features add up to 1, so that reading with them is a convex combination of columns', () => {
    tf.tidy(() => {
      const projection = favorProjection(new RandomStream(2), 16, 8);
      const x = tf.tensor2d(noise(80, 5), [5, 16]);
      for (const { run } of maps) {
        const q = run(x, { normalization: 'sum', epsilon: 0 }, projection);
        expectWithin(tf.sum(q, -1).dataSync(), new Array(5).fill(1), 1e-6, 'sum of features');
        expect(q.dataSync().every((value) => value >= 0)).toBe(true);
        const columns = tf.tensor2d(noise(3 * q.shape[1]!, 6), [3, q.shape[1]!]);
        const read = tf.matMul(q as tf.Tensor2D, columns, false, true);
        const inside = tf.logicalAnd(
          tf.lessEqual(read, tf.add(tf.max(columns, 1), 1e-6)),
          tf.greaterEqual(read, tf.sub(tf.min(columns, 1), 1e-6)),
        );
        expect(inside.dataSync().every((value) => value === 1)).toBe(true);
      }
    });
  });

  // ---- FAVOR+ ------------------------------------------------------------------------------------

  it('FAVOR+ approximates the softmax kernel without bias', () => {
    tf.tidy(() => {
      const random = new RandomStream(3);
      const [q, k] = [1, 2].map((seed) => tf.mul<tf.Tensor2D>(tf.tensor2d(noise(32, seed), [4, 8]), 0.5));
      const exact = tf.exp(tf.matMul(q!, k!, false, true)).dataSync();
      const projection = favorProjection(random, 8, 20_000);
      const estimate = tf.matMul(favorPlus(q!, projection), favorPlus(k!, projection), false, true);
      expectWithin(estimate.dataSync(), exact, 0.03, 'exp(q·k)');
    });
  });

  it('draws directions that are orthogonal in blocks, with the lengths of Gaussian vectors', () => {
    tf.tidy(() => {
      const [size, m] = [8, 4000];
      const projection = favorProjection(new RandomStream(4), size, m);
      expect(projection.shape).toEqual([size, m]);
      const block = tf.slice(projection, [0, size], [size, size]);
      const gram = tf.matMul(block, block, true, false);
      const squares = Array.from(tf.sum(tf.square(projection), 0).dataSync());
      expectWithin(gram.dataSync(), tf.diag(tf.tensor1d(squares.slice(size, 2 * size))).dataSync(), 1e-6, 'products');
      // χ²(8) has mean 8 and variance 16.
      const mean = squares.reduce((sum, value) => sum + value, 0) / m;
      const variance = squares.reduce((sum, value) => sum + (value - mean) ** 2, 0) / m;
      expect(Math.abs(mean - size)).toBeLessThan(0.3);
      expect(Math.abs(variance - 2 * size)).toBeLessThan(2);
      expect(favorProjection(new RandomStream(4), size, m).dataSync()).toEqual(projection.dataSync());
      expect(favorProjection(new RandomStream(4), size, 11).shape).toEqual([size, 11]);
    });
  });

  // ---- edges -------------------------------------------------------------------------------------

  it('gives no NaN for features that are all zero, nor for huge arguments', () => {
    tf.tidy(() => {
      const projection = favorProjection(new RandomStream(5), 4, 6);
      const x = tf.tensor2d([0, 0, 0, 0, 500, -500, 500, -500, -500, -500, -500, -500], [3, 4]);
      for (const { name, run } of maps) {
        for (const normalization of ['sum', 'l2'] as const) {
          const f = (y: tf.Tensor): tf.Tensor => run(y, { normalization }, projection);
          const { value, grad } = tf.valueAndGrad(f)(x, tf.ones(f(x).shape));
          for (const result of [value, grad]) {
            expect(result.dataSync().every(Number.isFinite), `${name}, ${normalization}`).toBe(true);
          }
        }
      }
      const towards = tf.outerProduct(tf.ones([2]), tf.squeeze(tf.slice(projection, [0, 0], [4, 1])) as tf.Tensor1D);
      const far = tf.mul(projection, 10);
      const features = favorPlus(tf.mul(towards, 10), far, { normalization: 'sum' });
      expectWithin(tf.sum(features, -1).dataSync(), [1, 1], 1e-5, 'overflowing exponents');
    });
  });

  it('FAVOR+ has no gradient where its exponents are cut', () => {
    tf.tidy(() => {
      const weights = tf.tensor([1, 2, 3, 4]);
      // Exponents of 99.5 and -100.5, of which the first is cut; of 9.5 and -10.5, with slopes that count.
      const slopes = (projection: number[], normalization: 'none' | 'sum') =>
        tf
          .grads((x: tf.Tensor, omega: tf.Tensor) => tf.mul(favorPlus(x, omega, { normalization }), weights))([
            tf.tensor2d([1], [1, 1]),
            tf.tensor2d(projection, [1, 2]),
          ])
          .map((gradient) => gradient.dataSync());
      for (const normalization of ['none', 'sum'] as const) {
        const [dx, dProjection] = slopes([100, 200], normalization);
        expect(Math.abs(dx![0]!)).toBeLessThan(1e-30);
        expect(dProjection!.every((slope) => Math.abs(slope) < 1e-30)).toBe(true);
      }
      // Just below, there is.
      const [dx] = slopes([80.4999, 200], 'none');
      const feature = Math.exp(Math.fround(80.4999) - 0.5) / 2;
      expect(dx![0]! / (feature * 79.4999)).toBeCloseTo(1, 4);
    });
  });

  it('has slope 1 at zero for ELU + 1, and 0 for the others', () => {
    tf.tidy(() => {
      const slopes = (f: (x: tf.Tensor) => tf.Tensor): number[] =>
        Array.from(
          tf
            .grad((x: tf.Tensor) => tf.sum(f(x)))(tf.zeros([5]))
            .dataSync(),
        );
      expect(slopes((x) => eluPlusOne(x))).toEqual([1, 1, 1, 1, 1]);
      expect(slopes((x) => reluFeatures(x))).toEqual([0, 0, 0, 0, 0]);
      expect(slopes((x) => dpfp(x))).toEqual([0, 0, 0, 0, 0]);
    });
  });

  it('takes empty batches', () => {
    tf.tidy(() => {
      const x = tf.zeros([2, 0, 4]);
      const projection = tf.ones([4, 3]);
      for (const { run } of maps) {
        const y = run(x, { normalization: 'sum' }, projection);
        expect(y.shape.slice(0, 2)).toEqual([2, 0]);
      }
    });
  });

  it('says what is wrong', () => {
    tf.tidy(() => {
      const x = tf.zeros([2, 3]);
      expect(() => eluPlusOne(tf.scalar(1))).toThrow('eluPlusOne: x must have shape [..., features]');
      expect(() => reluFeatures(tf.zeros([2], 'int32'))).toThrow('reluFeatures: x must be float32');
      expect(() => eluPlusOne(x, { normalization: 'max' as 'sum' })).toThrow(
        "normalization must be 'none' or 'sum' or 'l2'",
      );
      expect(() => l2Normalize(x, { epsilon: -1 })).toThrow(
        'l2Normalize: epsilon must be a finite number of at least 0',
      );
      expect(() => dpfp(x, { nu: 0 })).toThrow('dpfp: nu must be a whole number of at least 1');
      expect(() => dpfp(x, { nu: 6 })).toThrow('nu must be below 2 · size = 6, but is 6');
      expect(() => favorPlus(x, tf.zeros([4, 2]))).toThrow('favorPlus: projection must have shape [size = 3, m]');
      expect(() => favorPlus(x, tf.zeros([3, 2]), { floor: -1 })).toThrow('favorPlus: floor');
      expect(() => favorProjection(new RandomStream(), 3, 0)).toThrow('favorProjection: m');
    });
  });
});

describe.each(await availableDevices())('feature map kernels on $name', ({ options }) => {
  afterEach(dispose);

  /** Values and gradients of all maps. */
  const all = (x: tf.Tensor): tf.Tensor[] => {
    const projection = tf.tensor2d(noise(16 * 12, 8), [16, 12]);
    return maps.flatMap(({ run }) => {
      const f = (y: tf.Tensor): tf.Tensor => run(y, { normalization: 'sum' }, projection);
      const value = f(x);
      return [value, tf.grad(f)(x, tf.cos(value))];
    });
  };

  it('give the same bits for every number of threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const tensors = all(tf.tensor2d(noise(3000 * 16, 9), [3000, 16]));
      return tensors.map((y) => y.dataSync() as Float32Array);
    });
  });

  it('keep NaN inside its row, and leave nothing allocated', async () => {
    await init(options);
    const values = noise(5 * 16, 2);
    values[19] = Number.NaN;
    const x = tf.tensor2d(values, [5, 16]);
    const run = (): void =>
      tf.tidy(() => {
        for (const result of all(x)) {
          const width = result.size / 5;
          result.dataSync().forEach((value, i) => {
            if (Math.floor(i / width) !== 1) expect(Number.isNaN(value)).toBe(false);
          });
          expect(result.dataSync().some(Number.isNaN)).toBe(true);
        }
      });
    run();
    const { numTensors } = tf.memory();
    const { liveBytes } = engineBackend()!.engine.statistics();
    run();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(engineBackend()!.engine.statistics().liveBytes).toBe(liveBytes);
  });

  it('run as one kernel', async () => {
    await init(options);
    const x = tf.ones([2, 4]);
    const profile = await tf.profile(() =>
      tf.tidy(
        () =>
          [eluPlusOne(x, { normalization: 'sum' }), dpfp(x, { nu: 2, normalization: 'sum' }), l2Normalize(x)].length,
      ),
    );
    expect([...profile.kernelNames].sort()).toEqual(['FwpDpfp', 'FwpElementwiseFeatures']);
    x.dispose();
  });
});
