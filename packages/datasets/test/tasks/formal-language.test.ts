import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FormalLanguage, formalLanguage, type SymbolTask, type TokenBatch } from '../../src/index.ts';
import { digestOf } from '../digest.ts';
import { sequencesOf } from './token-rows.ts';

/** What is left of a word when all matching brackets next to each other have gone. */
function reduced(word: string): string {
  const shorter = word.replaceAll('()', '').replaceAll('[]', '');
  return shorter === word ? word : reduced(shorter);
}
const isBalanced = (word: string) => reduced(word) === '';
/** Whether closing brackets can make a balanced word of it. */
const isBeginning = (word: string) => /^[([]*$/.test(reduced(word));

/** Each language by its definition, in other words than the generator's. */
const isWord: Record<FormalLanguage, (word: string) => boolean> = {
  parity: (word) => /^0*(10*10*)*$/.test(word),
  'aa-star': (word) => /^(aa)+$/.test(word),
  'abab-star': (word) => /^(abab)+$/.test(word),
  'counter-2': (word) => word === 'a'.repeat(word.length / 2) + 'b'.repeat(word.length / 2),
  'counter-3': (word) => word === ['a', 'b', 'c'].map((letter) => letter.repeat(word.length / 3)).join(''),
  'dyck-1': isBalanced,
  'shuffle-2': isBalanced,
  'reset-dyck-1': (word) => {
    const parts = word.split('1') as [string, string];
    return parts.length === 2 && isBeginning(parts[0]) && isBalanced(parts[1]);
  },
};

/** What may come after a part of a word, of the symbols and the end (T) that the language's targets speak of. */
function continuations(language: FormalLanguage, part: string): string {
  const sinceReset = part.slice(part.indexOf('1') + 1);
  const withoutOthers = (brackets: string) => Array.from(part, (symbol) => (brackets.includes(symbol) ? symbol : ''));
  switch (language) {
    case 'dyck-1':
      return isBeginning(`${part})`) ? ')' : '';
    case 'reset-dyck-1':
      return isBeginning(`${sinceReset})`) ? ')' : '';
    case 'shuffle-2':
      return ['()', '[]'].map((pair) => (isBeginning(withoutOthers(pair).join('') + pair[1]) ? pair[1] : '')).join('');
    case 'counter-2':
    case 'counter-3': {
      const letters = language === 'counter-2' ? ['a', 'b'] : ['a', 'b', 'c'];
      const words = Array.from({ length: part.length }, (_, n) =>
        letters.map((letter) => letter.repeat(n + 1)).join(''),
      );
      const next = words.filter((word) => word.startsWith(part)).map((word) => word[part.length] ?? 'T');
      return [...new Set([...next, ...(/^a+$/.test(part) ? 'ab' : '')])].sort().join('');
    }
    default:
      return isWord[language](part) ? 'T' : '';
  }
}

/** The words of a batch, with the names of the targets. */
function wordsOf({ symbols, targetSymbols }: SymbolTask, batch: TokenBatch) {
  return sequencesOf(batch).map(({ inputs, targets, asked }) => {
    expect(asked).toEqual(asked.map((_, i) => i));
    expect(inputs.slice(asked.length).every((token) => token === 0)).toBe(true);
    const word = asked.map((i) => symbols[inputs[i] as number]);
    return { word: word.join(''), targets: asked.map((i) => targetSymbols[targets[i] as number]) };
  });
}

/** Fingerprints of the first training batch of four with seed 1. */
const fingerprints: Record<FormalLanguage, string> = {
  parity: '706d2a4c1d86a84f',
  'aa-star': '28ebf32b014d4f2b',
  'abab-star': 'd89d2d18e47cb17f',
  'counter-2': 'a4e8ec6968b2a03f',
  'counter-3': '26cdc4fa9c700392',
  'dyck-1': 'b352e33a84f53a76',
  'shuffle-2': '7cdd36b240dfb2a3',
  'reset-dyck-1': '2a44419843ab6171',
};

const languages = Object.keys(isWord) as FormalLanguage[];
const [least, most] = [4, 24];

/** Lengths of the words for lengths from `least` to `most`. */
const lengthsOf: Partial<Record<FormalLanguage, [number, number]>> = {
  'counter-2': [2 * least, 2 * most],
  'counter-3': [3 * least, 3 * most],
  'reset-dyck-1': [least, 2 * most + 1],
};

describe.each(languages)('%s', (language) => {
  const [shortest, longest] = lengthsOf[language] ?? [least, most];

  test('every string is a word; every target is what may come next', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('train' as const, 'test' as const), (seed, split) => {
        const lengths = { trainLengths: [least, most], evaluationLengths: [least, most] } as const;
        const task = formalLanguage({ language, ...lengths, seed });
        expect(task.lengths).toEqual({ train: longest, validation: longest, test: longest });
        expect([task.vocabularySize, task.targetCount]).toEqual([task.symbols.length, task.targetSymbols.length]);
        for (const { word, targets } of wordsOf(task, task.batch(0, 4, split))) {
          expect(word).toSatisfy(isWord[language]);
          expect(word.length).toBeGreaterThanOrEqual(shortest);
          expect(targets).toEqual(Array.from(word, (_, i) => continuations(language, word.slice(0, i + 1))));
        }
      }),
      { numRuns: 25 },
    );
  });

  test('has the same bytes on every platform', () => {
    expect(digestOf(formalLanguage({ language, seed: 1 }).batch(0, 4))).toBe(fingerprints[language]);
  });

  test('evaluation words are longer than training words by default; symbols and targets all occur', () => {
    const task = formalLanguage({ language, seed: 1 });
    const [train, evaluation] = [wordsOf(task, task.batch(0, 60)), wordsOf(task, task.batch(0, 20, 'validation'))];
    const factor = { 'counter-2': 2, 'counter-3': 3 }[language as string] ?? 1;
    if (language !== 'reset-dyck-1')
      expect(Math.max(...train.map(({ word }) => word.length))).toBeLessThanOrEqual(50 * factor);
    expect(Math.min(...evaluation.map(({ word }) => word.length))).toBeGreaterThan(50 * factor);
    const symbols = new Set(train.flatMap(({ word }) => [...word]));
    expect([...symbols].sort()).toEqual(task.symbols.slice(1).sort());
    const targets = new Set(train.flatMap((one) => one.targets));
    expect([...targets].sort()).toEqual([...task.targetSymbols].sort());
  });
});

