import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, geometricAttention, init } from '../../src/index.ts';
import { MAX_GPU_GEOMETRIC_TIME } from '../../src/webgpu/kernels/geometric-walk.ts';
import { webGpuDevices } from '../devices.ts';
import { COEFFICIENTS, expectGeometricMatches, type GeometricCase, inputsOf, rowOf } from '../ops/geometric-cases.ts';
import { expectRelativeErrors, valuesAndGradients } from '../ops/scan-cases.ts';
import type { GeometricSizes } from '../reference/geometric-attention.ts';

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('geometric attention on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  it.each<[GeometricSizes, GeometricCase]>([
    [{ batch: 2, time: 9, heads: 2, dim: 3 }, { masked: true }],
    // Visits of which every invocation has several.
    [{ batch: 1, time: 140, heads: 1, dim: 2 }, { normalize: true }],
    [
      { batch: 2, time: 7, heads: 3, dim: 5 },
      { masked: true, dropoutSeed: 4 },
    ],
    [{ batch: 2, time: 1, heads: 1, dim: 1 }, { normalize: true }],
  ])('takes the nearest matches, with exact gradients: %o, %o', expectGeometricMatches);

  // A million matches, of which a GPU in software makes some dozen tensors.
  it('is composed where a sequence is longer than the kernels take: the same as on the CPU, gradients included', {
    timeout: 600_000,
  }, async () => {
    const inputs = inputsOf({ batch: 1, time: MAX_GPU_GEOMETRIC_TIME + 1, heads: 1, dim: 1 });
    const run = () =>
      valuesAndGradients(inputs, ({ projections, coefficients }) => [
        geometricAttention(projections!, coefficients!, { heads: 1 }),
      ]);
    const results: Float32Array[] = [];
    const { kernelNames } = await tf.profile(() => {
      results.push(...run());
      return tf.scalar(0);
    });
    expect(kernelNames).toContain('Cumprod');
    expect(kernelNames.filter((name) => name.startsWith('FwpGeometric'))).toEqual([]);
    await init({ device: 'wasm', threads: 1 });
    expectRelativeErrors(results, run(), 1e-5);
    await init(gpu?.options);
  });

  it('does not look at what padding holds', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, time: 6, heads: 2, dim: 4 };
      const { projections } = inputsOf(sizes);
      const spoilt = projections.values.map((x, at) => (at < 4 * rowOf(sizes) ? x : Number.NaN));
      const keyMask = tf.tensor2d([1, 1, 1, 1, 0, 0], [1, 6], 'bool');
      const apply = (x: tf.Tensor) => geometricAttention(x, tf.tensor1d(COEFFICIENTS), { heads: 2, keyMask });
      const x = tf.tensor(spoilt, projections.shape);
      const results = [apply(x), tf.grad((given) => tf.sum(apply(given)))(x)].map((result) => result.dataSync());
      for (const values of results) {
        expect(values.every(Number.isFinite)).toBe(true);
        expect(values.slice((4 * values.length) / 6).every((value) => value === 0)).toBe(true);
      }
    });
  });

  it('takes no sequences', () => {
    tf.tidy(() => {
      const apply = (given: tf.Tensor) => geometricAttention(tf.zeros([0, 4, 5]), given, { heads: 1 });
      expect([
        ...tf
          .grad(apply)(tf.ones([3]), tf.zeros([0, 4, 1]))
          .dataSync(),
      ]).toEqual([0, 0, 0]);
    });
  });

  it('leaves nothing allocated', () => {
    const step = () =>
      tf.tidy(() => {
        const { projections } = inputsOf({ batch: 2, time: 9, heads: 2, dim: 3 });
        const x = tf.tensor(projections.values, projections.shape);
        tf.grad((given) => tf.sum(geometricAttention(given, tf.tensor1d(COEFFICIENTS), { heads: 2, normalize: true })))(
          x,
        ).dataSync();
      });
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
