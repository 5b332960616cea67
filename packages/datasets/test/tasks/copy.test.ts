import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COPY_TOKENS, copy, selectiveCopy } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

const options = fc.record({
  count: fc.integer({ min: 1, max: 12 }),
  symbols: fc.integer({ min: 1, max: 9 }),
  blanks: fc.integer({ min: 0, max: 15 }),
  seed: fc.nat(1000),
});

describe.each([
  ['copy', copy],
  ['selectiveCopy', selectiveCopy],
])('%s', (name, create) => {
  test('asks for the symbols in the order in which they were shown', () => {
    fc.assert(
      fc.property(options, ({ count, symbols, blanks, seed }) => {
        const task = create({ count, symbols, blanks, seed });
        expect([task.lengths.train, task.vocabularySize]).toEqual([2 * count + blanks, 2 + symbols]);
        for (const { inputs, targets, asked } of sequencesOf(task.batch(0, 3))) {
          const shown = inputs.filter((token) => token >= COPY_TOKENS.firstSymbol);
          expect(shown).toHaveLength(count);
          expect(Math.max(...shown)).toBeLessThan(task.vocabularySize);
          expect(asked).toEqual(Array.from({ length: count }, (_, i) => count + blanks + i));
          expect(asked.map((place) => targets[place])).toEqual(shown);
          expect(asked.every((place) => inputs[place] === COPY_TOKENS.question)).toBe(true);
          expect(inputs.filter((token) => token === COPY_TOKENS.blank)).toHaveLength(blanks);
        }
      }),
    );
  });

  test(`symbols stand ${name === 'copy' ? 'at the beginning' : 'anywhere before the questions'}`, () => {
    const places = new Set<number>();
    for (const { inputs } of sequencesOf(create({ count: 3, blanks: 6 }).batch(0, 200))) {
      inputs.forEach((token, i) => {
        if (token >= COPY_TOKENS.firstSymbol) places.add(i);
      });
    }
    expect(Math.max(...places)).toBe(name === 'copy' ? 2 : 8);
  });

  test('evaluation sequences may be longer', () => {
    const task = create({ count: 3, evaluationCount: 9, blanks: 2 });
    expect(task.lengths).toEqual({ train: 8, validation: 20, test: 20 });
    const [sequence] = sequencesOf(task.batch(0, 1, 'test'));
    expect(sequence?.asked).toHaveLength(9);
  });

  test('refuses options out of range', () => {
    expect(() => create({ count: 0 })).toThrow('count must be an integer of at least 1, but is 0');
    expect(() => create({ count: 1, blanks: -1 })).toThrow('blanks must be an integer of at least 0, but is -1');
  });
});