describe('formalLanguage', () => {
  const targetsOf = (language: FormalLanguage, wanted: string, lengths: [number, number]) => {
    const task = formalLanguage({ language, trainLengths: lengths });
    for (let index = 0; index < 400; index++)
      for (const { word, targets } of wordsOf(task, task.batch(index, 32))) if (word === wanted) return targets;
    throw new Error(`${wanted} does not occur`);
  };

  test('examples of the paper', () => {
    expect(targetsOf('counter-2', 'aabb', [2, 2])).toEqual(['ab', 'ab', 'b', 'T']);
    expect(targetsOf('reset-dyck-1', '((1()', [2, 4])).toEqual([')', ')', '', ')', '']);
  });

  test('lengths of parity words follow a geometric distribution that is cut off', () => {
    const task = formalLanguage({ language: 'parity', trainLengths: [1, 3], seed: 3 });
    const counts = new Map<string, number>();
    for (const { word } of wordsOf(task, task.batch(0, 9000))) counts.set(word, (counts.get(word) ?? 0) + 1);
    // Each bit has probability 1/3, the end 1/3 and, after three bits, 1. Odd words are lengthened, or redrawn.
    const weights = { '0': 3, '11': 3 + 1, '00': 1, '011': 1 + 1, '101': 1 + 1, '000': 1, '110': 1 };
    const total = Object.values(weights).reduce((a, b) => a + b);
    for (const [word, weight] of Object.entries(weights)) {
      const mean = (9000 * weight) / total;
      expect(Math.abs((counts.get(word) ?? 0) - mean)).toBeLessThan(4.5 * Math.sqrt(mean));
    }
    expect(counts.size).toBe(Object.keys(weights).length);
  });

  test('refuses an unknown language and lengths that no word has', () => {
    expect(() => formalLanguage({ language: 'dyck-2' as FormalLanguage })).toThrow(
      'language must be one of parity, aa-star, abab-star, counter-2, counter-3, dyck-1, shuffle-2, reset-dyck-1, but is dyck-2',
    );
    expect(() => formalLanguage({ language: 'abab-star', trainLengths: [5, 7] })).toThrow(
      'words of abab-star have a multiple of 4 symbols; [5, 7] has none',
    );
    expect(() => formalLanguage({ language: 'dyck-1', evaluationLengths: [1, 1] })).toThrow('[1, 1] has none');
    expect(() => formalLanguage({ language: 'parity', trainLengths: [0, 4] })).toThrow(
      'trainLengths[0] must be an integer of at least 1, but is 0',
    );
  });
});
