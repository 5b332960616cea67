import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nestedArithmetic } from '../../src/index.ts';
import { countsOf, digestOfSets, examplesOf, expectDisjoint } from './parts.ts';

/** Small enough for many runs. */
const small = { maxDepth: 4, trainExamples: 200, evaluationExamples: 60 };

/** Value and depth of an expression by their definitions. */
function evaluate(words: readonly string[], modulus = 10): [value: number, depth: number] {
  let place = 0;
  const read = (): [number, number] => {
    const word = words[place++] as string;
    if (word !== '(') return [Number(word), 1];
    const [left, leftDepth] = read();
    const operator = words[place++];
    const [right, rightDepth] = read();
    expect(words[place++]).toBe(')');
    return [(operator === '+' ? left + right : left * right) % modulus, Math.max(leftDepth, rightDepth) + 1];
  };
  const result = read();
  expect(place).toBe(words.length);
  return result;
}

describe('nestedArithmetic', () => {
  test('the class is the value of the expression modulo 10', () => {
    expect(evaluate('( ( 4 * 7 ) + 2 )'.split(' '))).toEqual([0, 3]);
    fc.assert(
      fc.property(fc.nat(1000), (seed) => {
        const { sets, vocabulary } = nestedArithmetic({ ...small, seed });
        for (const set of Object.values(sets)) {
          for (const { words, target, depth } of examplesOf(set, vocabulary)) {
            expect(evaluate(words)).toEqual([target, depth]);
          }
        }
      }),
      { numRuns: 10 },
    );
  });

  test('values are modulo the number of digits', () => {
    for (const modulus of [2, 4, 7]) {
      const { sets, vocabulary, classes } = nestedArithmetic({ ...small, modulus, seed: modulus });
      expect([vocabulary.size, classes.length]).toEqual([3 + 4 + modulus, modulus]);
      const examples = examplesOf(sets.deeper, vocabulary);
      for (const { words, target, depth } of examples) expect(evaluate(words, modulus)).toEqual([target, depth]);
      expect(new Set(examples.map(({ target }) => target)).size).toBe(modulus);
      expect(countsOf(sets.train.depths).get(2)).toBe(2 * modulus ** 2);
    }
  });

  test('no expression is in two parts or twice in one', () => {
    fc.assert(
      fc.property(fc.nat(1000), (seed) => expectDisjoint(nestedArithmetic({ ...small, seed }).sets)),
      { numRuns: 10 },
    );
  });

  test('there are as many expressions of each depth', () => {
    const { sets, vocabulary, classes } = nestedArithmetic({ trainExamples: 400, evaluationExamples: 100 });
    const depths = (part: keyof typeof sets) => [...countsOf(sets[part].depths)].sort(([a], [b]) => a - b);
    expect(depths('train')).toEqual([[2, 200], ...[3, 4, 5, 6].map((depth) => [depth, 100])]);
    expect(depths('iid')).toEqual([3, 4, 5, 6].map((depth) => [depth, 25]));
    expect(depths('deeperValidation')).toEqual([[7, 100]]);
    expect(depths('deeper')).toEqual([
      [8, 50],
      [9, 50],
    ]);
    for (const { inputLengths } of Object.values(sets)) expect(Math.max(...inputLengths)).toBeLessThanOrEqual(52);
    expect([vocabulary.size, classes.length]).toEqual([3 + 14, 10]);
  });

  test('training has all expressions of two digits', () => {
    const { sets, vocabulary } = nestedArithmetic(small);
    const pairs = examplesOf(sets.train, vocabulary).filter(({ depth }) => depth === 2);
    expect(new Set(pairs.map(({ words }) => words.join(''))).size).toBe(200);
  });

  test('what is less deep than it should be becomes the right operand', () => {
    const { sets, vocabulary } = nestedArithmetic({
      ...small,
      deeperDepths: [6, 6],
      nesting: { train: 0.2, deeper: 0.05 },
    });
    const deep = examplesOf(sets.deeper, vocabulary).map(({ words }) => words.join(''));
    const leaning = deep.filter((text) => /^(\(\d[+*])+\d/.test(text));
    expect(leaning.length).toBeGreaterThan(deep.length / 2);
  });

  test('has the same bytes on every platform', () => {
    expect(digestOfSets(nestedArithmetic({ ...small, seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "deeper": "b813e701af6640d9",
        "deeperValidation": "9018e1ad80a0189a",
        "iid": "90a084606ab4b15d",
        "train": "a37f940ea1ca0bb0",
      }
    `);
    expect(digestOfSets(nestedArithmetic({ ...small, seed: 2 }).sets)).not.toEqual(
      digestOfSets(nestedArithmetic({ ...small, seed: 1 }).sets),
    );
  });

  test('refuses what it cannot generate', () => {
    expect(() => nestedArithmetic({ maxDepth: 2 })).toThrow('maxDepth must be an integer from 3 to 12');
    expect(() => nestedArithmetic({ deeperDepths: [6, 7] })).toThrow(
      'deeperDepths[0] must be an integer of at least 7',
    );
    expect(() => nestedArithmetic({ maxLength: 20 })).toThrow('maxLength must be an integer of at least 25, but is 20');
    expect(() => nestedArithmetic({ modulus: 11 })).toThrow('modulus must be an integer from 2 to 10, but is 11');
    expect(() => nestedArithmetic({ nesting: { train: 1, deeper: 0.3 } })).toThrow('nesting.train must be more than 0');
  });
});
