import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../../src/backend/backend.ts';
import { planReduction, splitOf } from '../../../src/backend/reduce-plan.ts';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';
import { floatsBetween, uniformSequence } from './special-values.ts';

type Dtype = 'float32' | 'int32' | 'bool';

function tensorOf(shape: number[], dtype: Dtype, seed = 1): tf.Tensor {
  const next = uniformSequence(seed);
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => {
    if (dtype === 'bool') return Number(next() < 0.7);
    if (dtype === 'int32') return Math.floor(next() * 7) - 3;
    return next() * 2 - 0.7;
  });
  return tf.tensor(values, shape, dtype);
}

const axisName = (kernel: string): string => (kernel === 'Max' ? 'reductionIndices' : 'axis');

/** Kernels, the dtypes that they have C code for, and a tolerance relative to 1 + |result|. */
const reductions: [kernel: string, dtype: Dtype, tolerance: number][] = [
  ['Sum', 'float32', 2e-6],
  ['Sum', 'int32', 0],
  ['Sum', 'bool', 0],
  ['Mean', 'float32', 1e-6],
  ['Mean', 'int32', 1e-6],
  ['Mean', 'bool', 1e-6],
  ['Prod', 'float32', 1e-6],
  ['Prod', 'int32', 0],
  ['Max', 'float32', 0],
  ['Max', 'int32', 0],
  ['Max', 'bool', 0],
  ['Min', 'float32', 0],
  ['Min', 'int32', 0],
  ['Min', 'bool', 0],
  ['All', 'bool', 0],
  ['Any', 'bool', 0],
];

const shapeAndAxes = fc
  .array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 })
  .chain((shape) => fc.tuple(fc.constant(shape), fc.subarray([...shape.keys()], { minLength: 1 }), fc.boolean()));

