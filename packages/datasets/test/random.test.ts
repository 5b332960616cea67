import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../src/random.ts';
import { digest } from './digest.ts';

const seeds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const draw = (random: ReturnType<typeof createRandom>, count = 8) =>
  Array.from({ length: count }, () => random.integer(2 ** 31));

describe('createRandom', () => {
  test('gives the same bits on every platform', () => {
    const random = createRandom(1, 'copy', 'train', 17);
    expect(draw(random, 4)).toEqual([1534617246, 390306572, 12722306, 1923700302]);
    expect(digest(Float64Array.from({ length: 1000 }, random.uniform))).toBe('4001fbcf32da722c');
    expect(digest(Float64Array.from({ length: 1000 }, random.normal))).toBe('03e7d882af37451b');
    expect(digest(random.permutation(1000), random.sample(2 ** 31, 1000))).toBe('fa99d4e0eb1b202a');
  });

  test('opens the same stream for the same seed and path, whatever was drawn before', () => {
    fc.assert(
      fc.property(seeds, fc.array(fc.oneof(fc.string(), fc.maxSafeInteger())), (seed, path) => {
        const first = draw(createRandom(seed, ...path));
        draw(createRandom(seed, ...path, 1));
        expect(draw(createRandom(seed, ...path))).toEqual(first);
      }),
    );
  });

  test('opens different streams for different seeds and paths', () => {
    const paths: (string | number)[][] = [[], [0], [1], [0, 0], ['0'], [''], ['', ''], ['a'], ['ab', 'c'], ['a', 'bc']];
    for (let i = 2; i < 3000; i++) paths.push([i], ['train', i], ['test', i], [2 ** 32 * i], [-i]);
    const streams = paths.flatMap((path) => [0, 1, 2 ** 32, 2 ** 52].map((seed) => createRandom(seed, ...path)));
    expect(new Set(streams.map((stream) => draw(stream, 3).join())).size).toBe(streams.length);
  });

  test('refuses seeds and numbers that are no safe integers', () => {
    expect(() => createRandom(-1)).toThrow('seed must be an integer from 0 to 2^53 - 1, but is -1');
    expect(() => createRandom(0.5)).toThrow('but is 0.5');
    expect(() => createRandom(0, Number.NaN)).toThrow('a number in the path must be a safe integer, but is NaN');
  });
});

describe('integer', () => {
  test('stays within its bound', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 2 ** 31 }), (seed, below) => {
        const drawn = createRandom(seed).integer(below);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < below).toBe(true);
      }),
    );
  });

  test('gives every number equally often', () => {
    for (const below of [2, 3, 7, 16, 100]) {
      const random = createRandom(5, below);
      const counts = new Array<number>(below).fill(0);
      const draws = 2000 * below;
      for (let i = 0; i < draws; i++) (counts[random.integer(below)] as number)++;
      // χ² with below − 1 degrees of freedom: mean below − 1, variance 2(below − 1).
      const chiSquared = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
      expect(chiSquared).toBeLessThan(below - 1 + 4 * Math.sqrt(2 * (below - 1)));
    }
  });

  test('refuses a bound that is no such number', () => {
    const { integer } = createRandom(0);
    for (const below of [0, -3, 1.5, 2 ** 31 + 1, Number.NaN]) expect(() => integer(below)).toThrow(`but is ${below}`);
  });
});

describe('uniform, chance and normal', () => {
  const count = 40_000;
  const moment = (numbers: Float64Array, power: number) =>
    numbers.reduce((sum, number) => sum + number ** power, 0) / numbers.length;

  test('uniform numbers have the moments of [0, 1)', () => {
    const numbers = Float64Array.from({ length: count }, createRandom(1, 'uniform').uniform);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    for (const power of [1, 2, 3]) expect(Math.abs(moment(numbers, power) - 1 / (power + 1))).toBeLessThan(0.008);
  });

  test('chances of 0 and 1 are never and always', () => {
    const { chance } = createRandom(2);
    const outcomes = Array.from({ length: 200 }, () => [chance(0), chance(1)]);
    expect(outcomes.every(([never, always]) => !never && always)).toBe(true);
  });

  test('normal numbers have the moments and the tail of the normal distribution', () => {
    const numbers = Float64Array.from({ length: count }, createRandom(1, 'normal').normal);
    expect(Math.abs(moment(numbers, 1))).toBeLessThan(0.02);
    expect(Math.abs(moment(numbers, 2) - 1)).toBeLessThan(0.03);
    expect(Math.abs(moment(numbers, 3))).toBeLessThan(0.06);
    expect(Math.abs(moment(numbers, 4) - 3)).toBeLessThan(0.2);
    // P(|z| > 1) = 0.3173, P(|z| > 2) = 0.0455, P(|z| > 3) = 0.0027
    const beyond = (bound: number) => numbers.filter((number) => Math.abs(number) > bound).length / count;
    expect(Math.abs(beyond(1) - 0.3173)).toBeLessThan(0.01);
    expect(Math.abs(beyond(2) - 0.0455)).toBeLessThan(0.004);
    expect(Math.abs(beyond(3) - 0.0027)).toBeLessThan(0.001);
  });
});

describe('permutation and sample', () => {
  test('a permutation has every number once', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 300 }), (seed, count) => {
        const sorted = createRandom(seed).permutation(count).sort();
        expect([...sorted]).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  test('a sample has different numbers below the bound', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 1000 }), (seed, count, more) => {
        const sample = createRandom(seed).sample(count + more, count);
        expect(new Set(sample).size).toBe(count);
        expect(sample.every((number) => number >= 0 && number < count + more)).toBe(true);
      }),
    );
  });

  test('every order of three comes equally often, from both', () => {
    for (const draw of ['permutation', 'sample'] as const) {
      const random = createRandom(3, draw);
      const counts = new Map<string, number>();
      for (let i = 0; i < 6000; i++) {
        const order = (draw === 'sample' ? random.sample(3, 3) : random.permutation(3)).join();
        counts.set(order, (counts.get(order) ?? 0) + 1);
      }
      expect(counts.size).toBe(6);
      for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
    }
  });

  test('a sample larger than the range is refused', () => {
    expect(() => createRandom(0).sample(3, 4)).toThrow("4 different integers can't be drawn from 3");
  });
});
