import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CtlPlusPlus, type CtlPlusPlusOptions, ctlPlusPlus } from '../../src/index.ts';
import { countsOf, digestOfSets, examplesOf, expectDisjoint } from './parts.ts';

/** Small enough for many runs. */
const small = { symbols: 5, functions: 12, depths: [2, 4], trainExamples: 400, evaluationExamples: 80 } as const;
const options = fc.record<CtlPlusPlusOptions>({
  variant: fc.constantFrom('R' as const, 'A' as const, 'two-stage' as const),
  format: fc.constantFrom('forward' as const, 'backward' as const),
  seed: fc.nat(1000),
});

/** Functions of the examples of a part, the first one first, with their symbol, groups and target. */
function read(data: CtlPlusPlus, part: keyof CtlPlusPlus['sets'], format = 'backward') {
  const first = data.vocabulary.encode('a')[0] as number;
  return examplesOf(data.sets[part], data.vocabulary).map(({ words, target, depth }) => {
    const [symbol, ...names] = format === 'backward' ? words.toReversed() : words;
    const functions = Array.from(data.vocabulary.encode(names.join(' ')), (token) => token - first);
    const groupOf = (f: number) =>
      Object.entries(data.groups).find(([, members]) => members.includes(f))?.[0] as string;
    return { symbol: Number(symbol), functions, groups: functions.map(groupOf), target, depth };
  });
}

/** All neighbours in the lists. */
const bigrams = (lists: readonly string[][]) =>
  new Set(lists.flatMap((list) => list.slice(1).map((group, i) => `${list[i]} ${group}`)));

