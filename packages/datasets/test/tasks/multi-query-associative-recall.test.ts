import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { multiQueryAssociativeRecall } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

describe('multiQueryAssociativeRecall', () => {
  const options = fc.record({
    pairs: fc.integer({ min: 1, max: 10 }),
    more: fc.nat(20),
    half: fc.integer({ min: 11, max: 60 }),
    exponent: fc.constantFrom(0.01, 0.5, 1),
    randomFiller: fc.boolean(),
    seed: fc.nat(1000),
  });

  test('there are as many labels as pairs, and each is the value paired with the key at its place', () => {
    fc.assert(
      fc.property(options, ({ pairs, more, half, exponent, randomFiller, seed }) => {
        const length = 4 * pairs + 2 * more;
        const vocabularySize = 2 * half;
        const task = multiQueryAssociativeRecall({ pairs, length, vocabularySize, exponent, randomFiller, seed });
        for (const { inputs, targets, asked } of sequencesOf(task.batch(0, 2))) {
          const memory = new Map<number, number>();
          for (let i = 0; i < 2 * pairs; i += 2) memory.set(inputs[i] as number, inputs[i + 1] as number);
          expect(memory.size).toBe(pairs);
          expect([...memory.keys()].every((key) => key >= 1 && key < half)).toBe(true);
          expect(new Set(memory.values()).size).toBe(pairs);
          expect([...memory.values()].every((value) => value >= half && value < vocabularySize)).toBe(true);
          expect(asked).toHaveLength(pairs);
          expect(new Set(asked.map((place) => inputs[place]))).toEqual(new Set(memory.keys()));
          for (const place of asked) {
            expect(targets[place]).toBe(memory.get(inputs[place] as number));
            expect(place).toBeGreaterThanOrEqual(2 * pairs);
            expect(place % 2).toBe(0);
          }
          const filler = inputs.filter((_, i) => i >= 2 * pairs && !asked.includes(i));
          expect(filler.every((token) => (randomFiller ? token >= 0 && token < vocabularySize : token === 0))).toBe(
            true,
          );
        }
      }),
    );
  });

  test('gaps follow the power law; with exponent 1 all places are equally likely', () => {
    const histogram = (exponent: number) => {
      const task = multiQueryAssociativeRecall({ pairs: 1, length: 18, vocabularySize: 64, exponent, seed: 1 });
      const counts = new Array<number>(8).fill(0);
      for (const { asked } of sequencesOf(task.batch(0, 8000))) (counts[((asked[0] as number) - 2) / 2] as number)++;
      return counts;
    };
    const weights = Array.from({ length: 8 }, (_, gap) => (gap + 1) ** -0.99);
    const total = weights.reduce((sum, weight) => sum + weight);
    histogram(0.01).forEach((count, gap) => {
      const expected = (8000 * (weights[gap] as number)) / total;
      expect(Math.abs(count - expected)).toBeLessThan(4.5 * Math.sqrt(expected));
    });
    for (const count of histogram(1)) expect(Math.abs(count - 1000)).toBeLessThan(140);
  });

  test('when there is just enough room every place has a query', () => {
    const task = multiQueryAssociativeRecall({ pairs: 5, length: 20, vocabularySize: 32 });
    for (const { asked } of sequencesOf(task.batch(0, 50))) expect(asked).toEqual([10, 12, 14, 16, 18]);
  });

  test('refuses options out of range', () => {
    const create = multiQueryAssociativeRecall;
    expect(() => create({ pairs: 17 })).toThrow('half the length must be an integer of at least 34, but is 32');
    expect(() => create({ length: 65 })).toThrow('half the length must be an integer');
    expect(() => create({ vocabularySize: 16 })).toThrow('pairs must be an integer from 1 to 7, but is 8');
    expect(() => create({ exponent: 0 })).toThrow('exponent must be a number above 0, but is 0');
  });
});
