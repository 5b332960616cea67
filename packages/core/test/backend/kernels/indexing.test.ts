import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';

const extent = fc.integer({ min: 1, max: 6 });
const anyDtype = fc.constantFrom('float32', 'int32', 'bool');
const numberDtype = fc.constantFrom('float32', 'int32');

/** Whole numbers, so that sums are exact; for bool a pattern. */
function filledTensor(shape: number[], dtype: string, seed = 0): tf.Tensor {
  const size = tf.util.sizeFromShape(shape);
  const modulus = dtype === 'bool' ? 2 : 97;
  const values = Int32Array.from({ length: size }, (_, i) => ((i + seed) * (i + 31)) % modulus);
  return tf.tensor(values, shape, dtype as tf.DataType);
}

/** Index tensor from fractions in [0, 1). */
function indicesBelow(limit: number, fractions: number[], shape = [fractions.length]): tf.Tensor {
  return tf.tensor(
    fractions.map((fraction) => Math.floor(fraction * limit)),
    shape,
    'int32',
  );
}

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const fractions = (most: number): fc.Arbitrary<number[]> => fc.array(fraction, { minLength: 1, maxLength: most });

describe.each(await availableDevices())('indexing on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('gathers along any axis as tfjs does', () => {
    fc.assert(
      fc.property(
        fc.array(extent, { minLength: 1, maxLength: 4 }),
        anyDtype,
        fc.nat(3),
        fractions(12),
        (shape, dtype, anyAxis, picks) => {
          const axis = anyAxis % shape.length;
          const x = filledTensor(shape, dtype);
          const indices = indicesBelow(shape[axis]!, picks);
          expectSameAsTfjs('GatherV2', { x, indices }, { axis, batchDims: 0 });
          tf.dispose([x, indices]);
        },
      ),
    );
  });

  it('gathers per batch as tfjs does', () => {
    fc.assert(
      fc.property(extent, extent, extent, extent, fractions(5), (batch, outer, dim, slice, picks) => {
        const x = filledTensor([batch, outer, dim, slice], 'float32');
        const perBatch = Array.from({ length: batch }, (_, b) => picks.map((pick) => (pick + b / 7) % 1)).flat();
        const indices = indicesBelow(dim, perBatch, [batch, picks.length]);
        expectSameAsTfjs('GatherV2', { x, indices }, { axis: 2, batchDims: 1 });
        tf.dispose([x, indices]);
      }),
    );
  });

  it.each([-1, 4])('rejects the gather index %i with the message of tfjs and frees what it took', (bad) => {
    tf.tidy(() => {
      const x = filledTensor([4, 3], 'float32');
      const before = tf.memory().numBytes;
      const live = tf.engine().backend.memory() as unknown as { numBytesLive: number };
      const indices = tf.tensor1d([0, 3, bad, 9], 'int32');
      expect(() => tf.gather(x, indices)).toThrow(`GatherV2: the index value ${bad} is not in [0, 3]`);
      indices.dispose();
      expect(tf.memory().numBytes).toBe(before);
      expect(tf.engine().backend.memory()).toMatchObject({ numBytesLive: live.numBytesLive });
    });
  });

  it('gathers more rows than one chunk holds', () => {
    const x = filledTensor([50, 40], 'float32');
    const indices = tf.tensor1d(
      Int32Array.from({ length: 5000 }, (_, i) => (i * 7) % 50),
      'int32',
    );
    expectSameAsTfjs('GatherV2', { x, indices }, { axis: 0, batchDims: 0 });
    tf.dispose([x, indices]);
  });

  /** A shape, and index tuples for its first axes. */
  const tuples = fc
    .record({
      shape: fc.array(extent, { minLength: 1, maxLength: 4 }),
      rank: fc.integer({ min: 1, max: 4 }),
      picks: fc.array(fc.tuple(fraction, fraction, fraction, fraction), { minLength: 1, maxLength: 8 }),
      dtype: numberDtype,
    })
    .map(({ shape, rank, picks, dtype }) => {
      const length = Math.min(rank, shape.length);
      const list = picks.map((pick) => shape.slice(0, length).map((size, d) => Math.floor(pick[d]! * size)));
      return { shape, list, rest: shape.slice(length), dtype };
    });

  it('gathers by index tuples as tfjs does', () => {
    fc.assert(
      fc.property(tuples, ({ shape, list, dtype }) => {
        const params = filledTensor(shape, dtype);
        const indices = tf.tensor2d(list, undefined, 'int32');
        expectSameAsTfjs('GatherNd', { params, indices });
        tf.dispose([params, indices]);
      }),
    );
  });

  it('scatters by index tuples as tfjs does: sums for scatterND, the last one for tensorScatterUpdate', () => {
    fc.assert(
      fc.property(tuples, ({ shape, list, rest, dtype }) => {
        const tensor = filledTensor(shape, dtype, 5);
        const indices = tf.tensor2d(list, undefined, 'int32');
        const updates = filledTensor([list.length, ...rest], dtype, 11);
        expectSameAsTfjs('ScatterNd', { indices, updates }, { shape });
        expectSameAsTfjs('TensorScatterUpdate', { tensor, indices, updates });
        tf.dispose([tensor, indices, updates]);
      }),
    );
  });

  it('does not write into the tensor that tensorScatterUpdate is given', () => {
    tf.tidy(() => {
      const tensor = tf.zeros([3]);
      const y = tf.tensorScatterUpdate(tensor, [[1]], [5]);
      expect(Array.from(y.dataSync())).toEqual([0, 5, 0]);
      expect(Array.from(tensor.dataSync())).toEqual([0, 0, 0]);
    });
  });

  it('makes dense tensors from sparse ones as tfjs does', () => {
    tf.tidy(() => {
      const sparseIndices = tf.tensor2d(
        [
          [0, 1],
          [2, 0],
          [0, 1],
        ],
        undefined,
        'int32',
      );
      const defaultValue = tf.scalar(7);
      const attrs = { outputShape: [3, 2] };
      for (const sparseValues of [tf.tensor1d([1, 2, 3]), tf.scalar(9)]) {
        expectSameAsTfjs('SparseToDense', { sparseIndices, sparseValues, defaultValue }, attrs);
      }
      const bools = { sparseValues: tf.tensor1d([1, 0, 1], 'bool'), defaultValue: tf.scalar(1, 'bool') };
      expectSameAsTfjs('SparseToDense', { sparseIndices, ...bools }, attrs);
    });
  });

  it('names a tuple that is out of range as tfjs does', () => {
    tf.tidy(() => {
      const x = tf.zeros([2, 3]);
      const indices = tf.tensor2d(
        [
          [0, 0],
          [1, 3],
        ],
        undefined,
        'int32',
      );
      expect(() => tf.gatherND(x, indices)).toThrow('Invalid indices: 1,3 does not index into 2,3');
      expect(() => tf.scatterND(indices, tf.ones([2]), [2, 3])).toThrow('Invalid indices: 1,3 does not index into 2,3');
    });
  });

  it('sums segments as tfjs does, leaving out ids that are out of range', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -2, max: 5 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 4 }),
        (ids, slice, numSegments) => {
          const x = filledTensor([ids.length, slice], 'float32');
          const segmentIds = tf.tensor1d(ids, 'int32');
          expectSameAsTfjs('UnsortedSegmentSum', { x, segmentIds }, { numSegments });
          tf.dispose([x, segmentIds]);
        },
      ),
    );
  });

  it('sums segments of integers as integers', () => {
    tf.tidy(() => {
      const y = tf.unsortedSegmentSum(tf.tensor1d([16777217, 2, 1], 'int32'), tf.tensor1d([1, 0, 1], 'int32'), 3);
      expect(y.dtype).toBe('int32');
      expect(Array.from(y.dataSync())).toEqual([2, 16777218, 0]);
    });
  });

  it('does not let NaN in rows that are left out reach the sums', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([
        [1, 2],
        [Number.NaN, Number.NaN],
        [3, 4],
      ]);
      const y = tf.unsortedSegmentSum(x, tf.tensor1d([0, -1, 0], 'int32'), 2);
      expect(Array.from(y.dataSync())).toEqual([4, 6, 0, 0]);
    });
  });

  it('encodes indices one-hot as tfjs does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1, max: 6 }), { minLength: 0, maxLength: 20 }),
        fc.integer({ min: 2, max: 6 }),
        fc.constantFrom(['float32', 2.5, -1], ['int32', 3, 1], ['int32', 1, 0], ['bool', 1, 0]),
        (list, depth, [dtype, onValue, offValue]) => {
          const indices = tf.tensor1d(list, 'int32');
          expectSameAsTfjs('OneHot', { indices }, { depth, onValue, offValue, dtype });
          indices.dispose();
        },
      ),
    );
  });

  it('finds the k largest as tfjs does, the lower index first among equals', () => {
    fc.assert(
      fc.property(
        extent,
        fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(3e38, -3e38, -0, 0, 1e30)), {
          minLength: 1,
          maxLength: 70,
        }),
        fraction,
        numberDtype,
        (rows, values, share, dtype) => {
          const row = dtype === 'int32' ? values.map((v) => Math.max(-9, Math.min(9, v))) : values;
          const x = tf.tensor2d(Array.from({ length: rows }, () => row).flat(), [rows, row.length], dtype as 'int32');
          expectSameAsTfjs('TopK', { x }, { k: Math.floor(share * (row.length + 1)), sorted: true });
          x.dispose();
        },
      ),
    );
  });

  // tfjs compares by subtracting, which doesn't order equal infinities.
  it('takes the lower index first among equal infinities', () => {
    tf.tidy(() => {
      const { indices } = tf.topk(tf.tensor1d([-Infinity, Infinity, 1, Infinity, -Infinity, Infinity]), 6);
      expect(Array.from(indices.dataSync())).toEqual([1, 3, 5, 2, 0, 4]);
    });
  });

  it('puts NaN before everything else in top-k', () => {
    tf.tidy(() => {
      const { values, indices } = tf.topk(tf.tensor1d([1, Number.NaN, Infinity, -Number.NaN, 2]), 3);
      expect(Array.from(indices.dataSync())).toEqual([1, 3, 2]);
      expect(Array.from(values.dataSync())).toEqual([Number.NaN, Number.NaN, Infinity]);
    });
  });

  it('gives the same bits with 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const x = tf.reshape(tf.sin(tf.range(0, 3000 * 200)), [3000, 200]);
      const ids = tf.tensor1d(
        Int32Array.from({ length: 3000 }, (_, i) => (i * i) % 11),
        'int32',
      );
      const { values, indices } = tf.topk(x, 5);
      const parts = [tf.gather(x, ids), tf.unsortedSegmentSum(x, ids, 11), tf.oneHot(ids, 50), values, indices];
      return parts.map((y) => y.dataSync());
    });
    await init(options);
  });
});
