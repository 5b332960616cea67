import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../../src/backend/backend.ts';
import { FUSED_ACTIVATIONS, type FusedActivation, runMatMul } from '../../../src/backend/matmul-plan.ts';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { matmulReference } from '../../reference/matmul.ts';
import { expectClose, noiseTensor } from './noise.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';

/** Sizes around the tile edges of all instruction sets, narrow ones included. */
const extent = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(31, 32, 33, 47, 48, 49, 64, 65, 100, 129));
const depth = fc.oneof(extent, fc.constantFrom(0, 255, 256, 257, 520));

/** The activations in float64. */
const ACTIVATIONS: Record<FusedActivation, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  leakyrelu: (x) => (x < 0 ? 0.3 * x : x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  silu: (x) => x / (1 + Math.exp(-x)),
};

/** erf by its Taylor series, good to 1e-12 for |x| < 4. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 100; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

describe.each(await availableDevices())('matrix products on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('agrees with float64 for all sizes and transpositions', () => {
    fc.assert(
      fc.property(
        extent,
        extent,
        depth,
        fc.boolean(),
        fc.boolean(),
        fc.nat(),
        (m, n, k, transposeA, transposeB, seed) => {
          const a = noiseTensor(transposeA ? [k, m] : [m, k], seed);
          const b = noiseTensor(transposeB ? [n, k] : [k, n], seed + 1);
          const c = tf.matMul(a, b, transposeA, transposeB);
          const expected = matmulReference(
            { shape: a.shape, values: a.dataSync() },
            { shape: b.shape, values: b.dataSync() },
            transposeA,
            transposeB,
          );
          expect(c.shape).toEqual(expected.shape);
          expectClose(c.dataSync(), expected.values, expected.scale, `[${m},${k}]x[${k},${n}]`);
          tf.dispose([a, b, c]);
        },
      ),
    );
  });

  it('broadcasts leading dimensions against each other', () => {
    const batch = fc.array(fc.constantFrom(1, 1, 2, 3), { maxLength: 5 });
    fc.assert(
      fc.property(batch, fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }), fc.nat(5), (shape, ones, drop) => {
        const batchA = shape.map((size, d) => (ones[d] ? 1 : size));
        const batchB = shape.map((size, d) => (ones[d + 5] && !ones[d] ? 1 : size)).slice(Math.min(drop, shape.length));
        const a = noiseTensor([...batchA, 3, 5], 1);
        const b = noiseTensor([...batchB, 5, 4], 2);
        const c = tf.matMul(a, b);
        const expected = matmulReference(
          { shape: a.shape, values: a.dataSync() },
          { shape: b.shape, values: b.dataSync() },
        );
        expect(c.shape).toEqual(expected.shape);
        expectClose(c.dataSync(), expected.values, expected.scale, `[${batchA}] against [${batchB}]`);
        tf.dispose([a, b, c]);
      }),
    );
  });

  it('gives empty and zero products for sizes of zero', () => {
    expect(tf.matMul(tf.zeros([0, 3]), tf.zeros([3, 2])).shape).toEqual([0, 2]);
    expect(tf.matMul(tf.zeros([0, 2, 3]), tf.zeros([0, 3, 2])).shape).toEqual([0, 2, 2]);
    expect([...tf.matMul(tf.zeros([2, 0]), tf.zeros([0, 2])).dataSync()]).toEqual([0, 0, 0, 0]);
  });

  it('carries NaN and infinities as float arithmetic does', () => {
    const a = tf.tensor2d([1, Number.NaN, 2, 3, Number.POSITIVE_INFINITY, 0], [3, 2]);
    const b = tf.tensor2d([1, 0, 5, 1], [2, 2]);
    expect([...tf.matMul(a, b).dataSync()]).toEqual([NaN, NaN, 17, 3, Infinity, NaN]);
  });

  it('sums the same bits for 1, 2 and 4 threads', async () => {
    const shapes = [
      [257, 300, 129],
      [1, 1000, 700],
      [700, 1, 1000],
      [130, 17, 2100],
    ] as const;
    await expectSameBitsForAllThreads(options, () =>
      shapes.map(([m, n, k]) => tf.matMul(noiseTensor([m, k], 1), noiseTensor([n, k], 2), false, true).dataSync()),
    );
    await init(options);
  });

  it.each(FUSED_ACTIVATIONS)('applies a bias and %s on the way out', (activation) => {
    const backend = tf.backend() as FwpBackend;
    for (const [m, n, k] of [
      [13, 37, 300],
      [1, 20, 40],
      [50, 1, 33],
      [3, 5, 0],
    ] as const) {
      const a = noiseTensor([m, k], 3);
      const b = noiseTensor([k, n], 4);
      const bias = noiseTensor([n], 5);
      const c = backend.makeOutput([m, n]);
      runMatMul(backend, {
        ...{ a: backend.offsetOf(a), b: backend.offsetOf(b), c: backend.offsetOf(c), bias: backend.offsetOf(bias) },
        ...{ m, n, k, activation, slope: 0.3, alpha: 0.25 },
      });
      const { values, scale } = matmulReference(
        { shape: [m, k], values: a.dataSync() },
        { shape: [k, n], values: b.dataSync() },
      );
      const biasValues = bias.dataSync();
      const expected = values.map((value, i) => ACTIVATIONS[activation](0.25 * value + biasValues[i % n]!));
      expectClose(
        backend.viewOf(c),
        expected,
        scale.map((value) => value + 1),
        `${activation} [${m},${k}]x[${k},${n}]`,
      );
      backend.release(c);
      tf.dispose([a, b, bias]);
    }
  });

  it('adds to what the output holds when asked to', () => {
    const backend = tf.backend() as FwpBackend;
    for (const [m, n, k] of [
      [9, 40, 600],
      [1, 50, 20],
      [40, 2, 64],
    ] as const) {
      const a = noiseTensor([k, m], 6);
      const b = noiseTensor([k, n], 7);
      const c = noiseTensor([m, n], 8);
      const before = c.dataSync();
      const offsets = { a: backend.offsetOf(a), b: backend.offsetOf(b), c: backend.offsetOf(c) };
      runMatMul(backend, { ...offsets, m, n, k, transposeA: true, accumulate: true });
      const product = matmulReference(
        { shape: [k, m], values: a.dataSync() },
        { shape: [k, n], values: b.dataSync() },
        true,
      );
      const expected = product.values.map((value, i) => value + before[i]!);
      expectClose(
        backend.viewOf(c),
        expected,
        product.scale.map((value) => value + 1),
        `[${m},${k}]x[${k},${n}]`,
      );
      tf.dispose([a, b, c]);
    }
  });

  it('fuses what tfjs fuses, with any bias that broadcasts', () => {
    const a = noiseTensor([2, 5, 7], 1);
    const b = noiseTensor([1, 7, 6], 2);
    const attributes = { transposeA: false, transposeB: false, leakyreluAlpha: 0.1 };
    for (const biasShape of [undefined, [6], [1, 1, 6], [], [1], [5, 1], [5, 6], [2, 5, 6]]) {
      const bias = biasShape && noiseTensor(biasShape, 3);
      for (const activation of ['linear', 'relu', 'relu6', 'elu', 'leakyrelu', 'sigmoid', 'prelu']) {
        const slopes = activation === 'prelu' ? { preluActivationWeights: noiseTensor([6], 4) } : {};
        const inputs = { a, b, ...(bias && { bias }), ...slopes };
        expectSameAsTfjs('_FusedMatMul', inputs as never, { ...attributes, activation }, 1e-5);
      }
    }
  });

  it('multiplies integers as tfjs does', () => {
    const a = tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32');
    const c = tf.matMul(a, a);
    expect(c.dtype).toBe('int32');
    expect([...c.dataSync()]).toEqual([7, 10, 15, 22]);
  });

  it('gives gradients for every transposition', () => {
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      const a = noiseTensor(transposeA ? [4, 3] : [3, 4], 1) as tf.Tensor2D;
      const b = noiseTensor(transposeB ? [5, 4] : [4, 5], 2) as tf.Tensor2D;
      const [da, db] = tf.grads((x: tf.Tensor, y: tf.Tensor) =>
        tf.sum(tf.square(tf.matMul(x, y, transposeA, transposeB))),
      )([a, b]);
      const step = 1e-2;
      const loss = (x: tf.Tensor, y: tf.Tensor): number =>
        tf.tidy(() => tf.sum(tf.square(tf.matMul(x, y, transposeA, transposeB))).dataSync()[0]!);
      const direction = noiseTensor(a.shape, 3);
      const difference =
        (loss(tf.add(a, tf.mul(direction, step)), b) - loss(tf.sub(a, tf.mul(direction, step)), b)) / (2 * step);
      expect(tf.sum(tf.mul(da!, direction)).dataSync()[0]).toBeCloseTo(difference, 2);
      expect(db!.shape).toEqual(b.shape);
    }
  });

  it('names both shapes when they do not fit', () => {
    expect(() => tf.matMul(tf.zeros([2, 3]), tf.zeros([4, 2]))).toThrow(/inner shapes \(3\) and \(4\)/);
  });
});
