import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { associativeRecall } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

describe('associativeRecall', () => {
  test('every key is asked for once, and its target is the value that it came with', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 15 }), fc.nat(10), fc.nat(1000), (pairs, more, seed) => {
        const keys = pairs + more;
        const task = associativeRecall({ pairs, keys, values: 7, seed });
        expect([task.lengths.train, task.vocabularySize]).toEqual([4 * pairs, keys + 7]);
        for (const { inputs, targets, asked } of sequencesOf(task.batch(0, 3))) {
          const memory = new Map<number | undefined, number | undefined>();
          for (let i = 0; i < 2 * pairs; i += 2) memory.set(inputs[i], inputs[i + 1]);
          expect([...memory.keys()].every((key) => (key as number) < keys)).toBe(true);
          expect([...memory.values()].every((value) => (value as number) >= keys)).toBe(true);
          expect(memory.size).toBe(pairs);
          expect(asked).toEqual(Array.from({ length: pairs }, (_, i) => 2 * (pairs + i)));
          expect(new Set(asked.map((place) => inputs[place])).size).toBe(pairs);
          for (const place of asked) {
            expect(targets[place]).toBe(memory.get(inputs[place]));
            expect(inputs[place + 1]).toBe(targets[place]);
          }
        }
      }),
    );
  });

  test('refuses more pairs than keys', () => {
    expect(() => associativeRecall({ pairs: 27 })).toThrow('pairs must be an integer from 1 to 26, but is 27');
  });
});
