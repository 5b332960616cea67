import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dispose, embedding, init } from '../../src/index.ts';
import { expectValues } from '../backend/kernels/same-as-tfjs.ts';
import { availableDevices, checkingBackends, composedBackends } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { embeddingGradient, noise, toRows } from '../reference/rows.ts';

const cases = fc
  .record({
    rows: fc.integer({ min: 1, max: 20 }),
    features: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(64, 128, 200)),
    count: fc.integer({ min: 1, max: 60 }),
    seed: fc.nat(1000),
  })
  .map(({ rows, features, count, seed }) => ({
    rows,
    features,
    table: noise(rows * features, seed),
    ids: Array.from(noise(count, seed + 1), (v) => Math.floor(((v + 1) / 2) * rows)),
    dy: noise(count * features, seed + 2),
  }));

describe.each(await availableDevices())('embedding on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterEach(async () => {
    await tf.setBackend('fwp');
  });
  afterAll(dispose);

  it('takes the rows that the ids name', () => {
    fc.assert(
      fc.property(cases, ({ rows, features, table, ids }) => {
        tf.tidy(() => {
          const y = embedding(tf.tensor2d(table, [rows, features]), tf.tensor1d(ids, 'int32'));
          const list = toRows(table, features);
          expect(y.shape).toEqual([ids.length, features]);
          expect(Array.from(y.dataSync())).toEqual(ids.flatMap((id) => list[id]!));
        });
      }),
    );
  });

  it('adds up the gradients of rows that are used more than once', () => {
    fc.assert(
      fc.property(cases, ({ rows, features, table, ids, dy }) => {
        tf.tidy(() => {
          const indices = tf.tensor1d(ids, 'int32');
          const f = (weights: tf.Tensor): tf.Tensor => embedding(weights as tf.Tensor2D, indices);
          const dtable = tf.grad(f)(tf.tensor2d(table, [rows, features]), tf.tensor2d(dy, [ids.length, features]));
          expectValues(dtable.dataSync(), embeddingGradient(toRows(dy, features), ids, rows).flat(), 2e-6);
        });
      }),
    );
  });

  it('keeps the shape of the ids', () => {
    tf.tidy(() => {
      const table = tf.tensor2d(noise(12, 1), [4, 3]);
      expect(embedding(table, tf.tensor1d([], 'int32')).shape).toEqual([0, 3]);
      expect(embedding(table, tf.tensor2d([[0, 1, 2]], undefined, 'int32')).shape).toEqual([1, 3, 3]);
      expect(embedding(table, tf.scalar(2, 'int32')).shape).toEqual([3]);
    });
  });

  it.each(composedBackends)('equals the composition of tfjs operations on %s, gradient included', async (backend) => {
    const all = (): number[] =>
      tf.tidy(() => {
        const ids = tf.tensor2d([3, 0, 3, 1], [2, 2], 'int32');
        const f = (table: tf.Tensor): tf.Tensor => tf.square(embedding(table as tf.Tensor2D, ids));
        const { value, grad } = tf.valueAndGrad(f)(tf.tensor2d(noise(20, 3), [4, 5]));
        return [value, grad].flatMap((t) => Array.from(t.dataSync()));
      });
    const fused = all();
    await tf.setBackend(backend);
    expectValues(fused, all(), 1e-6);
  });

  it('can be differentiated twice', () => {
    tf.tidy(() => {
      const ids = tf.tensor1d([1, 1], 'int32');
      const table = tf.tensor2d([1, 2, 3, 4], [2, 2]);
      const inner = tf.grad((t: tf.Tensor) => tf.sum(tf.pow(embedding(t as tf.Tensor2D, ids), 3)));
      const outer = tf.grad((t: tf.Tensor) => tf.sum(inner(t)))(table);
      // Two lookups of row 1: the second derivative of 2 x³ is 12 x.
      expectValues(outer.dataSync(), [0, 0, 36, 48], 1e-5);
    });
  });

  it('gives the same bits with 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const ids = tf.tensor1d(
        Int32Array.from({ length: 2000 }, (_, i) => (i * i) % 13),
        'int32',
      );
      const f = (table: tf.Tensor): tf.Tensor => embedding(table as tf.Tensor2D, ids);
      const { value, grad } = tf.valueAndGrad(f)(
        tf.tensor2d(noise(13 * 200, 1), [13, 200]),
        tf.tensor2d(noise(2000 * 200, 2), [2000, 200]),
      );
      return [value, grad].map((t) => t.dataSync());
    });
    await init(options);
  });

  it('names the first id that is out of range, on every backend that can, and leaves nothing behind', async () => {
    for (const backend of checkingBackends) {
      await tf.setBackend(backend);
      const table = tf.tensor2d(noise(12, 1), [4, 3]);
      const ids = tf.tensor2d([0, 1, 2, 3, 4, -1], [2, 3], 'int32');
      const before = tf.memory().numTensors;
      expect(() => embedding(table, ids)).toThrow(/embedding: ids\[1, 1\] is 4, but must be in \[0, 4\)/);
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([table, ids]);
    }
  });

  it('says what is wrong with its arguments', () => {
    tf.tidy(() => {
      expect(() => embedding(tf.zeros([4]) as never, tf.scalar(0, 'int32'))).toThrow(/table must have shape \[rows/);
      expect(() => embedding(tf.zeros([4, 2]), tf.scalar(0))).toThrow(/ids must be int32, but is float32/);
    });
  });
});
