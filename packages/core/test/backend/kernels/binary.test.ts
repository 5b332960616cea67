import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../../src/backend/backend.ts';
import { kernels } from '../../../src/backend/kernels/index.ts';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';
import { floatsBetween, specialValues, ulpError, uniformSequence } from './special-values.ts';

type Dtype = 'float32' | 'int32' | 'bool';

const floatKernels = [
  'Add',
  'Sub',
  'Multiply',
  'RealDiv',
  'Maximum',
  'Minimum',
  'SquaredDifference',
  'FloorDiv',
  'Mod',
];
/** Kernels that round more than once, where tfjs computes in float64; tolerance relative to 1 + |value|. */
const roundings: Record<string, number> = { SquaredDifference: 3e-7, Pow: 1e-7 };
const intKernels = [...floatKernels.filter((name) => name !== 'RealDiv'), 'BitwiseAnd'];
const comparisons = ['Equal', 'NotEqual', 'Less', 'LessEqual', 'Greater', 'GreaterEqual'];
const boolKernels = ['LogicalAnd', 'LogicalOr', 'Multiply', 'Maximum', 'Minimum', ...comparisons];

/** Values with many ties, zeros and both signs. */
function values(size: number, dtype: Dtype, seed: number): Float32Array {
  const next = uniformSequence(seed);
  return Float32Array.from({ length: size }, () => {
    if (dtype === 'bool') return Number(next() < 0.5);
    if (dtype === 'int32') return Math.floor(next() * 41) - 20;
    return next() < 0.3 ? Math.floor(next() * 7) - 3 : (next() - 0.5) * 20;
  });
}

function tensorOf(shape: number[], dtype: Dtype, seed: number): tf.Tensor {
  return tf.tensor(values(tf.util.sizeFromShape(shape), dtype, seed), shape, dtype);
}

/** Two shapes that can be broadcast together: dimensions and, for either operand, which of them are 1 or missing. */
const broadcastShapes = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom('both', 'a', 'b')), { maxLength: 6 })
  .chain((dims) =>
    fc
      .tuple(fc.constant(dims), fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 }))
      .map(([all, skipA, skipB]) => {
        const shapeFor = (operand: 'a' | 'b', skip: number): number[] => {
          const shape = all.map(([extent, who]) => (who === 'both' || who === operand ? extent : 1));
          // Leading ones may be left out.
          let from = 0;
          while (from < skip && shape[from] === 1) from++;
          return shape.slice(from);
        };
        return { a: shapeFor('a', skipA), b: shapeFor('b', skipB) };
      }),
  );

