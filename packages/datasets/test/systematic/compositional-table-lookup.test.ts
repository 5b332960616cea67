import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CompositionalTableLookup, compositionalTableLookup } from '../../src/index.ts';
import { countsOf, digestOfSets, type Example, examplesOf, expectDisjoint } from './parts.ts';

/** Small enough for many runs. */
const small = {
  symbols: 4,
  functions: 4,
  newFunctions: 2,
  maxDepth: 4,
  trainExamples: 300,
  evaluationExamples: 60,
  extrapolationExamples: 50,
};
const formats = fc.constantFrom('forward' as const, 'backward' as const);
const seeds = fc.nat(1000);

/** Functions of an example, the first one first, and its symbol. */
function parse({ words }: Example, { vocabulary, classes }: CompositionalTableLookup, format: string) {
  const [symbol, ...functions] = format === 'backward' ? words.toReversed() : words;
  const first = vocabulary.encode('a')[0] as number;
  return {
    symbol: classes.indexOf(symbol as string),
    functions: Array.from(vocabulary.encode(functions.join(' ')), (token) => token - first),
  };
}

describe('compositionalTableLookup', () => {
  test('functions are different bijections', () => {
    const { tables } = compositionalTableLookup(small);
    for (const table of tables) expect([...table].sort()).toEqual([0, 1, 2, 3]);
    expect(new Set(tables.map(String)).size).toBe(6);
  });

  test('applying the tables one after the other solves every example, in both formats', () => {
    fc.assert(
      fc.property(formats, seeds, (format, seed) => {
        const data = compositionalTableLookup({ ...small, format, seed });
        for (const set of Object.values(data.sets)) {
          for (const example of examplesOf(set, data.vocabulary)) {
            const { symbol, functions } = parse(example, data, format);
            expect(example.depth).toBe(functions.length);
            expect(functions.reduce((value, f) => data.tables[f]?.[value] as number, symbol)).toBe(example.target);
          }
        }
      }),
      { numRuns: 10 },
    );
  });

  test('no example is in two parts; only the values of new functions are several times in training', () => {
    fc.assert(
      fc.property(formats, seeds, (format, seed) => {
        const { sets } = compositionalTableLookup({ ...small, format, seed });
        expectDisjoint(sets, 'train');
        expectDisjoint({ train: compositionalTableLookup({ ...small, seed, newFunctionRepeats: 1 }).sets.train });
      }),
      { numRuns: 10 },
    );
  });

  test('parts have the depths and sizes asked for', () => {
    const { sets, vocabulary } = compositionalTableLookup({ ...small, deeperValidationDepths: [5, 5] });
    const depths = (name: keyof typeof sets) => [...new Set(sets[name].depths)].sort((a, b) => a - b);
    expect(depths('train')).toEqual([1, 2, 3, 4]);
    for (const name of ['validation', 'test'] as const) {
      expect([Math.min(...depths(name)), Math.max(...depths(name))]).toEqual([2, 4]);
    }
    expect([depths('deeperValidation'), depths('deeper'), depths('newFunctions')]).toEqual([[5], [8, 9], [2, 3, 4]]);
    // Values of 4 functions once and of 2 functions 31 times; a quarter of 16, 64 and 256 compositions.
    expect(Object.values(sets).map(({ size }) => size)).toEqual([300 + 16 + 31 * 8, 60, 60, 50, 50, 4 + 16 + 64, 100]);
    const repeated = countsOf(examplesOf(sets.train, vocabulary).map(({ words }) => words.join(' ')));
    expect(countsOf(repeated.values())).toEqual(
      new Map([
        [1, 316],
        [31, 8],
      ]),
    );
  });

  test('held-out compositions and compositions with new functions are in no other part', () => {
    const format = 'forward';
    const data = compositionalTableLookup({ ...small, format });
    const compositionsOf = (name: keyof typeof data.sets) =>
      examplesOf(data.sets[name], data.vocabulary).map((example) => parse(example, data, format).functions);
    const heldOut = new Set(compositionsOf('heldOutCompositions').map(String));
    expect(heldOut.size).toBe(84);
    for (const name of ['train', 'validation', 'test'] as const) {
      for (const functions of compositionsOf(name)) {
        expect(heldOut.has(String(functions))).toBe(false);
        if (functions.length > 1) expect(Math.max(...functions)).toBeLessThan(4);
      }
    }
    for (const functions of compositionsOf('newFunctions')) {
      expect(functions.includes(4)).toBe(!functions.includes(5));
    }
  });

  test('by default the data set is that of the paper', () => {
    const { sets, vocabulary, classes } = compositionalTableLookup();
    // 19 words and 3 tokens of sentences; 53,136 compositions, 9 · 8 values and 31 · 2 · 8 of new functions.
    expect([vocabulary.size, classes.length]).toEqual([22, 8]);
    expect(Object.values(sets).map(({ size }) => size)).toEqual([
      53_136 + 72 + 31 * 16,
      4000,
      4000,
      1000,
      1000,
      21 + 183 + 200 + 200,
      2000,
    ]);
    expect(Math.max(...sets.deeper.inputLengths)).toBe(13);
    // Depths are drawn uniformly, but there are not many different shallow examples.
    const depths = countsOf(sets.test.depths);
    expect((depths.get(4) ?? 0) + (depths.get(5) ?? 0)).toBeGreaterThan(3200);
    expect(vocabulary.names.slice(3)).toEqual([...classes, ...'abcdefghijk']);
    expectDisjoint(sets, 'train');
  });

  test('has the same bytes on every platform', () => {
    expect(digestOfSets(compositionalTableLookup({ ...small, seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "deeper": "7e9541f7157984f0",
        "deeperValidation": "a7f47cc3023b9486",
        "heldOutCompositions": "a51065a71b258ba6",
        "newFunctions": "5fa47b517a8b5759",
        "test": "b89aaa7ae3276a6e",
        "train": "b84088327377574f",
        "validation": "3e549987a3fbaeca",
      }
    `);
  });

  test('a seed decides everything, the format nothing but the order of the words', () => {
    const texts = (format: 'forward' | 'backward', seed: number) => {
      const { sets, vocabulary } = compositionalTableLookup({ ...small, format, seed });
      return examplesOf(sets.test, vocabulary).map(({ words }) => words);
    };
    expect(texts('backward', 1)).toEqual(texts('forward', 1).map((words) => words.toReversed()));
    expect(texts('forward', 2)).not.toEqual(texts('forward', 1));
  });

  test('refuses what it cannot generate', () => {
    expect(() => compositionalTableLookup({ ...small, maxDepth: 1 })).toThrow('maxDepth must be an integer from 2');
    expect(() => compositionalTableLookup({ ...small, deeperDepths: [4, 5] })).toThrow(
      'deeperDepths[0] must be an integer of at least 5, but is 4',
    );
    expect(() => compositionalTableLookup({ ...small, symbols: 2 })).toThrow('newFunctions must be an integer from 0');
  });
});
