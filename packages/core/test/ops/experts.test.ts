/** expertMatMul and expertFeedForward. */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dispose, expertFeedForward, expertMatMul, init } from '../../src/index.ts';
import { expertBlocks, gatherBlocks, multiplyBlocks, takeAssignments } from '../../src/ops/expert-blocks.ts';
import { sumAssignments } from '../../src/ops/expert-mat-mul.ts';
import { availableDevices, composedBackends } from '../devices.ts';
import { expectSameBitsForAllThreads, memoryInUse } from '../engine-properties.ts';
import { expectWithin, noise, noiseInput } from './against-reference.ts';
import {
  chosen,
  expectLayerMatches,
  expectMatMulMatches,
  layer,
  layerInputs,
  type MatMulCase,
} from './expert-cases.ts';
import { tensorsOf, valuesAndGradients } from './scan-cases.ts';

const extents = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) }, fc.constantFrom(16, 33));
const cases: fc.Arbitrary<MatMulCase> = fc.record({
  groups: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(17)),
  group: fc.integer({ min: 1, max: 4 }),
  share: fc.integer({ min: 1, max: 3 }),
  experts: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(20)),
  size: extents,
  outputSize: extents,
  gated: fc.boolean(),
  seed: fc.nat(1000),
});

describe.each(await availableDevices())('experts on $name', ({ options }) => {
  beforeAll(() => init(options));
  afterEach(async () => {
    await tf.setBackend('fwp');
  });
  afterAll(dispose);

  describe('expertMatMul', () => {
    it.each(['fwp', ...composedBackends])('matches the reference (%s)', async (backend) => {
      await tf.setBackend(backend);
      fc.assert(fc.property(cases, expectMatMulMatches), { numRuns: backend === 'fwp' ? 40 : 8 });
    });

    it.each([
      ['in blocks', [1200, 600, 300, 2, 300, 260]],
      ['one by one, as where indices must be waited for', [12, 6, 3, 2, 5, 4]],
    ] as const)('is its composition %s', (how, [assignments, rows, outputRows, experts, size, outputSize]) => {
      const values = Int32Array.from(chosen(assignments, experts, 1));
      const indices = tf.tensor1d(values, 'int32');
      const inputs = {
        x: noiseInput([rows, size], 2),
        weights: noiseInput([experts, size, outputSize], 3),
        gates: noiseInput([assignments], 4),
      };
      type Given = { x: tf.Tensor2D; weights: tf.Tensor3D; gates: tf.Tensor1D };
      const run = (operation: (given: Given) => tf.Tensor) =>
        valuesAndGradients(inputs, (tensors) => [operation(tensors as unknown as Given)]);
      const results = run(({ x, weights, gates }) => expertMatMul(x, weights, indices, { gates, outputRows }));
      const expected = run(({ x, weights, gates }) => {
        const blocks = expertBlocks(indices, how === 'in blocks' ? values : undefined, rows, experts);
        const products = multiplyBlocks(gatherBlocks(x, blocks), weights, blocks);
        return sumAssignments(takeAssignments(products, blocks), gates, outputRows);
      });
      for (const [i, result] of results.entries()) expectWithin(result, expected[i]!, 3e-6, `result ${i}`);
      indices.dispose();
    });

    it('is a product with one matrix if there is one expert', () => {
      tf.tidy(() => {
        const x = tf.tensor2d(noise(7 * 5, 1), [7, 5]);
        const w = tf.tensor2d(noise(5 * 9, 2), [5, 9]);
        const y = expertMatMul(x, tf.expandDims(w, 0), tf.zeros([7], 'int32'));
        expectWithin(y.dataSync(), tf.matMul(x, w).dataSync(), 1e-6, 'y');
      });
    });

    it('gives the same for rows in another order, but for the last bits', () => {
      tf.tidy(() => {
        const x = tf.tensor2d(noise(50 * 8, 1), [50, 8]);
        const w = tf.tensor3d(noise(6 * 8 * 8, 2), [6, 8, 8]);
        const indices = tf.tensor2d(chosen(100, 6, 3), [50, 2], 'int32');
        const backwards = expertMatMul(tf.reverse(x, 0), w, tf.reverse(indices, 0));
        expectWithin(tf.reverse(backwards, 0).dataSync(), expertMatMul(x, w, indices).dataSync(), 1e-6, 'y');
      });
    });

    it('gives experts that nobody chose a gradient of exactly 0', () => {
      tf.tidy(() => {
        const x = tf.tensor2d(noise(40 * 6, 1), [40, 6]);
        const w = tf.tensor3d(noise(5 * 6 * 3, 2), [5, 6, 3]);
        const indices = tf.tensor1d(chosen(40, 3, 3), 'int32');
        const gradient = tf.grad((v) => tf.sum(expertMatMul(x, v as tf.Tensor3D, indices)))(w);
        const sums = tf.sum(tf.abs(gradient), [1, 2]).dataSync();
        expect([...sums].map((sum) => sum > 0)).toEqual([true, true, true, false, false]);
      });
    });

    it.each(['fwp', ...composedBackends])(
      'takes indices that were computed from its inputs as constants (%s)',
      async (backend) => {
        await tf.setBackend(backend);
        tf.tidy(() => {
          const x = tf.tensor2d(noise(6 * 4, 1), [6, 4]);
          const w = tf.tensor3d(noise(4 * 4 * 3, 2), [4, 4, 3]);
          const layerOf = (v: tf.Tensor, indices: tf.Tensor) => tf.sum(expertMatMul(v as tf.Tensor2D, w, indices));
          const computed = tf.grad((v) => layerOf(v, tf.topk(v, 2).indices))(x);
          const { indices } = tf.topk(x, 2);
          expectWithin(
            computed.dataSync(),
            tf
              .grad((v) => layerOf(v, indices))(x)
              .dataSync(),
            1e-6,
            'gradient',
          );
        });
      },
    );

    it('has second derivatives', () => {
      tf.tidy(() => {
        const x = tf.tensor2d(noise(4 * 3, 1), [4, 3]);
        const w = tf.tensor3d(noise(2 * 3 * 3, 2), [2, 3, 3]);
        const indices = tf.tensor1d([0, 1, 1, 0], 'int32');
        const loss = (v: tf.Tensor) => tf.sum(tf.square(expertMatMul(v as tf.Tensor2D, w, indices)));
        const norm = (v: tf.Tensor) => tf.sum(tf.square(tf.grad(loss)(v)));
        const direction = tf.tensor2d(noise(12, 3), [4, 3]);
        const along = tf.sum(tf.mul(tf.grad(norm)(x), direction)).dataSync()[0]!;
        const at = (step: number) => norm(tf.add(x, tf.mul(direction, step))).dataSync()[0]!;
        expect(along).toBeCloseTo((at(0.01) - at(-0.01)) / 0.02, 1);
      });
    });

    it('says what is wrong, and leaves nothing behind', () => {
      const x = tf.zeros([4, 3]) as tf.Tensor2D;
      const w = tf.zeros([2, 3, 5]) as tf.Tensor3D;
      const indices = tf.tensor2d([0, 1, 1, 0, 0, 1, 2, 0], [4, 2], 'int32');
      const before = memoryInUse();
      const short = tf.zeros([3], 'int32');
      expect(() => expertMatMul(x, w, indices)).toThrow(
        'expertMatMul: indices[3, 0] is 2, but must be in [0, 2): the number of experts.',
      );
      expect(() => expertMatMul(x, w, short)).toThrow(
        'indices must hold the same number of experts for each of the 4 rows of inputs, but has shape [3]',
      );
      expect(() => expertMatMul(x, w, tf.clone(indices), { outputRows: 3 })).toThrow('must divide the 8 assignments');
      expect(() => expertMatMul(x, w, x as tf.Tensor)).toThrow('indices must be int32, but is float32');
      expect(() => expertMatMul(x, w, short, { gates: x })).toThrow('expertMatMul: indices must hold');
      tf.dispose(short);
      expect(memoryInUse()[1]).toBe(before[1]);
      tf.dispose([x, w, indices]);
    });

    it.each(['fwp', ...composedBackends])('takes no rows (%s)', async (backend) => {
      await tf.setBackend(backend);
      tf.tidy(() => {
        const w = tf.zeros([2, 3, 5]) as tf.Tensor3D;
        const y = expertMatMul(tf.zeros([0, 3]), w, tf.zeros([0, 2], 'int32'));
        expect(y.shape).toEqual([0, 5]);
        const gradient = tf.grad((v) =>
          tf.sum(expertMatMul(tf.zeros([0, 3]), v as tf.Tensor3D, tf.zeros([0], 'int32'))),
        );
        expect([...gradient(w).dataSync()]).toEqual([...w.dataSync()]);
      });
    });
  });

  describe('expertFeedForward', () => {
    const layers = fc.record({
      rows: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(40)),
      active: fc.integer({ min: 1, max: 4 }),
      experts: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(20)),
      size: extents,
      expertSize: extents,
      seed: fc.nat(1000),
    });

    it.each(['fwp', ...composedBackends])('matches the reference (%s)', async (backend) => {
      await tf.setBackend(backend);
      fc.assert(fc.property(layers, expectLayerMatches), { numRuns: backend === 'fwp' ? 25 : 6 });
    });

    it.each(['fwp', ...composedBackends])('takes no rows (%s)', async (backend) => {
      await tf.setBackend(backend);
      tf.tidy(() => {
        const [x, gates] = [tf.zeros([0, 3]), tf.zeros([0, 2])] as [tf.Tensor2D, tf.Tensor2D];
        const given = [x, tf.ones([2, 3, 5]), tf.ones([2, 5, 3]), gates];
        const run = (...[inputs, keys, values, factors]: tf.Tensor[]) =>
          expertFeedForward(
            inputs as tf.Tensor2D,
            keys as tf.Tensor3D,
            values as tf.Tensor3D,
            tf.zeros([0, 2], 'int32'),
            factors as tf.Tensor2D,
          );
        expect(run(...given).shape).toEqual([0, 3]);
        for (const gradient of tf.grads((...all: tf.Tensor[]) => tf.sum(run(...all)))(given)) {
          expect(gradient.dataSync().every((y) => y === 0)).toBe(true);
        }
      });
    });

    it('is expertMatMul, ReLU, and expertMatMul with gates', () => {
      tf.tidy(() => {
        const [x, keys, values, gates] = Object.values(tensorsOf(layerInputs(60, 3, 5, 20, 17))) as [
          tf.Tensor2D,
          tf.Tensor3D,
          tf.Tensor3D,
          tf.Tensor2D,
        ];
        const indices = tf.tensor2d(chosen(180, 5, 6), [60, 3], 'int32');
        const hidden = tf.relu(expertMatMul(x, keys, indices, { outputRows: 180 }));
        const expected = expertMatMul(hidden, values, indices, { gates, outputRows: 60 });
        const y = expertFeedForward(x, keys, values, indices, gates);
        expectWithin(y.dataSync(), expected.dataSync(), 1e-6, 'y');
      });
    });

    it('gives the same bits with 1, 2 and 4 threads', async () => {
      await expectSameBitsForAllThreads(options, () => {
        const indices = tf.tensor2d(chosen(4 * 500, 7, 2), [500, 4], 'int32');
        const results = valuesAndGradients(layerInputs(500, 4, 8, 160, 70), layer(indices));
        indices.dispose();
        return results;
      });
    });

    it('keeps memory that does not depend on the number of experts', () => {
      const kept = (experts: number): number => {
        const indices = tf.tensor2d(chosen(64 * 2, experts, 2), [64, 2], 'int32');
        let bytes = 0;
        const result = tf.tidy(() => {
          const [x, keys, values, gates] = Object.values(tensorsOf(layerInputs(64, 2, experts, 16, 8))) as [
            tf.Tensor2D,
            tf.Tensor3D,
            tf.Tensor3D,
            tf.Tensor2D,
          ];
          const loss = (v: tf.Tensor) => {
            const before = memoryInUse()[2]!;
            const y = expertFeedForward(v as tf.Tensor2D, keys, values, indices, gates);
            bytes = memoryInUse()[2]! - before;
            return tf.sum(y) as tf.Scalar;
          };
          return tf.grad(loss)(x);
        });
        tf.dispose([result, indices]);
        return bytes;
      };
      // Only the offsets grow, by 4 bytes for each expert.
      expect(kept(64) - kept(4)).toBeLessThanOrEqual(4 * 64);
    });

    it('does not grow over steps', () => {
      const indices = tf.tensor2d(chosen(60, 5, 2), [30, 2], 'int32');
      const step = () => valuesAndGradients(layerInputs(30, 2, 5, 12, 9), layer(indices));
      step();
      const before = memoryInUse();
      for (let i = 0; i < 5; i++) step();
      expect(memoryInUse()).toEqual(before);
      indices.dispose();
    });

    it('says what is wrong', () => {
      tf.tidy(() => {
        const x = tf.zeros([4, 3]) as tf.Tensor2D;
        const [keys, values] = [tf.zeros([2, 3, 5]), tf.zeros([2, 5, 3])] as [tf.Tensor3D, tf.Tensor3D];
        const indices = tf.zeros([4, 2], 'int32') as tf.Tensor2D;
        const gates = tf.ones([4, 2]) as tf.Tensor2D;
        expect(() => expertFeedForward(x, keys, tf.zeros([2, 4, 3]), indices, gates)).toThrow(
          "expertFeedForward: values must have shape [experts = 2, expertSize = 5, size = 3], but has shape [2, 4, 3]: dimension 1 ('expertSize') is 4 instead of 5",
        );
        expect(() => expertFeedForward(x, keys, values, indices, tf.ones([4, 1]))).toThrow(
          'expertFeedForward: gates must have the shape of indices, [4, 2], but has shape [4, 1]',
        );
        const bad = tf.tensor2d([0, 0, 0, -1, 0, 0, 0, 0], [4, 2], 'int32');
        expect(() => expertFeedForward(x, keys, values, bad, gates)).toThrow('indices[1, 1] is -1');
      });
    });
  });
});
