/** Top-K activation and product-key memories: the numeric checks 6 and 8 of σ-MoE's description. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DenseBlock,
  MEMORY_ACTIVATIONS,
  MEMORY_RETRIEVALS,
  ProductKeyMemory,
  type ProductKeyMemoryOptions,
  TOP_K_RANKINGS,
  TopKBlock,
  type TopKBlockOptions,
} from '../src/index.ts';

function inputsOf(shape: number[], seed = 2): tf.Tensor {
  return core.randomNormal(new core.RandomStream(seed), shape);
}

function topKOf(options: Partial<TopKBlockOptions> = {}): TopKBlock {
  return new TopKBlock({ size: 6, hiddenSize: 20, active: 5, random: new core.RandomStream(1), ...options });
}

function memoryOf(options: Partial<ProductKeyMemoryOptions> = {}): ProductKeyMemory {
  return new ProductKeyMemory({
    size: 6,
    subKeys: 5,
    heads: 3,
    retrieved: 4,
    random: new core.RandomStream(1),
    ...options,
  });
}

/** The best values of a memory without product keys: all scores of a head, sorted. */
function bestOf(memory: ProductKeyMemory, x: number[][]): { unit: number; score: number }[][][] {
  const [a, b] = [memory.firstKeys, memory.secondKeys].map((keys) => keys.arraySync()) as number[][][][];
  const half = memory.size / 2;
  return x.map((row) =>
    Array.from({ length: memory.heads }, (_, h) => {
      const dot = (keys: number[][], from: number, i: number) =>
        keys.reduce((sum, key, c) => sum + (key[i] as number) * (row[from + c] as number), 0);
      const units = Array.from({ length: memory.subKeys ** 2 }, (__, unit) => ({
        unit,
        score:
          dot(a?.[h] as number[][], 0, Math.floor(unit / memory.subKeys)) +
          dot(b?.[h] as number[][], half, unit % memory.subKeys),
      }));
      return units.sort((one, other) => other.score - one.score).slice(0, memory.retrieved);
    }),
  );
}