describe.each(await availableDevices())('reductions on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(reductions)('%s of %s agrees with tfjs for any shape and axes', (kernel, dtype, tolerance) => {
    fc.assert(
      fc.property(shapeAndAxes, ([shape, axes, keepDims]) => {
        const x = tensorOf(shape, dtype);
        expectSameAsTfjs(kernel, { x }, { [axisName(kernel)]: axes, keepDims }, tolerance);
        x.dispose();
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    { shape: [100_003], axis: [0] },
    { shape: [400_000], axis: [0] },
    { shape: [3, 100_000], axis: [1] },
    { shape: [2000, 17], axis: [1] },
    { shape: [700, 129], axis: [1] },
    { shape: [2048, 512], axis: [0] },
    { shape: [50_000, 3], axis: [0] },
    { shape: [50_000, 40], axis: [0] },
    { shape: [131, 2500], axis: [0] },
    { shape: [5, 300, 70], axis: [1] },
    { shape: [40, 6, 500], axis: [0, 2] },
    { shape: [9, 8, 7, 6, 5], axis: [0, 2, 4] },
    { shape: [9, 8, 7, 6, 5], axis: [1, 3] },
  ])('every code path agrees with tfjs: $shape over $axis', ({ shape, axis }) => {
    const x = tensorOf(shape, 'float32');
    for (const keepDims of [false, true]) {
      expectSameAsTfjs('Sum', { x }, { axis, keepDims }, 2e-6);
      expectSameAsTfjs('Mean', { x }, { axis, keepDims }, 1e-6);
      expectSameAsTfjs('Max', { x }, { reductionIndices: axis, keepDims });
      expectSameAsTfjs('Min', { x }, { axis, keepDims });
    }
    x.dispose();
    for (const [kernel, dtype] of [
      ['Sum', 'int32'],
      ['Max', 'int32'],
      ['All', 'bool'],
    ] as const) {
      const other = tensorOf(shape, dtype);
      expectSameAsTfjs(kernel, { x: other }, { [axisName(kernel)]: axis, keepDims: false });
      other.dispose();
    }
  });

  it('reducing no axis, a scalar, or nothing at all', () => {
    const x = tensorOf([3, 4], 'float32');
    for (const kernel of ['Sum', 'Mean', 'Max', 'Min', 'Prod']) {
      expectSameAsTfjs(kernel, { x }, { [axisName(kernel)]: [], keepDims: false });
    }
    x.dispose();
    expect(tf.sum(tf.scalar(3)).arraySync()).toBe(3);
    expect(tf.sum(tf.zeros([0, 3]), 0).arraySync()).toEqual([0, 0, 0]);
    expect(tf.sum(tf.zeros([0, 3]), 1).shape).toEqual([0]);
    expect(tf.prod(tf.zeros([2, 0]), 1).arraySync()).toEqual([1, 1]);
  });

  it('a NaN anywhere makes the sum, the maximum and the minimum of its row and column NaN', () => {
    const [rows, columns] = [37, 300];
    const values = floatsBetween(-1, 1, rows * columns);
    values[5 * columns + 123] = Number.NaN;
    const x = tf.tensor2d(values, [rows, columns]);
    for (const reduce of [tf.sum, tf.max, tf.min]) {
      const byRow = reduce(x, 1).dataSync();
      const byColumn = reduce(x, 0).dataSync();
      expect([...byRow.keys()].filter((i) => Number.isNaN(byRow[i]))).toEqual([5]);
      expect([...byColumn.keys()].filter((i) => Number.isNaN(byColumn[i]))).toEqual([123]);
      expect(reduce(x).arraySync()).toBeNaN();
    }
  });

  it('extrema of infinities are infinities', () => {
    const x = tf.fill([40, 40], -Infinity);
    expect(tf.max(x).arraySync()).toBe(-Infinity);
    expect(tf.max(x, 0).arraySync()).toEqual(new Array(40).fill(-Infinity));
    expect(tf.min(tf.neg(x), 1).arraySync()).toEqual(new Array(40).fill(Infinity));
  });

  it.each([
    { shape: [3_000_000], axis: 0 },
    { shape: [2_000_000, 2], axis: 0 },
    { shape: [2, 1_500_000], axis: 1 },
    { shape: [30_000, 100], axis: 0 },
  ])('the error of a long sum does not grow with its length: $shape over $axis', ({ shape, axis }) => {
    const values = floatsBetween(0, 1, tf.util.sizeFromShape(shape), 9);
    const x = tf.tensor(values, shape);
    const actual = tf.sum(x, axis).dataSync();
    const exact = new Float64Array(actual.length);
    const stride = axis === 0 ? (shape[1] ?? 1) : 1;
    values.forEach((value, i) => {
      const output = axis === 0 ? i % stride : Math.floor(i / (shape[1] as number));
      exact[output] = (exact[output] as number) + value;
    });
    actual.forEach((value, i) => {
      expect(Math.abs(value - (exact[i] as number)) / (exact[i] as number)).toBeLessThan(2e-7);
    });
    x.dispose();
  });

  it.each(['ArgMax', 'ArgMin'])('%s finds the first extremum along any axis', (kernel) => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
        fc.nat(2),
        fc.constantFrom('float32', 'int32'),
        (shape, axis, dtype) => {
          // Few different values, so that ties are frequent.
          const x = tensorOf(shape, 'int32', shape.length).cast(dtype);
          expectSameAsTfjs(kernel, { x }, { axis: axis % shape.length });
          x.dispose();
        },
      ),
      { numRuns: 60 },
    );
    const x = tf.tensor2d(floatsBetween(-5, 5, 900 * 301), [900, 301]);
    expectSameAsTfjs(kernel, { x }, { axis: 0 });
    expectSameAsTfjs(kernel, { x }, { axis: 1 });
    x.dispose();
  });

  it('the position of an extremum treats NaN as tfjs does', () => {
    const { NaN: nan } = Number;
    const rows = [
      [nan, 1, 2, 3],
      [1, nan, 5, 0],
      [1, 2, 0, nan],
      [nan, nan, nan, nan],
    ].map((row) => Array.from({ length: 40 }, (_, i) => row[i] ?? -1));
    const x = tf.tensor2d(rows);
    for (const kernel of ['ArgMax', 'ArgMin']) {
      expectSameAsTfjs(kernel, { x }, { axis: 1 });
      expectSameAsTfjs(kernel, { x }, { axis: 0 });
    }
    x.dispose();
  });

  it('square_sum is the sum of squares', () => {
    const backend = tf.backend() as FwpBackend;
    for (const count of [1, 16, 17, 1000, 300_000]) {
      const values = floatsBetween(-1, 1, count, 3);
      const x = tf.tensor1d(values);
      const y = backend.makeOutput([], 'float32');
      const pass = { outer: 1, reduce: count, inner: 1 };
      const split = splitOf(pass);
      backend.withWorkspace(Math.ceil(count / split) * 8, (workspace) => {
        backend.engine.run('square_sum', backend.offsetOf(x), backend.offsetOf(y), 1, count, 1, split, workspace, 1);
      });
      const exact = values.reduce((sum, value) => sum + value * value, 0);
      expect(Math.abs((backend.viewOf(y)[0] as number) / exact - 1)).toBeLessThan(3e-7);
      backend.release(y);
      x.dispose();
    }
  });

  it('find_non_finite tells the first place', () => {
    const { engine } = tf.backend() as FwpBackend;
    const count = 300_000;
    const offset = engine.allocate(count * 4);
    engine.float32(offset, count).fill(1);
    expect(engine.run('find_non_finite', offset, count, 0)).toBe(0);
    engine.float32(offset, count)[299_999] = Number.NaN;
    engine.float32(offset, count)[200_001] = Number.NaN;
    engine.float32(offset, count)[150_000] = -Infinity;
    expect(engine.run('find_non_finite', offset, count, 0)).toBe(150_001);
    expect(engine.run('find_non_finite', offset, count, 1)).toBe(200_002);
    expect(engine.run('find_non_finite', offset, 150_000, 0)).toBe(0);
    expect(engine.run('find_non_finite', offset, 0, 0)).toBe(0);
    engine.free(offset, count * 4);
  });
});