describe('ctlPlusPlus', () => {
  test('applying the tables one after the other solves every example of every part', () => {
    fc.assert(
      fc.property(options, (chosen) => {
        const overlap = chosen.variant === 'two-stage' ? { functions: 3, symbols: 2 } : { functions: 0, symbols: 5 };
        const data = ctlPlusPlus({ ...small, ...chosen, overlap });
        for (const part of Object.keys(data.sets) as (keyof typeof data.sets)[]) {
          for (const { symbol, functions, target, depth } of read(data, part, chosen.format)) {
            expect(depth).toBe(functions.length);
            expect(functions.reduce((value, f) => data.tables[f]?.[value] as number, symbol)).toBe(target);
          }
        }
      }),
      { numRuns: 10 },
    );
  });

  test('no example is in two parts or twice in one', () => {
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 5 }), (chosen, shared) => {
        const overlap = chosen.variant === 'two-stage' ? { functions: 4, symbols: shared } : undefined;
        expectDisjoint(ctlPlusPlus({ ...small, ...chosen, ...(overlap && { overlap }) }).sets);
      }),
      { numRuns: 15 },
    );
  });

  test('R: in training functions of a group follow each other, in the test groups alternate', () => {
    const data = ctlPlusPlus({ ...small, variant: 'R' });
    const groups = (part: keyof typeof data.sets) => bigrams(read(data, part).map((example) => example.groups));
    expect([...groups('train'), ...groups('iid')].sort()).toEqual(['a a', 'a a', 'b b', 'b b']);
    expect([...groups('outOfDistribution')].sort()).toEqual(['a b', 'b a']);
    expect([...groups('anyOrder')].sort()).toEqual(['a a', 'a b', 'b a', 'b b']);
    expect(data.sets.unseenSymbols.size).toBe(0);
  });

  test('A: in training groups alternate, in the test functions of a group follow each other', () => {
    const data = ctlPlusPlus({ ...small, variant: 'A' });
    const groups = (part: keyof typeof data.sets) => bigrams(read(data, part).map((example) => example.groups));
    expect([...groups('train')].sort()).toEqual(['a b', 'b a']);
    expect([...groups('outOfDistribution')].sort()).toEqual(['a a', 'b b']);
  });

  test('training has all pairs of functions that it may have, but for those of iid', () => {
    for (const variant of ['R', 'A'] as const) {
      const data = ctlPlusPlus({ ...small, variant });
      const pairs = (part: keyof typeof data.sets) => read(data, part).filter(({ depth }) => depth === 2).length;
      expect(pairs('train') + pairs('iid')).toBe(2 * 6 * 6 * 5);
    }
  });

  test('two-stage: a1 is followed by a2 and b1 by b2 in training, by the other in the test', () => {
    const data = ctlPlusPlus({ ...small, variant: 'two-stage' });
    const pairs = (part: keyof typeof data.sets) =>
      new Set(
        read(data, part).flatMap(({ groups }) => groups.flatMap((g, i) => (i % 2 ? [`${groups[i - 1]} ${g}`] : []))),
      );
    expect([...pairs('train')].sort()).toEqual(['a1 a2', 'b1 b2']);
    expect([...pairs('outOfDistribution')].sort()).toEqual(['a1 b2', 'b1 a2']);
    expect([...countsOf(data.sets.train.depths).keys()].sort()).toEqual([2, 4]);
    const sizes = (shared: number) =>
      Object.values(
        ctlPlusPlus({
          variant: 'two-stage',
          overlap: { functions: shared, symbols: 4 },
          trainExamples: 100,
          evaluationExamples: 10,
        }).groups,
      ).map(({ length }) => length);
    expect([sizes(4), sizes(16)]).toEqual([
      [7, 7, 7, 7, 4],
      [4, 4, 4, 4, 16],
    ]);
  });

  test('an overlapping function has all symbols after a1 and b1 together, and as many as asked for after both', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(100), (shared, seed) => {
        const overlap = { functions: 8, symbols: shared };
        const { restrictedEdges, groups } = ctlPlusPlus({
          variant: 'two-stage',
          overlap,
          trainExamples: 50,
          evaluationExamples: 10,
          seed,
        });
        expect(restrictedEdges).toHaveLength(16);
        for (const f of groups['o'] as readonly number[]) {
          const [a, b] = restrictedEdges.filter((edge) => edge.function === f) as [
            (typeof restrictedEdges)[0],
            (typeof restrictedEdges)[0],
          ];
          expect([a.from, b.from]).toEqual(['a1', 'b1']);
          expect(new Set([...a.symbols, ...b.symbols]).size).toBe(8);
          expect([...a.symbols].filter((symbol) => b.symbols.has(symbol))).toHaveLength(shared);
          if ((8 - shared) % 2 === 0) expect(a.symbols.size).toBe(b.symbols.size);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('training has an overlapping function only with the symbols allowed there, unseenSymbols with all others', () => {
    const data = ctlPlusPlus({ ...small, variant: 'two-stage', overlap: { functions: 4, symbols: 2 } });
    const occurrences = (part: keyof typeof data.sets) =>
      read(data, part).flatMap(({ symbol, functions, groups }) => {
        let value = symbol;
        return functions.flatMap((f, i) => {
          const before = value;
          value = data.tables[f]?.[value] as number;
          return groups[i] === 'o' ? [{ from: groups[i - 1], function: f, value: before }] : [];
        });
      });
    const isAllowed = (place: { from: string | undefined; function: number; value: number }) =>
      data.restrictedEdges.some(
        ({ from, function: f, symbols }) => from === place.from && f === place.function && symbols.has(place.value),
      );
    const [seen, unseen] = [occurrences('train'), occurrences('unseenSymbols')];
    expect([seen.length > 100, seen.every(isAllowed), unseen.some(isAllowed)]).toEqual([true, true, false]);
    // Each of 4 functions misses 3 symbols after a1 or b1, whose 2 functions are bijections.
    expect(unseen).toHaveLength(4 * 3 * 2);
  });

  test('by default the data set is that of the paper', () => {
    const { possibleTrainExamples, sets, vocabulary } = ctlPlusPlus();
    expect([...possibleTrainExamples]).toEqual([
      [2, 4096],
      [3, 65_536],
      [4, 1_048_576],
      [5, 16_777_216],
      [6, 268_435_456],
    ]);
    const depths = countsOf([...sets.train.depths, ...sets.iid.depths]);
    expect([2, 3, 4, 5, 6].map((depth) => depths.get(depth))).toEqual([4096, 32_768, 88_728, 88_728, 88_728]);
    expect([sets.iid.size, sets.outOfDistribution.size, sets.anyOrder.size]).toEqual([1000, 1000, 1000]);
    expect(vocabulary.size).toBe(3 + 8 + 32);
  });

  test('A has as many possible examples as R; two-stage has only those of even depth', () => {
    const few = { trainExamples: 100, evaluationExamples: 10 };
    expect(ctlPlusPlus({ ...few, variant: 'A' }).possibleTrainExamples).toEqual(
      ctlPlusPlus({ ...few, variant: 'R' }).possibleTrainExamples,
    );
    const counts = ctlPlusPlus({ ...few, variant: 'two-stage' }).possibleTrainExamples;
    expect([...counts.values()]).toEqual([2 * 8 * 8 * 8, 0, 4 * 8 ** 4 * 8, 0, 8 * 8 ** 6 * 8]);
  });

  test('small data sets have what there is', () => {
    const { sets } = ctlPlusPlus({ symbols: 4, functions: 8, depths: [2, 3] });
    // All 128 pairs, half of the 512 of depth 3.
    expect(sets.train.size + sets.iid.size).toBe(128 + 256);
    expect(sets.outOfDistribution.size).toBe(128 + 512);
    expectDisjoint(sets);
  });

  test('has the same bytes on every platform', () => {
    expect(digestOfSets(ctlPlusPlus({ ...small, seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "anyOrder": "6b9ff02df114b0d9",
        "iid": "71abf6628a23a82a",
        "outOfDistribution": "a53e03a272d86083",
        "train": "f9d548a7e04a453c",
        "unseenSymbols": "e3b0c44298fc1c14",
      }
    `);
    const overlap = { functions: 4, symbols: 2 };
    expect(digestOfSets(ctlPlusPlus({ ...small, variant: 'two-stage', overlap, seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "anyOrder": "bd44cb1922a8bb69",
        "iid": "d42b593a7b462158",
        "outOfDistribution": "51abfebaf62a439e",
        "train": "8470f4b6447f9987",
        "unseenSymbols": "ed87991c68610f43",
      }
    `);
  });

  test('refuses what it cannot generate', () => {
    expect(() => ctlPlusPlus({ variant: 'B' as 'A' })).toThrow('variant must be one of R, A, two-stage, but is B');
    expect(() => ctlPlusPlus({ overlap: { functions: 4, symbols: 2 } })).toThrow(
      'overlap.functions must be an integer from 0 to 0, but is 4',
    );
    expect(() => ctlPlusPlus({ depths: [1, 3] })).toThrow('depths[0] must be an integer of at least 2');
    expect(() => ctlPlusPlus({ symbols: 3, functions: 8 })).toThrow('functions must be an integer from 2 to 6');
  });
});
