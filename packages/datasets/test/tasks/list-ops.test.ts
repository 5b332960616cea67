import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { listOps, type SymbolTask, type TokenBatch } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

type List = number | { readonly operator: string; readonly elements: readonly List[] };

/** Reads a list from its text. */
function parse(text: string): List {
  const tokens = text.split(' ');
  const read = (): List => {
    const token = tokens.shift() as string;
    if (/^\d$/.test(token)) return Number(token);
    expect(token).toMatch(/^\[(MIN|MAX|FIRST)$/);
    const elements: List[] = [];
    while (tokens[0] !== ']') elements.push(read());
    tokens.shift();
    return { operator: token.slice(1), elements };
  };
  const list = read();
  expect(tokens).toEqual([]);
  return list;
}

const evaluate = (list: List): number => {
  if (typeof list === 'number') return list;
  const values = list.elements.map(evaluate);
  if (list.operator === 'FIRST') return values[0] as number;
  return values.sort((a, b) => a - b).at(list.operator === 'MIN' ? 0 : -1) as number;
};
const depthOf = (list: List): number => (typeof list === 'number' ? 0 : 1 + Math.max(...list.elements.map(depthOf)));
const listsIn = (list: List): List[] => (typeof list === 'number' ? [] : [list, ...list.elements.flatMap(listsIn)]);

function listsOf({ symbols }: SymbolTask, batch: TokenBatch) {
  return sequencesOf(batch).map(({ inputs, targets, asked }) => {
    const length = inputs.filter((token) => token > 0).length;
    expect(asked).toEqual([length - 1]);
    const text = inputs.slice(0, length).map((token) => symbols[token]);
    return { list: parse(text.join(' ')), length, target: targets[length - 1] };
  });
}

describe('listOps', () => {
  test('lists have the depth that was asked for; the target at the end is the value', () => {
    const options = fc.record({ depth: fc.integer({ min: 1, max: 8 }), seed: fc.nat() });
    fc.assert(
      fc.property(options, ({ depth, seed }) => {
        const task = listOps({ depth, seed });
        expect([task.vocabularySize, task.targetCount, task.lengths.train]).toEqual([15, 10, 30 * depth]);
        for (const { list, target } of listsOf(task, task.batch(0, 3))) {
          expect(depthOf(list)).toBe(depth);
          expect(target).toBe(evaluate(list));
          for (const inner of listsIn(list) as Exclude<List, number>[])
            expect([2, 3, 4, 5]).toContain(inner.elements.length);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('the examples of the paper have their values in the evaluator of this test', () => {
    expect([evaluate(parse('[MAX 2 9 [MIN 4 7 ] 0 ]')), evaluate(parse('[FIRST 3 8 ]'))]).toEqual([9, 3]);
  });

  test('length and the most frequent value are as in the published data of depth 10', () => {
    const task = listOps({ depth: 10, seed: 2 });
    const lists = listsOf(task, task.batch(0, 600));
    const mean = lists.reduce((sum, { length }) => sum + length, 0) / lists.length;
    expect(Math.abs(mean - 96)).toBeLessThan(7);
    const nines = lists.filter(({ target }) => target === 9).length;
    expect(Math.abs(nines / lists.length - 0.2)).toBeLessThan(0.07);
  });

  test('depth of evaluation and the greatest length are options', () => {
    const task = listOps({ depth: 2, evaluationDepth: 4, maxLength: 14 });
    expect(task.lengths).toEqual({ train: 14, validation: 14, test: 14 });
    const lengths = listsOf(task, task.batch(0, 5, 'test')).map(({ list, length }) => {
      expect(depthOf(list)).toBe(4);
      return length;
    });
    expect(Math.max(...lengths)).toBeLessThanOrEqual(14);
  });

  test('refuses options out of range', () => {
    expect(() => listOps({ depth: 0 })).toThrow('depth must be an integer from 1 to 20, but is 0');
    expect(() => listOps({ evaluationDepth: 21 })).toThrow(
      'evaluationDepth must be an integer from 1 to 20, but is 21',
    );
    expect(() => listOps({ depth: 3, maxLength: 9 })).toThrow('maxLength must be an integer of at least 10, but is 9');
  });
});
