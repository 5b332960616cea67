/** vqAssign, vqQuantize and vqQuantizeSum: the nearest codes, and what goes with them. */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, segmentSum, vqAssign, vqQuantize, vqQuantizeSum } from '../../src/index.ts';
import { availableDevices, composedBackends } from '../devices.ts';
import { expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import { toRows } from '../reference/rows.ts';
import { nearestCode, squaredDistance } from '../reference/vector-quantization.ts';
import { expectWithin, noise, noiseInput } from './against-reference.ts';

const sizes = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 33, 64));

/** No code is nearer than the one found; of two at almost the same distance, rounding may choose either. */
function expectNearest(found: ArrayLike<number>, vectors: readonly number[][], codebook: readonly number[][]): void {
  vectors.forEach((vector, n) => {
    const least = squaredDistance(vector, codebook[nearestCode(vector, codebook)]!);
    expect(squaredDistance(vector, codebook[found[n]!]!)).toBeLessThan(least + 1e-5 * (1 + least));
  });
}

describe.each(await availableDevices())('vector quantisation on $name', ({ options }) => {
  beforeAll(() => init(options));
  afterEach(async () => {
    await tf.setBackend('fwp');
  });
  afterAll(dispose);

  describe('vqAssign', () => {
    const cases = fc.tuple(
      fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(64, 65, 150)),
      fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(31, 64, 769, 800)),
      fc.oneof(sizes, fc.constantFrom(300)),
      fc.nat(1000),
    );

    it.each(['fwp', ...composedBackends])('finds the nearest codes (%s)', async (backend) => {
      await tf.setBackend(backend);
      fc.assert(
        fc.property(cases, ([count, codes, size, seed]) => {
          const [vectors, codebook] = [noise(count * size, seed), noise(codes * size, seed + 1)];
          const found = tf.tidy(() =>
            vqAssign(tf.tensor2d(vectors, [count, size]), tf.tensor2d(codebook, [codes, size])).dataSync(),
          );
          expectNearest(found, toRows(vectors, size), toRows(codebook, size));
        }),
        { numRuns: 30 },
      );
    });

    it('takes the first of equal codes, wherever they are', () => {
      for (const codes of [3, 40, 900]) {
        for (const first of [0, 1, 17, 33, 850].filter((k) => k < codes - 1)) {
          const found = tf.tidy(() => {
            const far = tf.fill([codes, 2], 9).arraySync() as number[][];
            far[first] = [1, 1];
            far[codes - 1] = [1, 1];
            return vqAssign(tf.ones([3, 2]), tf.tensor2d(far)).dataSync();
          });
          expect([...found]).toEqual([first, first, first]);
        }
      }
    });

    it('keeps the shape, gives 0 for NaN, and passes no gradient', () => {
      tf.tidy(() => {
        const codebook = tf.tensor2d([
          [5, 5],
          [0, 0],
        ]);
        const z = tf.tensor3d([
          [
            [0, 1],
            [Number.NaN, 0],
          ],
          [
            [9, 9],
            [0, 0],
          ],
        ]);
        expect(vqAssign(z, codebook).arraySync()).toEqual([
          [1, 0],
          [0, 1],
        ]);
        const loss = (x: tf.Tensor) => tf.sum(tf.add(x, tf.expandDims(tf.cast(vqAssign(x, codebook), 'float32'), 2)));
        expect(tf.grad(loss)(z).arraySync()).toEqual(tf.onesLike(z).arraySync());
      });
    });

    it('gives the same indices with 1, 2 and 4 threads', async () => {
      await expectSameBitsForAllThreads(options, () => {
        const [z, w] = [tf.tensor2d(noise(5000 * 20, 1), [5000, 20]), tf.tensor2d(noise(100 * 20, 2), [100, 20])];
        return [vqAssign(z, w).dataSync()];
      });
      await init(options);
    });

    it('says what is wrong with its arguments', () => {
      tf.tidy(() => {
        const w = tf.zeros([4, 3]) as tf.Tensor2D;
        expect(() => vqAssign(tf.zeros([2, 2]), w)).toThrow(/vqAssign: vectors must have shape \[..., size = 3\]/);
        expect(() => vqAssign(tf.zeros([2, 3]), tf.zeros([0, 3]))).toThrow(/needs at least one code/);
        expect(() => vqAssign(tf.zeros([2, 3], 'int32'), w)).toThrow(/must be float32/);
      });
    });
  });

  describe('vqQuantize', () => {
    it.each(['fwp', ...composedBackends])(
      'gives the nearest codes, the error, and gradients that go straight through (%s)',
      async (backend) => {
        await tf.setBackend(backend);
        const cases = fc.tuple(fc.constantFrom(1, 3, 64, 150), fc.constantFrom(1, 5, 33, 64), sizes, fc.nat(99));
        fc.assert(
          fc.property(cases, ([count, codes, size, seed]) => {
            const codebook = noise(codes * size, seed + 1);
            const vectors = noiseInput([count, size], seed);
            const rows = toRows(codebook, size);
            // A loss that the error's definition differentiates, and one through the output as if it were the vectors.
            const factor = noise(count * size, seed + 2);
            tf.tidy(() => {
              const w = tf.tensor2d(codebook, [codes, size]);
              const z = tf.tensor2d(vectors.values, [count, size]);
              const { output, indices, error } = vqQuantize(z, w);
              expect([...indices.dataSync()]).toEqual([...vqAssign(z, w).dataSync()]);
              expectNearest(indices.dataSync(), toRows(vectors.values, size), rows);
              const chosen = Array.from(indices.dataSync(), (k) => rows[k]!);
              const mean =
                chosen.reduce((sum, q, n) => sum + squaredDistance(q, toRows(vectors.values, size)[n]!), 0) / z.size;
              expectWithin(error.dataSync(), [mean], 3e-6, 'error');
              expectWithin(output.dataSync(), chosen.flat(), 1e-6, 'output');
              const gradient = tf.grad((x: tf.Tensor) => {
                const result = vqQuantize(x as tf.Tensor2D, w);
                return tf.add(
                  tf.mul(0.7, result.error),
                  tf.sum(tf.mul(result.output, tf.tensor2d(factor, [count, size]))),
                );
              })(z);
              const expected = chosen.flat().map((q, i) => factor[i]! + (1.4 / z.size) * (vectors.values[i]! - q));
              expectWithin(gradient.dataSync(), expected, 2e-6, 'gradient');
            });
          }),
          // The example has a vector halfway between two codes, of which rounding decides.
          { numRuns: 20, examples: [[[150, 64, 1, 15]]] },
        );
      },
    );

    it('keeps the shape, can be differentiated twice, and has no gradient for the codes', () => {
      tf.tidy(() => {
        const w = tf.tensor2d([
          [0, 0],
          [3, 3],
        ]);
        const z = tf.tensor3d([[[0.5, 1]], [[2, 4]]]);
        const { output, indices } = vqQuantize(z, w);
        expect([output.arraySync(), indices.arraySync()]).toEqual([
          [[[0, 0]], [[3, 3]]],
          [[0], [1]],
        ]);
        const inner = tf.grad((x: tf.Tensor) => tf.mul(4, vqQuantize(x, w).error));
        const outer = tf.grad((x: tf.Tensor) => tf.sum(inner(x)))(z);
        // 4 · 2 / 4 (z − q), differentiated.
        expectWithin(outer.dataSync(), [2, 2, 2, 2], 1e-5, 'second derivative');
        const loss = (codes: tf.Tensor) => tf.add(tf.sum(codes), vqQuantize(z, codes as tf.Tensor2D).error);
        expect(tf.grad(loss)(w).arraySync()).toEqual([
          [1, 1],
          [1, 1],
        ]);
      });
    });

    it('has the same bits with 1, 2 and 4 threads, and leaves nothing behind', async () => {
      const run = () => {
        const [z, w] = [tf.tensor2d(noise(5000 * 20, 1), [5000, 20]), tf.tensor2d(noise(300 * 20, 2), [300, 20])];
        const { output, error } = vqQuantize(z, w);
        const gradient = tf.grad((x: tf.Tensor) => vqQuantize(x as tf.Tensor2D, w).error)(z);
        return [output, error, gradient].map((tensor) => tensor.dataSync());
      };
      await expectSameBitsForAllThreads(options, run);
      await init(options);
      expectNothingLeft(() => tf.tidy(() => void run()));
    });

    it('says what is wrong with its arguments', () => {
      tf.tidy(() => {
        const w = tf.zeros([4, 3]) as tf.Tensor2D;
        expect(() => vqQuantize(tf.zeros([2, 2]), w)).toThrow(/vqQuantize: vectors must have shape \[..., size = 3\]/);
        expect(() => vqQuantize(tf.zeros([0, 3]), w)).toThrow(/at least one vector/);
        expect(() => vqQuantize(tf.zeros([2, 3]), tf.zeros([0, 3]))).toThrow(/needs at least one code/);
      });
    });
  });

  describe('vqQuantizeSum', () => {
    it.each(['fwp', ...composedBackends])('is vqQuantize and segmentSum in one (%s)', async (backend) => {
      await tf.setBackend(backend);
      const cases = fc.tuple(fc.constantFrom(1, 64, 200, 1100), fc.constantFrom(1, 5, 33), sizes, fc.nat(99));
      fc.assert(
        fc.property(cases, ([count, codes, size, seed]) => {
          tf.tidy(() => {
            const w = tf.tensor2d(noise(codes * size, seed + 1), [codes, size]);
            const z = tf.tensor2d(noise(count * size, seed), [count, size]);
            const both = vqQuantizeSum(z, w);
            const { output, indices } = vqQuantize(z, w);
            const { sums, counts } = segmentSum(z, indices as tf.Tensor1D, codes);
            for (const [name, expected] of Object.entries({ output, indices, sums, counts })) {
              expect([...both[name as 'sums'].dataSync()], name).toEqual([...expected.dataSync()]);
            }
            const gradients = [vqQuantize, vqQuantizeSum].map((quantize) =>
              tf.grad((x: tf.Tensor) => {
                const result = quantize(x as tf.Tensor2D, w);
                return tf.add(tf.mul(0.7, result.error), tf.sum(tf.square(result.output)));
              })(z),
            );
            expectWithin(gradients[1]!.dataSync(), gradients[0]!.dataSync(), 1e-6, 'gradient');
          });
        }),
        { numRuns: backend === 'cpu' ? 5 : 20 },
      );
    });

    it('has constant sums, and can be differentiated twice', () => {
      tf.tidy(() => {
        const w = tf.tensor2d([
          [0, 0],
          [3, 3],
        ]);
        const z = tf.tensor3d([[[0.5, 1]], [[2, 4]]]);
        const inner = tf.grad((x: tf.Tensor) => {
          const { error, sums, counts } = vqQuantizeSum(x, w);
          return tf.addN([tf.mul(4, error), tf.sum(sums), tf.sum(counts)]);
        });
        expectWithin(inner(z).dataSync(), [1, 2, -2, 2], 1e-6, 'gradient of the error alone');
        const outer = tf.grad((x: tf.Tensor) => tf.sum(inner(x)))(z);
        expectWithin(outer.dataSync(), [2, 2, 2, 2], 1e-5, 'second derivative');
      });
    });

    it('has the same bits with 1, 2 and 4 threads, and leaves nothing behind', async () => {
      const run = () => {
        const [z, w] = [tf.tensor2d(noise(5000 * 20, 1), [5000, 20]), tf.tensor2d(noise(300 * 20, 2), [300, 20])];
        const { error, sums, counts } = vqQuantizeSum(z, w);
        return [error, sums, counts].map((tensor) => tensor.dataSync());
      };
      await expectSameBitsForAllThreads(options, run);
      await init(options);
      expectNothingLeft(() => tf.tidy(() => void run()));
    });

    it('says what is wrong with its arguments', () => {
      const w = tf.zeros([4, 3]) as tf.Tensor2D;
      const z = tf.zeros([2, 2]);
      expect(() => vqQuantizeSum(z, w)).toThrow(/vqQuantizeSum: vectors must have shape \[..., size = 3\]/);
      tf.dispose([w, z]);
    });
  });
});
