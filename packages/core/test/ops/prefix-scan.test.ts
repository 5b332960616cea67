import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dispose,
  elementCount,
  init,
  insertElement,
  PREFIX_SCAN_MODES,
  type PrefixRoots,
  prefixOf,
  prefixScan,
  prefixScanWithState,
  rootLevels,
} from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads, memoryInUse } from '../engine-properties.ts';
import { exclusivePrefixes, inclusivePrefixes } from '../reference/prefix-scan.ts';
import { expectWithin, noise } from './against-reference.ts';

const devices = await availableDevices();

/** A function that is neither associative nor commutative, exact in float32: integers below 10007. */
const mixNumbers = (a: number, b: number) => (3 * a + 7 * b + ((a * (b % 97)) % 10007)) % 10007;
const mix = (a: tf.Tensor, b: tf.Tensor) =>
  tf.mod(tf.add(tf.add(tf.mul(a, 3), tf.mul(b, 7)), tf.mod(tf.mul(a, tf.mod(b, 97)), 10007)), 10007);
const brackets = (a: string, b: string) => `(${a}${b})`;

/** A smooth function of two vectors, with a matrix for each. */
function smooth(left: tf.Tensor, right: tf.Tensor) {
  return (a: tf.Tensor, b: tf.Tensor) =>
    tf.tanh(
      tf.add(tf.matMul(a as tf.Tensor2D, left as tf.Tensor2D), tf.matMul(b as tf.Tensor2D, right as tf.Tensor2D)),
    );
}

describe('the binary counter', () => {
  it('brackets as the static tree does, for all lengths to 69', () => {
    for (let length = 1; length <= 69; length++) {
      const names = Array.from({ length }, (_, i) => `${i},`);
      const expected = exclusivePrefixes(names, brackets);
      let roots: PrefixRoots<string> = [];
      for (const [t, name] of names.entries()) {
        expect(prefixOf(roots)).toBe(expected[t]);
        roots = insertElement(brackets, roots, name);
      }
    }
    const seven = exclusivePrefixes(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], brackets)[7];
    expect(seven).toBe('((((ab)(cd))(ef))g)');
  });

  it('has a root for each bit of the count, and applies the function less than twice for an element', () => {
    for (const [count, carries] of [
      [64, 63],
      [1000, 994],
    ] as const) {
      let [roots, calls]: [PrefixRoots<number>, number] = [[], 0];
      let folds = 0;
      const add = (a: number, b: number) => {
        calls += 1;
        return a + b;
      };
      for (let t = 1; t <= count; t++) {
        const before = calls;
        roots = insertElement(add, roots, 1);
        const bits = rootLevels(t);
        expect(roots.map(({ level }) => level)).toEqual(bits);
        expect(bits).toHaveLength(t.toString(2).replaceAll('0', '').length);
        expect(elementCount(roots)).toBe(t);
        expect(prefixOf(roots)).toBe(t);
        // One call besides the carries, unless the new root is the only one.
        if (bits.length > 1) folds += 1;
        expect(calls - before).toBeLessThanOrEqual(Math.floor(Math.log2(t)) + 1);
      }
      expect(calls - folds).toBe(carries);
      expect(carries).toBe(count - rootLevels(count).length);
    }
    expect(() => rootLevels(-1)).toThrow(/rootLevels: count must be a whole number of at least 0/);
  });
});