describe('the plan of a reduction', () => {
  it('merges axes and needs one pass wherever reduced axes are neighbours', () => {
    expect(planReduction([2, 3, 4, 5], [1, 2], false)).toEqual({
      shape: [2, 5],
      count: 12,
      passes: [{ outer: 2, reduce: 12, inner: 5 }],
    });
    expect(planReduction([2, 1, 4], null, true)).toEqual({
      shape: [1, 1, 1],
      count: 8,
      passes: [{ outer: 1, reduce: 8, inner: 1 }],
    });
  });

  it('reduces alternating axes from the last to the first', () => {
    expect(planReduction([2, 3, 4, 5, 6], [0, 2, 4], false).passes).toEqual([
      { outer: 120, reduce: 6, inner: 1 },
      { outer: 6, reduce: 4, inner: 5 },
      { outer: 1, reduce: 2, inner: 15 },
    ]);
  });
});

describe('the number of threads', () => {
  it('does not change a bit of any reduction', async () => {
    const device = (await availableDevices()).at(-1)!;
    await expectSameBitsForAllThreads(device.options, () => {
      const x = tf.tensor(floatsBetween(-4, 4, 600_000, 1), [2000, 300]);
      const results = [
        tf.sum(x),
        tf.sum(x, 0),
        tf.sum(x, 1),
        tf.mean(x),
        tf.max(x, 0),
        tf.cumsum(x, 0),
        tf.cumsum(x, 1),
        tf.tanh(x),
      ];
      return results.map((y) => y.dataSync());
    });
    await dispose();
  });
});
