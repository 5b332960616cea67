/** What updates of a codebook are made of: segmentSum, gridNeighborSum, codebookAverage, stopGradient and straightThrough. */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  codebookAverage,
  dispose,
  gridNeighborSum,
  init,
  SMOOTHINGS,
  segmentSum,
  stopGradient,
  straightThrough,
  vqAssign,
} from '../../src/index.ts';
import { availableDevices, checkingBackends, composedBackends } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { toRows } from '../reference/rows.ts';
import { averagedCodebook, neighborSums, segmentSums } from '../reference/vector-quantization.ts';
import { expectMatchesReference, expectWithin, noise, noiseInput } from './against-reference.ts';

const gridShapes = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 20 })),
  fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 })),
  fc.constant([2, 3, 1, 3]),
);
const sizes = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 33, 64));

/** Random ids below `limit`. */
function idsOf(count: number, limit: number, seed: number): Int32Array {
  return Int32Array.from(noise(count, seed), (x) => Math.floor(((x + 1) / 2) * limit));
}

describe.each(await availableDevices())('updates of codebooks on $name', ({ options }) => {
  beforeAll(() => init(options));
  afterEach(async () => {
    await tf.setBackend('fwp');
  });
  afterAll(dispose);

  describe('segmentSum', () => {
    it.each(['fwp', ...composedBackends])('agrees with the reference, gradient included (%s)', async (backend) => {
      await tf.setBackend(backend);
      fc.assert(
        fc.property(
          // Up to 16 parts of at least 64 rows have sums of their own.
          fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(64, 65, 200, 1100)),
          fc.integer({ min: 1, max: 9 }),
          sizes,
          fc.nat(99),
          (rows, segments, size, seed) => {
            const ids = idsOf(rows, segments, seed);
            expectMatchesReference({
              inputs: { values: noiseInput([rows, size], seed) },
              operation: ({ values }) => [segmentSum(values as tf.Tensor2D, tf.tensor1d(ids, 'int32'), segments).sums],
              reference: ({ values }) => [segmentSums(values!, ids, segments, size)],
            });
            const counts = tf.tidy(() =>
              segmentSum(tf.zeros([rows, size]), tf.tensor1d(ids, 'int32'), segments).counts.dataSync(),
            );
            expect([...counts]).toEqual(
              Array.from({ length: segments }, (_, s) => ids.filter((id) => id === s).length),
            );
          },
        ),
        { numRuns: 15 },
      );
    });

    it.each(checkingBackends)('names the first bad id and leaves nothing behind (%s)', async (backend) => {
      await tf.setBackend(backend);
      const [values, ids] = [tf.zeros([3, 2]) as tf.Tensor2D, tf.tensor1d([0, 7, -1], 'int32')];
      const before = tf.memory().numTensors;
      expect(() => segmentSum(values, ids, 4)).toThrow(/segmentSum: segmentIds\[1\] is 7, but must be in \[0, 4\)/);
      expect(() => segmentSum(values, ids, 0)).toThrow(/segments must be a whole number of at least 1/);
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([values, ids]);
    });

    it('can be differentiated twice', () => {
      tf.tidy(() => {
        const ids = tf.tensor1d([1, 1, 0], 'int32');
        const inner = tf.grad((x: tf.Tensor) => tf.sum(tf.pow(segmentSum(x as tf.Tensor2D, ids, 2).sums, 3)));
        const outer = tf.grad((x: tf.Tensor) => tf.sum(inner(x)))(tf.tensor2d([[1], [2], [5]]));
        // d/dx Σ 3 (sum)² = 6 · sum · rows of the segment.
        expectWithin(outer.dataSync(), [36, 36, 30], 1e-5, 'second derivative');
      });
    });
  });

  describe('gridNeighborSum', () => {
    it.each(['fwp', ...composedBackends])(
      'is the product with the matrix of the neighbourhood, gradient included (%s)',
      async (backend) => {
        await tf.setBackend(backend);
        fc.assert(
          fc.property(gridShapes, sizes, fc.nat(99), (gridShape, size, seed) => {
            const cells = gridShape.reduce((product, extent) => product * extent, 1);
            const weight = 0.3 + seed / 100;
            expectMatchesReference({
              inputs: { x: noiseInput([cells, size], seed) },
              operation: ({ x }) => [gridNeighborSum(x!, gridShape, weight)],
              reference: ({ x }) => [neighborSums(x!, gridShape, weight)],
            });
          }),
          { numRuns: 20 },
        );
      },
    );

    it('says what is wrong with its arguments', () => {
      tf.tidy(() => {
        expect(() => gridNeighborSum(tf.zeros([5, 2]), [2, 3], 1)).toThrow(/x must have shape \[6, 2\]/);
        expect(() => gridNeighborSum(tf.zeros([5, 2]), [], 1)).toThrow(/gridShape must be a list of one to 4 sizes/);
        expect(() => gridNeighborSum(tf.zeros([5, 2]), [5, 0], 1)).toThrow(/gridShape\[1\] must be a whole number/);
      });
    });
  });

  describe('codebookAverage', () => {
    const settings = fc.record({
      codes: fc.integer({ min: 1, max: 20 }),
      size: sizes,
      decay: fc.constantFrom(0, 0.5, 0.99, 1),
      epsilon: fc.constantFrom(1e-5, 0.1),
      smoothing: fc.constantFrom(...SMOOTHINGS),
      keepUnused: fc.boolean(),
      seed: fc.nat(999),
    });

    it.each(['fwp', ...composedBackends])('agrees with the reference (%s)', async (backend) => {
      await tf.setBackend(backend);
      fc.assert(
        fc.property(settings, ({ codes, size, seed, ...rest }) => {
          const state = {
            counts: Array.from(noise(codes, seed), (x) => x + 1.5),
            sums: toRows(noise(codes * size, seed + 1), size),
            codebook: toRows(noise(codes * size, seed + 2), size),
          };
          const batchCounts = Array.from(idsOf(codes, 3, seed + 3));
          const batchSums = toRows(noise(codes * size, seed + 4), size);
          const expected = averagedCodebook(state, batchCounts, batchSums, rest);
          tf.tidy(() => {
            const result = codebookAverage(
              {
                counts: tf.tensor1d(state.counts),
                sums: tf.tensor2d(state.sums),
                codebook: tf.tensor2d(state.codebook),
              },
              tf.tensor1d(batchCounts),
              tf.tensor2d(batchSums),
              rest,
            );
            // Where everything decays at once, sums may be divided by a count of 0.
            if (expected.codebook.flat().some((x) => !Number.isFinite(x))) return;
            expectWithin(result.counts.dataSync(), expected.counts, 2e-6, 'counts');
            expectWithin(result.sums.dataSync(), expected.sums.flat(), 2e-6, 'sums');
            expectWithin(result.codebook.dataSync(), expected.codebook.flat(), 1e-5, 'codebook');
          });
        }),
        { numRuns: 40 },
      );
    });

    it('leaves the sum of the counts as it is when it smooths', () => {
      tf.tidy(() => {
        const [codes, size] = [512, 3];
        const counts = tf.tensor1d(Array.from(noise(codes, 1), (x) => (x > 0 ? 30 * x : 0)));
        const zeros = tf.zeros([codes, size]) as tf.Tensor2D;
        const state = { counts, sums: zeros, codebook: zeros };
        const after = codebookAverage(state, tf.zeros([codes]), zeros, { decay: 1, epsilon: 0.01 });
        const [before, sum] = [counts, after.counts].map((c) => tf.sum(c).dataSync()[0] as number);
        expect(Math.abs((sum as number) / (before as number) - 1)).toBeLessThan(1e-6);
      });
    });

    it('says what is wrong with its arguments', () => {
      tf.tidy(() => {
        const zeros = tf.zeros([4, 3]) as tf.Tensor2D;
        const state = { counts: tf.ones([4]) as tf.Tensor1D, sums: zeros, codebook: zeros };
        expect(() => codebookAverage(state, tf.zeros([5]), zeros)).toThrow(/batchCounts must have shape \[codes = 4\]/);
        expect(() => codebookAverage(state, tf.zeros([4]), zeros, { decay: 2 })).toThrow(
          /decay must be a finite number/,
        );
        expect(() => codebookAverage(state, tf.zeros([4]), zeros, { smoothing: 'x' as never })).toThrow(
          /smoothing must be/,
        );
      });
    });
  });

  it.each(['fwp', ...composedBackends])('stopGradient and straightThrough (%s)', async (backend) => {
    await tf.setBackend(backend);
    const before = tf.memory();
    tf.tidy(() => {
      const x = tf.tensor1d([0.2, 1.7]);
      const gradient = tf.grad((y: tf.Tensor) => tf.sum(tf.mul(y, stopGradient(tf.square(y)))))(x);
      expectWithin(gradient.dataSync(), [0.04, 2.89], 1e-6, 'only the factor that is not stopped');
      const rounded = tf.grad((y: tf.Tensor) => tf.sum(tf.square(straightThrough(y, tf.round(y)))))(x);
      expect([...rounded.dataSync()]).toEqual([0, 4]);
      expect([...straightThrough(x, tf.round(x)).dataSync()]).toEqual([0, 2]);
      expect(() => straightThrough(x, tf.zeros([3]))).toThrow(/output must have shape \[2\]/);
    });
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  it('keeps no tensor and no heap over many steps, and has the same bits for every number of threads', async () => {
    const run = () => {
      const state = {
        counts: tf.ones([60]) as tf.Tensor1D,
        sums: tf.tensor2d(noise(60 * 40, 2), [60, 40]),
        codebook: tf.tensor2d(noise(60 * 40, 2), [60, 40]),
      };
      const z = tf.tensor2d(noise(3000 * 40, 1), [3000, 40]);
      const step = () =>
        tf.tidy(() => {
          const { sums, counts } = segmentSum(z, vqAssign(z, state.codebook) as tf.Tensor1D, 60);
          const spread = <T extends tf.Tensor>(x: T) => gridNeighborSum(x, [10, 6], 0.5);
          const after = codebookAverage(state, spread(counts), spread(sums));
          return [after.codebook.dataSync(), after.counts.dataSync()] as Float32Array[];
        });
      return { step, free: () => tf.dispose([z, ...Object.values(state)]) };
    };
    await expectSameBitsForAllThreads(options, () => run().step());
    await init(options);
    const { step, free } = run();
    step();
    const before = tf.memory();
    for (let i = 0; i < 200; i++) step();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
    free();
  });
});