describe.each([...devices, ...composedDevices])('prefixScan on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('gives the prefixes of the tree in all modes, exactly, for a function that is not associative', () => {
    for (const length of [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 21, 31, 32, 33, 47, 64]) {
      const rows = [5, 6].map((seed) => Array.from(noise(length, seed), (x) => Math.floor((x + 1) * 5000)));
      const expected = (exclusive: boolean) =>
        rows.flatMap((row) =>
          exclusive ? exclusivePrefixes(row, mixNumbers).map((x) => x ?? 77) : inclusivePrefixes(row, mixNumbers),
        );
      tf.tidy(() => {
        const x = tf.tensor2d(rows);
        for (const mode of PREFIX_SCAN_MODES) {
          for (const exclusive of [false, true]) {
            const y = prefixScan(mix, x, { mode, exclusive, identity: tf.scalar(77) });
            expect(Array.from(y.dataSync()), `${mode}, length ${length}`).toEqual(expected(exclusive));
          }
        }
      });
    }
  });

  it('goes on from the roots of what came before, in pieces of any length', () => {
    const row = Array.from(noise(45, 3), (x) => Math.floor((x + 1) * 5000));
    for (const exclusive of [false, true]) {
      tf.tidy(() => {
        const whole = prefixScan(mix, tf.tensor2d([row]), { exclusive });
        let [initialState, begin]: [PrefixRoots<tf.Tensor> | undefined, number] = [undefined, 0];
        const outputs: number[] = [];
        for (const length of [0, 13, 1, 8, 0, 23]) {
          const piece = tf.tensor2d([row.slice(begin, begin + length)], [1, length]);
          const { output, finalState }: { output: tf.Tensor; finalState: PrefixRoots<tf.Tensor> } = prefixScanWithState(
            mix,
            piece,
            { exclusive, initialState },
          );
          outputs.push(...output.dataSync());
          initialState = finalState;
          begin += length;
          expect(elementCount(finalState)).toBe(begin);
        }
        expect(outputs).toEqual(Array.from(whole.dataSync()));
        const last = prefixOf(initialState ?? [])!.dataSync()[0];
        expect(last).toBe(inclusivePrefixes(row, mixNumbers)[44]);
      });
    }
  });

  it('has the same gradient through the tree, the sequential and the online form', () => {
    const [batch, length, size] = [2, 11, 5];
    const gradients = PREFIX_SCAN_MODES.map((mode) =>
      tf.tidy(() => {
        const x = tf.tensor3d(noise(batch * length * size, 1), [batch, length, size]);
        const left = tf.tensor2d(noise(size * size, 2), [size, size]);
        const right = tf.tensor2d(noise(size * size, 3), [size, size]);
        const identity = tf.tensor1d(noise(size, 4));
        const weights = tf.tensor3d(noise(x.size, 5), [batch, length, size]);
        const loss = (given: tf.Tensor, a: tf.Tensor, b: tf.Tensor, first: tf.Tensor) =>
          tf.sum(tf.mul(weights, prefixScan(smooth(a, b), given, { mode, exclusive: true, identity: first })));
        return tf
          .grads(loss)([x, left, right, identity])
          .map((gradient) => gradient.dataSync());
      }),
    );
    const [expected = [], ...others] = gradients;
    for (const actual of others) {
      for (const [i, values] of actual.entries()) expectWithin(values, expected[i]!, 1e-5, `gradient ${i}`);
    }
    // The identity's is what the first places got, and the last element is in no exclusive prefix.
    const dx = Array.from(expected[0]!);
    expect(dx.slice((length - 1) * size, length * size).every((value) => value === 0)).toBe(true);
    expect(dx.slice(0, size).some((value) => Math.abs(value) > 1e-4)).toBe(true);
  });

  it('merges lists and records of tensors as one element', () => {
    const compose = (a: { p: tf.Tensor }, b: { p: tf.Tensor }) => ({ p: tf.matMul(a.p, b.p) });
    tf.tidy(() => {
      // Permutations as matrices: products in order, which would be others the other way round.
      const orders = [
        [1, 2, 0],
        [0, 2, 1],
        [2, 1, 0],
        [1, 2, 0],
        [1, 0, 2],
      ];
      const p = tf.cast(tf.oneHot(tf.tensor2d(orders, [5, 3], 'int32'), 3), 'float32');
      const y = prefixScan(compose, { p: tf.expandDims(p, 0) }).p;
      let order = [0, 1, 2];
      const expected = orders.map((next) => (order = order.map((i) => next[i]!)));
      const actual = tf.argMax(tf.squeeze(y, [0]), 2);
      expect(Array.from(actual.dataSync())).toEqual(expected.flat());
      const [sums, counts] = prefixScan(([a, b], [c, d]) => [tf.add(a!, c!), tf.add(b!, d!)], [
        tf.ones([2, 5, 3]),
        tf.ones([2, 5]),
      ] as const);
      expect(Array.from(counts!.dataSync())).toEqual([1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
      expect(sums!.shape).toEqual([2, 5, 3]);
    });
  });
});

