import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parity, wordProblem } from '../../src/index.ts';
import { group } from '../../src/tasks/groups.ts';
import { sequencesOf } from './token-rows.ts';

const NAMES = ['S1', 'S3', 'S4', 'S5', 'A4', 'A5', 'Z1', 'Z2', 'Z60', 'A4xZ5', 'S3xZ10', 'Z2xZ2xZ2'];

describe('group', () => {
  test('has as many elements as its name says', () => {
    expect(NAMES.map((name) => group(name).order)).toEqual([1, 6, 24, 120, 12, 60, 1, 2, 60, 60, 60, 8]);
  });

  test.each(NAMES)('%s: 0 is the identity, everything has an inverse, products are associative', (name) => {
    const { order, product } = group(name);
    const times = (a: number, b: number) => product[a * order + b] as number;
    for (let a = 0; a < order; a++) {
      expect([times(a, 0), times(0, a)]).toEqual([a, a]);
      const row = product.subarray(a * order, (a + 1) * order);
      expect(row).toContain(0);
      expect(new Set(row).size).toBe(order);
    }
    const element = fc.nat(order - 1);
    fc.assert(
      fc.property(element, element, element, (a, b, c) => {
        expect(times(times(a, b), c)).toBe(times(a, times(b, c)));
      }),
    );
  });

  test('Z60 is commutative, A5 and A4xZ5 are not; A5 has no normal series: its commutators give all of it', () => {
    const commutators = (name: string): number => {
      const { order, product } = group(name);
      const times = (a: number, b: number) => product[a * order + b] as number;
      const inverse = (a: number) => product.subarray(a * order, (a + 1) * order).indexOf(0);
      const elements = new Set<number>();
      for (let a = 0; a < order; a++)
        for (let b = 0; b < order; b++) elements.add(times(times(inverse(a), inverse(b)), times(a, b)));
      for (let size = 0; size < elements.size; ) {
        size = elements.size;
        for (const a of [...elements]) for (const b of [...elements]) elements.add(times(a, b));
      }
      return elements.size;
    };
    // The commutators of A4 generate the group of four: A4xZ5 is solvable, and A5 is not.
    expect(['Z60', 'A4xZ5', 'A5', 'S5'].map(commutators)).toEqual([1, 4, 60, 60]);
  });

  test('refuses a name that is none and a group that is too large', () => {
    for (const name of ['', 'B3', 'S', 'S0', 'A4Z5', 'A4x']) expect(() => group(name)).toThrow('is none; use S3, A5');
    for (const name of ['S7', 'A8', 'Z2000', 'S5xZ60', 'S99']) expect(() => group(name)).toThrow('more than 1024');
  });
});

describe('wordProblem', () => {
  test('of permutations, the target is the order of the items after all swaps so far', () => {
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];
    const task = wordProblem({ group: 'S3', evaluationElements: [5, 40], seed: 3 });
    expect([task.vocabularySize, task.targetCount, task.lengths.test]).toEqual([7, 6, 40]);
    for (const { inputs, targets, asked } of sequencesOf(task.batch(0, 50, 'test'))) {
      let items = [0, 1, 2];
      for (const i of asked) {
        items = (orders[(inputs[i] as number) - 1] as number[]).map((place) => items[place] as number);
        expect(orders[targets[i] as number]).toEqual(items);
      }
      expect(asked.length).toBe(inputs.filter((token) => token > 0).length);
      expect(asked).toEqual(asked.map((_, i) => i));
    }
  });

  test('of Z2 is parity', () => {
    for (const { inputs, targets, asked } of sequencesOf(wordProblem({ group: 'Z2' }).batch(0, 20))) {
      const ones = (i: number) => inputs.slice(0, i + 1).filter((token) => token === 2).length;
      expect(asked.map((i) => targets[i])).toEqual(asked.map((i) => ones(i) % 2));
    }
    expect(wordProblem({ group: 'Z2' }).targetCount).toBe(parity().targetCount);
  });

  test('targets are uniform: chance is one in the order of the group', () => {
    const counts = new Int32Array(60);
    const task = wordProblem({ group: 'A5', trainElements: [10, 10] });
    for (const { targets } of sequencesOf(task.batch(0, 1200))) for (const target of targets) counts[target]!++;
    for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(60);
  });

  test('elements and lengths of training are uniform; the last target alone counts if asked', () => {
    const every = sequencesOf(wordProblem({ trainElements: [4, 6] }).batch(0, 3000));
    const counts = [4, 5, 6].map((length) => every.filter(({ asked }) => asked.length === length).length);
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(110);
    const last = sequencesOf(wordProblem({ trainElements: [4, 6], supervision: 'last' }).batch(0, 3000));
    last.forEach(({ inputs, targets, asked }, row) => {
      const end = every[row]?.asked.at(-1) as number;
      expect([inputs, asked, targets[end]]).toEqual([every[row]?.inputs, [end], every[row]?.targets[end]]);
    });
  });

  test('refuses a range that is none', () => {
    expect(() => wordProblem({ trainElements: [0, 4] })).toThrow('wordProblem: trainElements[0] must be an integer of');
    expect(() => wordProblem({ group: 'M11' })).toThrow('group: "M11" is none');
  });
});
