import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PCFG_HELD_OUT_PAIRS, type PcfgSet, pcfgSet } from '../../src/index.ts';
import { digestOfSets, expectDisjoint, pairsOf } from './parts.ts';

/** Small enough for many runs. */
const small = { trainExamples: 200, evaluationExamples: 50 };
const splits = fc.constantFrom('productivity' as const, 'systematicity' as const);

const unary = ['copy', 'reverse', 'shift', 'echo', 'swap_first_last', 'repeat'];
const binary = ['append', 'prepend', 'remove_first', 'remove_second'];
const isFunction = (word: string | undefined) => [...unary, ...binary].includes(word as string);

/** Result of an input by the definitions of the functions. */
function evaluate(text: string): string {
  const words = text.split(' ');
  let place = 0;
  const read = (): string[] => {
    const word = words[place] as string;
    if (unary.includes(word)) {
      place++;
      const x = read();
      const last = x.at(-1) as string;
      if (word === 'reverse') return [...x].reverse();
      if (word === 'shift') return x.slice(1).concat(x.slice(0, 1));
      if (word === 'echo') return x.concat(last);
      if (word === 'swap_first_last') return [last].concat(x.slice(1, -1), x.slice(0, 1));
      return word === 'repeat' ? x.concat(x) : x;
    }
    if (binary.includes(word)) {
      place++;
      const x = read();
      expect(words[place++]).toBe(',');
      const y = read();
      if (word === 'append') return x.concat(y);
      if (word === 'prepend') return y.concat(x);
      return word === 'remove_first' ? y : x;
    }
    const begin = place;
    while (place < words.length && words[place] !== ',') place++;
    return words.slice(begin, place);
  };
  const result = read();
  expect(place).toBe(words.length);
  return result.join(' ');
}

const read = ({ sets, vocabulary, targetVocabulary }: PcfgSet, part: keyof PcfgSet['sets']) =>
  pairsOf(sets[part], vocabulary, targetVocabulary);
const countFunctions = (input: string) => input.split(' ').filter(isFunction).length;

describe('pcfgSet', () => {
  test('examples of the authors hold in the evaluator of this test', () => {
    expect(evaluate('reverse copy O14 O4 C12 J14 W3')).toBe('W3 J14 C12 O4 O14');
    expect(evaluate('repeat append A1 B2 , reverse C3 D4')).toBe('A1 B2 D4 C3 A1 B2 D4 C3');
  });

  test('the target is what the functions make of the strings', () => {
    fc.assert(
      fc.property(splits, fc.nat(1000), (split, seed) => {
        const data = pcfgSet({ ...small, split, seed });
        for (const part of ['train', 'iid', 'test'] as const) {
          for (const [input, target] of read(data, part)) expect(target).toBe(evaluate(input));
        }
      }),
      { numRuns: 8 },
    );
  });

  test('no input is in two parts or twice in one', () => {
    fc.assert(
      fc.property(splits, fc.nat(1000), (split, seed) =>
        expectDisjoint(pcfgSet({ ...small, split, seed, symbols: 3 }).sets),
      ),
      { numRuns: 8 },
    );
  });

  test('productivity: the test has more functions than training', () => {
    const data = pcfgSet(small);
    for (const part of ['train', 'iid'] as const) {
      const counts = read(data, part).map(([input]) => countFunctions(input));
      expect([Math.min(...counts), Math.max(...counts)]).toEqual([1, 8]);
    }
    const counts = read(data, 'test').map(([input]) => countFunctions(input));
    expect(Math.min(...counts)).toBe(9);
    expect(Math.max(...counts)).toBeLessThanOrEqual(35);
    expect(Math.max(...data.sets.test.targetLengths) - 2).toBeLessThanOrEqual(736);
  });

  test('systematicity: pairs of functions are in every input of the test and in none of training', () => {
    const data = pcfgSet({ ...small, split: 'systematicity' });
    const hasPair = (input: string) => PCFG_HELD_OUT_PAIRS.some((pair) => input.includes(pair.join(' ')));
    expect(read(data, 'test').every(([input]) => hasPair(input))).toBe(true);
    for (const part of ['train', 'iid'] as const)
      expect(read(data, part).some(([input]) => hasPair(input))).toBe(false);
    // The functions of the pairs do occur in training, one by one.
    const words = new Set(read(data, 'train').flatMap(([input]) => input.split(' ')));
    expect(PCFG_HELD_OUT_PAIRS.flat().every((name) => words.has(name))).toBe(true);
  });

  test('there are 10 functions, a comma and 520 symbols', () => {
    const { vocabulary, targetVocabulary } = pcfgSet({ trainExamples: 1, evaluationExamples: 0 });
    expect([vocabulary.size, targetVocabulary.size]).toEqual([3 + 531, 3 + 520]);
    expect(targetVocabulary.names.slice(3, 5)).toEqual(['A1', 'B1']);
    expect(targetVocabulary.names.at(-1)).toBe('Z20');
  });

  test('has the same bytes on every platform', () => {
    expect(digestOfSets(pcfgSet({ ...small, seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "iid": "b6aae4fe6b0bb386",
        "test": "f727dd99957c8ffa",
        "train": "d4ec01549715f0e9",
      }
    `);
    expect(digestOfSets(pcfgSet({ ...small, split: 'systematicity', seed: 1 }).sets)).toMatchInlineSnapshot(`
      {
        "iid": "2b38bf4ee00d354d",
        "test": "a16afbcc7178a484",
        "train": "882b8deb120d6252",
      }
    `);
  });

  test('refuses what it cannot generate', () => {
    expect(() => pcfgSet({ split: 'localism' as 'productivity' })).toThrow(
      'split must be productivity or systematicity',
    );
    expect(() => pcfgSet({ maxTrainFunctions: 35 })).toThrow('maxTrainFunctions must be an integer from 1 to 34');
  });
});
