import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../../src/backend/backend.ts';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';

const dtypes = ['float32', 'int32', 'bool'] as const;
type HeapDtype = (typeof dtypes)[number];

/** 0, 1, 2, … as a tensor; for bool a pattern without a short period. */
function counting(shape: number[], dtype: HeapDtype, first = 0): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  const value = (i: number): number => (dtype === 'bool' ? Number((i * i + first) % 7 < 3) : i + first);
  return tf.tensor(
    Int32Array.from({ length: size }, (_, i) => value(i)),
    shape,
    dtype,
  );
}

const anyShape = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 4 });
const anyDtype = fc.constantFrom(...dtypes);

describe.each(await availableDevices())('data movement on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  /** A property over random shapes and dtypes, on a counting tensor that is disposed afterwards. */
  function forAnyTensor<T>(
    argument: (shape: number[]) => fc.Arbitrary<T>,
    check: (x: tf.Tensor, argument: T) => void,
    shapes = anyShape,
  ): void {
    const cases = fc
      .tuple(shapes, anyDtype)
      .chain(([shape, dtype]) => argument(shape).map((value) => ({ shape, dtype, value })));
    fc.assert(
      fc.property(cases, ({ shape, dtype, value }) => {
        const x = counting(shape, dtype);
        check(x, value);
        x.dispose();
      }),
      { numRuns: 60 },
    );
  }

  it('transposes any shape by any permutation as tfjs does', () => {
    forAnyTensor(
      (shape) => fc.shuffledSubarray([...shape.keys()], { minLength: shape.length }),
      (x, perm) => expectSameAsTfjs('Transpose', { x }, { perm }),
    );
  });

  it.each([
    { shape: [64, 64], perm: [1, 0] },
    { shape: [67, 131], perm: [1, 0] },
    { shape: [1024, 256], perm: [1, 0] },
    { shape: [3, 1000], perm: [1, 0] },
    { shape: [1000, 3], perm: [1, 0] },
    { shape: [2, 65, 5, 70], perm: [0, 2, 3, 1] },
    { shape: [2, 30, 4, 32], perm: [0, 2, 1, 3] },
    { shape: [2, 3, 4, 5, 6, 2], perm: [5, 3, 1, 4, 2, 0] },
  ])('transposes $shape by $perm through tiles and rows', ({ shape, perm }) => {
    for (const dtype of dtypes) {
      const x = counting(shape, dtype);
      expectSameAsTfjs('Transpose', { x }, { perm });
      x.dispose();
    }
  });

  it('transposes matrices whose rows lie a multiple of 1 KiB apart', () => {
    for (const rows of [4, 7, 8, 9, 15, 16, 17, 65]) {
      for (const columns of [256, 512, 1024]) {
        const x = counting([2, rows, columns], 'float32');
        expectSameAsTfjs('Transpose', { x }, { perm: [0, 2, 1] });
        x.dispose();
      }
    }
  });

  it('copies nothing for a transpose that only moves axes of size 1', () => {
    const backend = tf.backend() as FwpBackend;
    const x = counting([2, 1, 3, 1], 'float32');
    const y = tf.transpose(x, [1, 0, 3, 2]);
    expect(y.shape).toEqual([1, 2, 1, 3]);
    expect(backend.offsetOf(y)).toBe(backend.offsetOf(x));
    x.dispose();
    expect(Array.from(y.dataSync())).toEqual([0, 1, 2, 3, 4, 5]);
    y.dispose();
  });

  it('slices any block as tfjs does', () => {
    forAnyTensor(
      (shape) =>
        fc.tuple(
          ...shape.map((extent) =>
            fc
              .integer({ min: 0, max: extent })
              .chain((begin) => fc.integer({ min: 0, max: extent - begin }).map((size) => ({ begin, size }))),
          ),
        ),
      (x, ranges) =>
        expectSameAsTfjs('Slice', { x }, { begin: ranges.map((r) => r.begin), size: ranges.map((r) => r.size) }),
    );
  });

  it('slices with strides of either sign as tfjs does', () => {
    forAnyTensor(
      (shape) =>
        fc.record({
          ranges: fc.tuple(
            ...shape.map((extent) =>
              fc.record({
                begin: fc.integer({ min: -extent, max: extent - 1 }),
                end: fc.integer({ min: -extent, max: extent }),
                stride: fc.constantFrom(1, 2, 3, -1, -2),
              }),
            ),
          ),
          beginMask: fc.nat(15),
          endMask: fc.nat(15),
          shrinkAxisMask: fc.nat(3),
        }),
      (x, { ranges, beginMask, endMask, shrinkAxisMask }) => {
        // Where a range runs backwards, tfjs throws or takes too much; the result should be empty (see below).
        const backwards = ranges.some(({ begin, end, stride }, d) => {
          const size = x.shape[d]!;
          const from = beginMask & (1 << d) ? 0 : begin < 0 ? begin + size : begin;
          const to = endMask & (1 << d) ? size : end < 0 ? end + size : end;
          return stride === 1 && from > to;
        });
        fc.pre(!backwards);
        // tfjs drops axes rightly only if no other axis has a stride; see the next test.
        const shrink = ranges.every(({ stride }) => stride === 1) ? shrinkAxisMask : 0;
        expectSameAsTfjs(
          'StridedSlice',
          { x },
          {
            begin: ranges.map((r) => r.begin),
            end: ranges.map((r) => r.end),
            strides: ranges.map((r) => r.stride),
            beginMask: beginMask & ~shrink,
            endMask,
            ellipsisMask: 0,
            newAxisMask: 0,
            shrinkAxisMask: shrink,
          },
        );
      },
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
    );
  });

  it('gives an empty tensor for a strided slice whose range is empty', () => {
    const x = counting([5, 2], 'float32');
    for (const [begin, end, stride] of [
      [3, 2, 1],
      [4, 1, 1],
      [2, 2, 1],
      [1, 4, -1],
    ] as const) {
      const y = tf.stridedSlice(x, [begin, 0], [end, 2], [stride, 1]);
      expect(y.shape).toEqual([0, 2]);
      y.dispose();
    }
    x.dispose();
  });

  it('slices with strides while it drops and adds axes', () => {
    const x = counting([3, 4, 5], 'float32');
    const y = tf.stridedSlice(x, [1, 0, 3, 0], [2, 0, 0, 4], [1, 1, -2, 1], 0, 0b1000, 0, 0b0010, 0b0001);
    // x[1, newaxis, 3:0:-2, 0:]: rows 3 and 1 of the second matrix.
    expect(y.shape).toEqual([1, 2, 5]);
    expect(Array.from(y.dataSync())).toEqual([35, 36, 37, 38, 39, 25, 26, 27, 28, 29]);
    tf.dispose([x, y]);
  });

  it('concatenates along any axis as tfjs does, empty parts included', () => {
    forAnyTensor(
      (shape) => fc.tuple(fc.nat(shape.length - 1), fc.array(fc.nat(4), { minLength: 1, maxLength: 4 })),
      (x, [axis, extents]) => {
        const parts = extents.map((extent, i) => counting(x.shape.with(axis, extent), x.dtype as HeapDtype, 100 * i));
        expectSameAsTfjs('Concat', [x, ...parts], { axis });
        tf.dispose(parts);
      },
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    );
  });

  it('splits and concatenates back to the same tensor', () => {
    forAnyTensor(
      (shape) => fc.nat(shape.length - 1),
      (x, axis) => {
        const extent = x.shape[axis]!;
        const sizes = [Math.floor(extent / 3), extent - Math.floor(extent / 3)];
        expectSameAsTfjs('SplitV', { x }, { numOrSizeSplits: sizes, axis });
        const joined = tf.tidy(() => tf.concat(tf.split(x, sizes, axis), axis));
        expect(joined.dataSync()).toEqual(x.dataSync());
        joined.dispose();
      },
    );
  });

  it('stacks and unstacks along any axis as tfjs does', () => {
    forAnyTensor(
      (shape) => fc.tuple(fc.integer({ min: 0, max: shape.length }), fc.integer({ min: 1, max: 4 })),
      (x, [axis, count]) => {
        const parts = Array.from({ length: count }, (_, i) => counting(x.shape, x.dtype as HeapDtype, 10 * i));
        expectSameAsTfjs('Pack', parts, { axis });
        tf.dispose(parts);
        if (axis < x.rank) expectSameAsTfjs('Unpack', { value: x }, { axis });
      },
    );
  });

  it('pads with a constant as tfjs does', () => {
    forAnyTensor(
      (shape) => fc.tuple(fc.tuple(...shape.map(() => fc.tuple(fc.nat(3), fc.nat(3)))), fc.constantFrom(0, 1, -2.5, 7)),
      (x, [paddings, value]) => {
        const constantValue = x.dtype === 'bool' ? Number(value !== 0) : value;
        expectSameAsTfjs('PadV2', { x }, { paddings, constantValue });
      },
    );
  });

  it.each(['reflect', 'symmetric'] as const)('pads by mirroring (%s) as tfjs does', (mode) => {
    forAnyTensor(
      (shape) => {
        const most = (extent: number): number => (mode === 'reflect' ? extent - 1 : extent);
        return fc.tuple(...shape.map((extent) => fc.tuple(fc.nat(most(extent)), fc.nat(most(extent)))));
      },
      (x, paddings) => expectSameAsTfjs('MirrorPad', { x }, { paddings, mode }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    );
  });

  it('tiles as tfjs does', () => {
    forAnyTensor(
      (shape) => fc.tuple(...shape.map(() => fc.integer({ min: 0, max: 3 }))),
      (x, reps) => expectSameAsTfjs('Tile', { x }, { reps }),
    );
  });

  it('reverses any set of axes as tfjs does', () => {
    forAnyTensor(
      (shape) => fc.subarray([...shape.keys()]),
      (x, dims) => expectSameAsTfjs('Reverse', { x }, { dims }),
    );
  });

  it('moves more elements than one chunk holds', () => {
    const x = counting([3, 50_000], 'float32');
    expectSameAsTfjs('Slice', { x }, { begin: [1, 7], size: [2, 49_000] });
    expectSameAsTfjs('Tile', { x }, { reps: [2, 1] });
    expectSameAsTfjs('Reverse', { x }, { dims: [1] });
    expectSameAsTfjs(
      'PadV2',
      { x },
      {
        paddings: [
          [1, 1],
          [3, 5],
        ],
        constantValue: 4,
      },
    );
    x.dispose();
  });

  it('gives the same bits with 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const x = counting([16, 100, 130], 'float32');
      const parts = [tf.transpose(x, [2, 0, 1]), tf.transpose(x, [1, 0, 2]), tf.tile(x, [1, 2, 1]), tf.reverse(x, [1])];
      return parts.map((y) => y.dataSync());
    });
    await init(options);
  });

  it('reports a reshape to another number of elements as tfjs does', () => {
    const x = counting([2, 3], 'float32');
    const reshape = () => tf.engine().runKernel('Reshape', { x }, { shape: [4, -1] });
    expect(reshape).toThrow(/The implicit shape can't be a fractional number/);
    expect(() => tf.engine().runKernel('Reshape', { x }, { shape: [4] })).toThrow(/must match the product of shape 4/);
    x.dispose();
  });

  it('keeps tfjs’s behaviour for strings and complex numbers', () => {
    tf.tidy(() => {
      const words = tf.tensor2d(
        [
          ['a', 'b'],
          ['c', 'd'],
        ],
        undefined,
        'string',
      );
      expect(tf.slice(words, [0, 1], [2, 1]).dataSync()).toEqual(['b', 'd']);
      expect(tf.reshape(words, [4]).dataSync()).toEqual(['a', 'b', 'c', 'd']);
      expect(tf.concat([words, words], 1).dataSync()).toEqual(['a', 'b', 'a', 'b', 'c', 'd', 'c', 'd']);
      const z = tf.complex([1, 2], [3, 4]);
      expect(Array.from(tf.concat([z, z]).dataSync())).toEqual([1, 3, 2, 4, 1, 3, 2, 4]);
    });
  });
});