describe('prefixScan', () => {
  beforeAll(async () => {
    await init(devices[0]!.options);
  });
  afterAll(dispose);

  it('evaluates a level at once: a logarithmic number of calls, and a linear number of pairs', () => {
    // Of 1024 elements: pairs of the up-sweep and, for each place with more than one bit, of the down-sweep.
    for (const [length, mode, expectedCalls, expectedPairs] of [
      [1024, 'blelloch', 19, 2036],
      [1024, 'sequential', 2036, 2036],
      [1024, 'counter', 2036, 2036],
      [15, 'blelloch', 6, 22],
    ] as const) {
      let [calls, pairs] = [0, 0];
      const add = (a: tf.Tensor, b: tf.Tensor) => {
        calls += 1;
        pairs += a.shape[0]!;
        return tf.add(a, b);
      };
      tf.tidy(() => prefixScan(add, tf.ones([1, length + 1]), { mode, exclusive: true }));
      expect([calls, pairs]).toEqual([expectedCalls, expectedPairs]);
    }
  });

  it('gives the same bits for every number of threads', async () => {
    await expectSameBitsForAllThreads(devices[0]!.options, () =>
      tf.tidy(() => {
        const left = tf.tensor2d(
          noise(64 * 64, 2).map((x) => x / 8),
          [64, 64],
        );
        const y = prefixScan(smooth(left, tf.transpose(left)), tf.tensor3d(noise(4 * 100 * 64, 1), [4, 100, 64]));
        return [y.dataSync() as Float32Array];
      }),
    );
  });

  it('leaves nothing behind, and results that are not the elements themselves', () => {
    const x = tf.tensor3d(noise(2 * 9 * 4, 1), [2, 9, 4]);
    const before = memoryInUse();
    for (const mode of PREFIX_SCAN_MODES) {
      const { output, finalState } = prefixScanWithState(tf.add, x as tf.Tensor, { mode, exclusive: true });
      const y = prefixScan<tf.Tensor>(tf.add, x, { mode });
      tf.dispose([output, y]);
      tf.dispose(finalState);
    }
    expect(memoryInUse()).toEqual(before);
    const one = tf.ones([1, 1, 3]) as tf.Tensor;
    const alone = prefixScan(tf.add, one);
    one.dispose();
    expect(Array.from(alone.dataSync())).toEqual([1, 1, 1]);
    tf.dispose([alone, x]);
  });

  it('says what is wrong', () => {
    const before = memoryInUse();
    tf.tidy(() => {
      const x = tf.ones([2, 3, 4]) as tf.Tensor;
      expect(() => prefixScan(tf.add, tf.ones([3]))).toThrow(
        /prefixScan: elements must have shape \[batch, length, …\]/,
      );
      expect(() => prefixScan(tf.add, tf.ones([2, 3], 'int32'))).toThrow(/elements must be float32/);
      expect(() => prefixScan((a) => a, { a: x, b: tf.ones([2, 4]) })).toThrow(
        /same batch and length .* \[2, 3, 4\] and/,
      );
      expect(() => prefixScan((a) => a, [])).toThrow(/at least one tensor/);
      expect(() => prefixScan((a) => tf.sum(a, 1, true), x)).toThrow(
        /combine must return what it was given, tensors of shape \[2, 4\], but returned \[2, 1\]/,
      );
      expect(() => prefixScan(tf.add, x, { mode: 'tree' as never })).toThrow(/mode must be 'blelloch' or 'sequential'/);
      expect(() => prefixScan(undefined as never, x)).toThrow(/combine must be a function/);
      expect(() => prefixScan<readonly tf.Tensor[]>((a) => a, [x], { exclusive: true, identity: [] })).toThrow(
        /identity must have 1 tensors/,
      );
      expect(prefixScan<tf.Tensor>(tf.add, tf.ones([2, 0, 4]), { exclusive: true }).shape).toEqual([2, 0, 4]);
    });
    expect(memoryInUse()).toEqual(before);
  });
});