describe.each(await availableDevices(core))('memories on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  describe('TopKBlock', () => {
    it('with all units is the dense block', () => {
      const x = inputsOf([3, 4, 6]);
      const dense = new DenseBlock({ size: 6, hiddenSize: 20, random: new core.RandomStream(5) });
      const block = topKOf({ active: 20 });
      block.input.weight.assign(dense.layers.input.weight);
      block.output.weight.assign(dense.layers.output.weight);
      assertAllClose(block.forward(x).dataSync(), dense.forward(x).dataSync(), { atol: 1e-6 });
    });

    it.each(TOP_K_RANKINGS)('is off by no more than what it dropped (%s)', (ranking) => {
      const block = topKOf({ ranking });
      const x = inputsOf([12, 6]) as tf.Tensor2D;
      const { outputs, selections } = block.apply(x);
      const hidden = block.input.forward(x);
      const error = tf.norm(tf.sub(block.output.forward(hidden), outputs), 2, 1).dataSync();
      const contributions = tf.mul(hidden, tf.norm(block.output.weight, 2, 1)).arraySync() as number[][];
      const indices = selections[0]?.indices.dataSync() as Int32Array;
      contributions.forEach((row, n) => {
        const kept = new Set(indices.subarray(5 * n, 5 * n + 5));
        const dropped = row.reduce((sum, value, i) => (kept.has(i) ? sum : sum + value), 0);
        expect(error[n]).toBeLessThanOrEqual(dropped + 1e-5);
        const ranked = ranking === 'contribution' ? row : ((hidden.arraySync() as number[][])[n] as number[]);
        const least = Math.min(...[...kept].map((i) => ranked[i] as number));
        for (const [i, value] of ranked.entries()) if (!kept.has(i)) expect(value).toBeLessThanOrEqual(least);
      });
    });

    it('passes gradients through what is kept only', () => {
      const block = topKOf();
      const x = inputsOf([1, 6]);
      const { grads } = tf.variableGrads(() => tf.sum(tf.square(block.forward(x))) as tf.Scalar, [block.output.weight]);
      const rows = tf.sum(tf.abs(grads[block.output.weight.name] as tf.Tensor), 1).dataSync();
      const kept = new Set(block.apply(x).selections[0]?.indices.dataSync());
      for (const [i, sum] of rows.entries()) if (!kept.has(i)) expect(sum).toBe(0);
      expect(rows.filter((sum) => sum > 0).length).toBeGreaterThan(0);
    });

    it('says what is wrong', () => {
      expect(() => topKOf({ active: 21 })).toThrow(
        'TopKBlock: active must be at most the number of hidden units, 20, but is 21',
      );
    });
  });

  describe('ProductKeyMemory', () => {
    it('finds the best pairs among the pairs of the best sub-keys', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 7 }),
          fc.integer({ min: 1, max: 12 }),
          fc.nat(1000),
          (subKeys, retrieved, seed) => {
            const random = new core.RandomStream(seed);
            const memory = memoryOf({ subKeys, retrieved: Math.min(retrieved, subKeys ** 2), random });
            const x = inputsOf([3, 6], seed + 1);
            const { selections } = memory.apply(x);
            const found = selections[0]?.indices.arraySync() as number[][][];
            const best = bestOf(memory, x.arraySync() as number[][]);
            found.forEach((heads, n) => {
              heads.forEach((units, h) => {
                expect([...units].sort()).toEqual(best[n]?.[h]?.map(({ unit }) => unit).sort());
              });
            });
            memory.dispose();
          },
        ),
        { numRuns: 25 },
      );
    });

    it.each(MEMORY_ACTIVATIONS)('sums the values that it found, by either product (%s)', (activation) => {
      // With 40² values and few to read, these are gathered; else they are multiplied by zeros.
      for (const subKeys of [5, 40]) {
        const memory = memoryOf({ activation, subKeys });
        const x = inputsOf([4, 6]);
        const values = memory.values.arraySync() as number[][];
        const expected = bestOf(memory, x.arraySync() as number[][]).map((heads) => {
          const all = heads.flat();
          const scores = all.map(({ score }) => (activation === 'relu' ? Math.max(0, score) : Math.exp(score)));
          const total = activation === 'relu' ? 1 : scores.reduce((a, b) => a + b);
          return Array.from({ length: 6 }, (_, c) =>
            all.reduce((sum, { unit }, i) => sum + ((scores[i] as number) / total) * (values[unit]?.[c] as number), 0),
          );
        });
        const { outputs, selections } = memory.apply(x);
        assertAllClose(outputs.dataSync(), expected.flat(), { atol: 1e-5 });
        expect(selections[0]?.weights.shape).toEqual([4, 3, 4]);
      }
    });

    it('in the dense way has as many heads as one with the sums of their keys', () => {
      for (const activation of MEMORY_ACTIVATIONS) {
        const several = memoryOf({ retrieval: 'dense', activation });
        const one = memoryOf({ retrieval: 'dense', activation, heads: 1 });
        one.firstKeys.assign(tf.sum(several.firstKeys, 0, true));
        one.secondKeys.assign(tf.sum(several.secondKeys, 0, true));
        one.values.assign(several.values);
        const x = inputsOf([2, 4, 6]);
        assertAllClose(one.forward(x).dataSync(), several.forward(x).dataSync(), { atol: 1e-6 });
      }
    });

    it('in the dense way with ReLU is the dense block with keys of both halves', () => {
      const memory = memoryOf({ retrieval: 'dense', heads: 1 });
      const [a, b] = [tf.squeeze(memory.firstKeys, [0]), tf.squeeze(memory.secondKeys, [0])] as [
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      const pairs = Array.from({ length: 25 }, (_, unit) => [Math.floor(unit / 5), unit % 5] as const);
      const keys = tf.concat(
        [
          tf.gather(
            a,
            tf.tensor1d(
              pairs.map(([i]) => i),
              'int32',
            ),
            1,
          ),
          tf.gather(
            b,
            tf.tensor1d(
              pairs.map(([, j]) => j),
              'int32',
            ),
            1,
          ),
        ],
        0,
      ) as tf.Tensor2D;
      const x = inputsOf([9, 6]) as tf.Tensor2D;
      const expected = tf.matMul(tf.relu(tf.matMul(x, keys)), memory.values);
      assertAllClose(memory.forward(x).dataSync(), expected.dataSync(), { atol: 1e-6 });
    });

    it.each(MEMORY_RETRIEVALS)('has gradients of keys and values, and leaves nothing behind (%s)', (retrieval) => {
      const memory = memoryOf({ retrieval });
      const x = inputsOf([9, 6]);
      const step = () => {
        const { value, grads } = tf.variableGrads(
          () => tf.sum(tf.square(memory.forward(x))) as tf.Scalar,
          memory.parameters(),
        );
        const sums = Object.values(grads).map((gradient) =>
          tf.tidy(() => tf.sum(tf.abs(gradient)).dataSync()[0] as number),
        );
        tf.dispose([value, grads]);
        return sums;
      };
      for (const sum of step()) expect(sum).toBeGreaterThan(0);
      const before = tf.memory().numTensors;
      step();
      expect(tf.memory().numTensors).toBe(before);
    });

    it('starts with values of either deviation', () => {
      const deviation = (memory: ProductKeyMemory) =>
        Math.sqrt(tf.moments(memory.values).variance.dataSync()[0] as number);
      const sizes = { size: 64, subKeys: 20 };
      expect(deviation(memoryOf(sizes)) * 8).toBeCloseTo(1, 1.3);
      expect(deviation(memoryOf({ ...sizes, initialization: 'denseEquivalent' })) * 20).toBeCloseTo(1, 1.3);
    });

    it('counts multiply-adds', () => {
      expect(memoryOf({ retrieval: 'dense' }).multiplyAdds).toBe(6 * 5 + 25 * 6);
      expect(memoryOf().multiplyAdds).toBe(3 * (6 * 5 + 4 * 6));
    });

    it('says what is wrong', () => {
      expect(() => memoryOf({ size: 7 })).toThrow(
        'ProductKeyMemory: size must be even, as either half has its own keys, but is 7',
      );
      expect(() => memoryOf({ retrieved: 26 })).toThrow(
        'ProductKeyMemory: retrieved must be at most the number of values, 25, but is 26',
      );
    });
  });
});