describe.each(await availableDevices())('elementwise functions of two tensors on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  function check(kernel: string, a: number[], b: number[], dtype: Dtype, tolerance = 0): void {
    const inputs = { a: tensorOf(a, dtype, 11), b: tensorOf(b, dtype, 12) };
    expectSameAsTfjs(kernel, inputs, {}, tolerance);
    tf.dispose(inputs);
  }

  it.each([
    ...floatKernels.map((kernel) => [kernel, 'float32'] as const),
    ...intKernels.map((kernel) => [kernel, 'int32'] as const),
    ...boolKernels.map((kernel) => [kernel, 'bool'] as const),
    ...comparisons.flatMap((kernel) => [[kernel, 'float32'] as const, [kernel, 'int32'] as const]),
  ])('%s of %s broadcasts any shapes as tfjs does', (kernel, dtype) => {
    fc.assert(
      fc.property(broadcastShapes, ({ a, b }) => check(kernel, a, b, dtype, roundings[kernel] ?? 0)),
      { numRuns: 30 },
    );
  });

  it.each([
    [[7], [7]],
    [[0], [0]],
    [
      [0, 3],
      [1, 3],
    ],
    [[513], []],
    [[], [513]],
    [[67, 129], [129]],
    [[129], [67, 129]],
    [
      [67, 129],
      [67, 1],
    ],
    [
      [67, 1],
      [67, 129],
    ],
    [[300, 3], [3]],
    [
      [300, 3],
      [300, 1],
    ],
    [
      [1, 40],
      [50, 1],
    ],
    [
      [2, 1, 33, 5],
      [1, 4, 1, 5],
    ],
    [
      [2, 3, 1, 1, 2, 40],
      [1, 3, 2, 1, 1, 40],
    ],
    [
      [2, 1, 2, 1, 2, 1],
      [1, 2, 1, 2, 1, 2],
    ],
    [[200_000], [200_000]],
    [[200_000], [1]],
    [[1000, 300], [300]],
    [
      [40_000, 5],
      [40_000, 1],
    ],
  ])('layouts with their own code path give the same values: %j and %j', (a, b) => {
    for (const dtype of ['float32', 'int32'] as const) {
      check('Add', a, b, dtype);
      check('Sub', a, b, dtype);
      check('Less', a, b, dtype);
    }
    check('LogicalAnd', a, b, 'bool');
  });

  it.each([...floatKernels, ...comparisons, 'Pow'])('%s has the same special values as tfjs', (kernel) => {
    const n = specialValues.length;
    const a = tf.tensor2d(specialValues as number[], [n, 1]);
    const b = tf.tensor2d(specialValues as number[], [1, n]);
    expectSameAsTfjs(kernel, { a, b }, {}, roundings[kernel] ?? 0);
    tf.dispose([a, b]);
  });

  it('maxima and minima order the zeros as JavaScript does', () => {
    const a = tf.tensor1d([0, -0, 0, -0]);
    const b = tf.tensor1d([-0, 0, 0, -0]);
    expect([...tf.maximum(a, b).dataSync()]).toEqual([0, 0, 0, -0]);
    expect([...tf.minimum(a, b).dataSync()]).toEqual([-0, -0, 0, -0]);
  });

  it('int32 arithmetic wraps, and division by zero gives zero', () => {
    const a = tf.tensor1d([2147483647, -2147483648, -2147483648, 5, -5, 0], 'int32');
    const b = tf.tensor1d([1, -1, -1, 0, 0, 0], 'int32');
    for (const kernel of ['Add', 'Sub', 'FloorDiv', 'Mod', 'RealDiv']) expectSameAsTfjs(kernel, { a, b });
    tf.dispose([a, b]);
  });

  it('floor division and modulo follow the sign of the divisor', () => {
    const a = tf.tensor1d([7, -7, 7, -7, 6, -6], 'int32');
    const b = tf.tensor1d([3, 3, -3, -3, 3, 3], 'int32');
    expect([...tf.floorDiv(a, b).dataSync()]).toEqual([2, -3, -3, 2, 2, -2]);
    expect([...tf.mod(a, b).dataSync()]).toEqual([1, 2, -2, -1, 0, 0]);
  });

  it('powers are within one unit in the last place of a float64 reference', () => {
    const backend = tf.backend() as FwpBackend;
    const a = tf.tensor1d(floatsBetween(0, 30, 4001, 21));
    const b = tf.tensor1d(floatsBetween(-25, 25, 4001, 22));
    const y = kernels['Pow']!({ inputs: { a, b }, attrs: {}, backend } as never) as tf.TensorInfo;
    const [bases, exponents] = [a.dataSync(), b.dataSync()];
    (backend.readSync(y.dataId) as Float32Array).forEach((value, i) => {
      const exact = (bases[i] as number) ** (exponents[i] as number);
      expect(ulpError(value, exact), `${bases[i]} ** ${exponents[i]}`).toBeLessThan(1);
    });
    backend.release(y);
    tf.dispose([a, b]);
  });

  it.each([-3, -1, 0, 0.5, 1, 2, 3])('powers with the scalar exponent %d agree with tfjs', (exponent) => {
    const a = tf.tensor1d(specialValues as number[]);
    const b = tf.scalar(exponent);
    expectSameAsTfjs('Pow', { a, b }, {}, 1e-7);
    tf.dispose([a, b]);
  });

  it('integer powers agree with tfjs', () => {
    const a = tf.tensor1d([0, 1, -1, 2, -3, 7, 0, -1, 2], 'int32');
    const b = tf.tensor1d([0, 5, 3, 10, 3, 2, 3, -3, -2], 'int32');
    expectSameAsTfjs('Pow', { a, b });
    tf.dispose([a, b]);
  });

  it('Prelu broadcasts its slopes', () => {
    const x = tensorOf([4, 6, 5], 'float32', 3);
    const alpha = tensorOf([5], 'float32', 4);
    expectSameAsTfjs('Prelu', { x, alpha });
    tf.dispose([x, alpha]);
  });

  it.each([2, 3, 5])('AddN adds %d tensors in order', (count) => {
    for (const dtype of ['float32', 'int32'] as const) {
      const inputs = Array.from({ length: count }, (_, i) => tensorOf([13, 7], dtype, i));
      expectSameAsTfjs('AddN', inputs);
      tf.dispose(inputs);
    }
  });

  it('complex numbers and bool sums take the fallback', () => {
    const z = tf.complex([1, 2], [3, 4]);
    expect([...tf.add(z, z).dataSync()]).toEqual([2, 6, 4, 8]);
    expect(tf.add(tf.tensor1d([1, 0], 'bool'), tf.tensor1d([1, 0], 'bool')).dtype).toBe('bool');
  });

  it('shapes that do not fit are refused with the error of tfjs', () => {
    expect(() => tf.add(tf.ones([2, 3]), tf.ones([2, 4]))).toThrow(
      /could not be broadcast together with shapes 2,3 and 2,4/,
    );
  });
});

describe('the number of threads', () => {
  it('does not change a bit of any result', async () => {
    const device = (await availableDevices()).at(-1)!;
    await expectSameBitsForAllThreads(device.options, () => {
      const a = tf.tensor(floatsBetween(-4, 4, 300_000, 1), [1000, 300]);
      const row = tf.tensor(floatsBetween(-4, 4, 300, 2), [300]);
      const column = tf.tensor(floatsBetween(0, 4, 1000, 3), [1000, 1]);
      const results = [
        tf.add(a, row),
        tf.mul(a, column),
        tf.exp(a),
        tf.pow(tf.sub(a, row), column),
        tf.cast(tf.greater(a, row), 'int32'),
      ];
      return results.map((y) => y.dataSync());
    });
    await dispose();
  });
});
