import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dependencyBalancedListOps } from '../../src/index.ts';
import { countsOf, digestOfSets, examplesOf, expectDisjoint } from './parts.ts';

/** Small enough for many runs. */
const small = { depths: [2, 4], trainExamples: 150, evaluationExamples: 30 } as const;

/** Value, dependency depth and size of a list by their definitions. */
function evaluate(words: readonly string[], modulus = 10): { value: number; depth: number; size: number } {
  let place = 0;
  const read = (): { value: number; depth: number; size: number } => {
    const word = words[place++] as string;
    if (!word.startsWith('[')) return { value: Number(word), depth: 1, size: 1 };
    const elements: ReturnType<typeof read>[] = [];
    while (words[place] !== ']') elements.push(read());
    place++;
    const values = elements.map(({ value }) => value);
    const byValue = elements.map((_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number) || a - b);
    const middle = elements.length / 2;
    const made = {
      '[MIN': [byValue[0]],
      '[MAX': [values.indexOf(Math.max(...values))],
      '[MED': Number.isInteger(middle) ? [byValue[middle - 1], byValue[middle]] : [byValue[middle - 0.5]],
      '[SM': byValue,
    }[word] as number[];
    const sum = made.reduce((total, i) => total + (values[i] as number), 0);
    return {
      value: word === '[SM' ? sum % modulus : Math.floor(sum / made.length),
      depth: 1 + Math.max(...made.map((i) => elements[i]?.depth as number)),
      size: elements.reduce((total, { size }) => total + size, 3),
    };
  };
  const result = read();
  expect(place).toBe(words.length);
  return result;
}

describe('dependencyBalancedListOps', () => {
  test('the example of the documentation holds in the evaluator of this test', () => {
    const words = '[SM 3 [MAX 2 9 [MIN 4 7 ] ] ]'.split(' ');
    expect(evaluate(words)).toEqual({ value: 2, depth: 3, size: 1 + 3 + 2 + 3 + 2 + 3 });
    expect(evaluate('[MED 1 [MAX 4 4 ] 9 4 ]'.split(' '))).toEqual({ value: 4, depth: 3, size: 3 + 3 + 5 });
  });

  test('the class is the value of the list, its depth the dependency depth', () => {
    fc.assert(
      fc.property(fc.nat(1000), (seed) => {
        const { sets, vocabulary } = dependencyBalancedListOps({ ...small, seed });
        for (const set of Object.values(sets)) {
          for (const { words, target, depth } of examplesOf(set, vocabulary)) {
            const { size, ...expected } = evaluate(words);
            expect({ value: target, depth }).toEqual(expected);
            expect(size).toBeLessThanOrEqual(50);
          }
        }
      }),
      { numRuns: 8 },
    );
  });

  test('has the operators that are wanted, and sums modulo the number of digits', () => {
    const modulus = 4;
    const { sets, vocabulary, classes } = dependencyBalancedListOps({ ...small, operators: ['SM', 'MAX'], modulus });
    expect(vocabulary.names.slice(3)).toEqual([']', '[SM', '[MAX', '0', '1', '2', '3']);
    expect(classes).toEqual(['0', '1', '2', '3']);
    const examples = examplesOf(sets.train, vocabulary);
    for (const { words, target, depth } of examples)
      expect(evaluate(words, modulus)).toMatchObject({ value: target, depth });
    const words = new Set(examples.flatMap((example) => example.words));
    expect([...words].sort()).toEqual(vocabulary.names.slice(3).toSorted());
  });

  test('no list is in two parts or twice in one', () => {
    fc.assert(
      fc.property(fc.nat(1000), (seed) => expectDisjoint(dependencyBalancedListOps({ ...small, seed }).sets)),
      { numRuns: 8 },
    );
  });

  test('there are as many lists of each dependency depth', () => {
    const { sets, vocabulary, classes } = dependencyBalancedListOps({ trainExamples: 500, evaluationExamples: 20 });
    const depths = (part: keyof typeof sets) => [...countsOf(sets[part].depths)].sort(([a], [b]) => a - b);
    expect(depths('train')).toEqual([2, 3, 4, 5, 6].map((depth) => [depth, 100]));
    expect(depths('iid')).toEqual([2, 3, 4, 5, 6].map((depth) => [depth, 4]));
    expect([depths('deeperValidation'), depths('deeper')]).toEqual([
      [[7, 20]],
      [
        [8, 10],
        [9, 10],
      ],
    ]);
    expect([vocabulary.size, classes.length]).toEqual([3 + 15, 10]);
    const words = new Set(examplesOf(sets.train, vocabulary).flatMap((example) => example.words));
    expect([...words].sort()).toEqual(vocabulary.names.slice(3).toSorted());
  });

  test('has the same bytes on every platform', () => {
    expect(digestOfSets(dependencyBalancedListOps({ ...small, seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "deeper": "00350b0091dc3865",
        "deeperValidation": "9f2a0cd8053989ff",
        "iid": "3d545cbd832d7c89",
        "train": "e8af8afc8fd1dc5d",
      }
    `);
    expect(digestOfSets(dependencyBalancedListOps({ ...small, seed: 2 }).sets)).not.toEqual(
      digestOfSets(dependencyBalancedListOps({ ...small, seed: 1 }).sets),
    );
  });

  test('refuses what it cannot generate', () => {
    expect(() => dependencyBalancedListOps({ depths: [1, 3] })).toThrow('depths[0] must be an integer of at least 2');
    expect(() => dependencyBalancedListOps({ maxSize: 20 })).toThrow('maxSize must be an integer of at least 25');
    expect(() => dependencyBalancedListOps({ modulus: 1 })).toThrow(
      'modulus must be an integer from 2 to 10, but is 1',
    );
    expect(() => dependencyBalancedListOps({ operators: [] })).toThrow(
      'operators must be one or more of MIN, MAX, MED, SM, but are none',
    );
    expect(() => dependencyBalancedListOps({ operators: ['MIN', 'MIN'] })).toThrow('but are MIN, MIN');
    expect(() => dependencyBalancedListOps({ nesting: 1 })).toThrow('nesting must be more than 0 and less than 1');
  });
});
