import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { directionalDerivative, dot, logSoftmax, noise, softmax, toRows } from '../../reference/rows.ts';
import { expectSameAsTfjs, expectValues } from './same-as-tfjs.ts';

/** Lengths around the sizes of vectors, unrolled loops and blocks. */
const length = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(127, 128, 129, 300, 1000, 5000));
const seed = fc.nat(1000);

const functions = [
  { name: 'softmax', reference: softmax, run: runSoftmax },
  { name: 'log-softmax', reference: logSoftmax, run: runLogSoftmax },
] as const;

function runSoftmax<T extends tf.Tensor>(x: T): T {
  return tf.softmax(x);
}
function runLogSoftmax<T extends tf.Tensor>(x: T): T {
  return tf.engine().runKernel('LogSoftmax', { logits: x }, { axis: -1 }) as T;
}

describe.each(await availableDevices())('softmax on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  describe.each(functions)('$name', ({ reference, run }) => {
    it('agrees with the float64 reference for rows of any length', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 40 }), length, seed, (rows, n, start) => {
          const values = noise(rows * n, start).map((v) => v * 20);
          tf.tidy(() => {
            const y = run(tf.tensor2d(values, [rows, n])).dataSync();
            expectValues(y, toRows(values, n).flatMap(reference), 2e-6);
          });
        }),
        { numRuns: 40 },
      );
    });

    it('has the gradient of the float64 reference', () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 6 }), length, seed, (rows, n, start) => {
          const values = noise(rows * n, start).map((v) => v * 3);
          const dy = noise(rows * n, start + 1);
          const direction = noise(rows * n, start + 2);
          const loss = (x: number[]): number => dot(toRows(x, n).flatMap(reference), dy);
          tf.tidy(() => {
            const dx = tf
              .grad(run)(tf.tensor2d(values, [rows, n]), tf.tensor2d(dy, [rows, n]))
              .dataSync();
            const expected = directionalDerivative(loss, values, direction);
            const scale = Math.sqrt(dot(dx, dx) * dot(direction, direction));
            expect(Math.abs(dot(dx, direction) - expected)).toBeLessThan(1e-6 * (1 + scale));
          });
        }),
        { numRuns: 30 },
      );
    });

    it('stays exact for huge and tiny values', () => {
      tf.tidy(() => {
        const y = run(tf.tensor2d([1e30, -1e30, 1e30, 88, 89, 500, -3e38, -200, -200], [3, 3])).dataSync();
        const expected = [
          [1e30, -1e30, 1e30],
          [88, 89, 500],
          [-3e38, -200, -200],
        ].flatMap((row) => reference(row));
        expectValues(y, expected.map(Math.fround), 2e-6);
      });
    });

    it('gives 0 or -Inf where the logit is -Inf', () => {
      tf.tidy(() => {
        const y = run(tf.tensor1d([0, -Infinity, 0])).dataSync();
        expectValues(y, reference([0, -Infinity, 0]), 1e-6);
      });
    });

    it.each([
      { what: 'NaN', row: [1, Number.NaN, 2] },
      { what: '+Inf', row: [1, Infinity, 2] },
      { what: 'nothing but -Inf', row: [-Infinity, -Infinity, -Infinity] },
    ])('makes a row with $what NaN and leaves the other rows alone', ({ row }) => {
      tf.tidy(() => {
        const y = run(tf.tensor2d([...row, 1, 2, 3], [2, 3])).dataSync();
        expect(Array.from(y.subarray(0, 3))).toEqual([Number.NaN, Number.NaN, Number.NaN]);
        expectValues(y.subarray(3), reference([1, 2, 3]), 1e-6);
      });
    });

    it('gives the same bits with 1, 2 and 4 threads', async () => {
      await expectSameBitsForAllThreads(options, () => {
        const x = tf.tensor2d(noise(4000 * 33, 7), [4000, 33]);
        const dy = tf.tensor2d(noise(4000 * 33, 8), [4000, 33]);
        return [run(x), tf.grad(run)(x, dy)].map((t) => t.dataSync());
      });
      await init(options);
    });
  });

  it('takes every shape that tfjs takes', () => {
    for (const shape of [[1], [7], [2, 3], [2, 3, 5], [1, 2, 3, 4], [0, 3], [3, 0]]) {
      const logits = tf.tensor(noise(tf.util.sizeFromShape(shape), 3), shape);
      expectSameAsTfjs('Softmax', { logits }, { dim: shape.length - 1 }, 1e-6);
      logits.dispose();
    }
  });
});
