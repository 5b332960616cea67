import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  lookUpMask,
  markLookUps,
  randomCrops,
  type SyntheticTextGrammar,
  syntheticText,
  syntheticTextEntropy,
} from '../src/index.ts';
import { digest } from './digest.ts';

const decode = (text: Uint8Array) => new TextDecoder().decode(text);

const grammars: fc.Arbitrary<SyntheticTextGrammar> = fc.record({
  names: fc.integer({ min: 1, max: 12 }),
  lexicon: fc.integer({ min: 12, max: 26 }),
  nameLength: fc.integer({ min: 1, max: 3 }),
  values: fc.integer({ min: 2, max: 10 }),
  statements: fc.integer({ min: 0, max: 40 }),
  lookUpRate: fc.constantFrom(0, 0.3, 1),
});

describe('syntheticText', () => {
  test('every look-up repeats the value that the name was given last', () => {
    fc.assert(
      fc.property(grammars, fc.nat(1000), (grammar, seed) => {
        const lines = decode(syntheticText({ ...grammar, length: 1500, seed }))
          .split('\n')
          .slice(0, -1);
        for (const line of lines) {
          const memory = new Map<string, string>();
          for (const statement of line.split(';').slice(0, -1)) {
            const [, name = '', operator, value] = /^([a-z]+)([=?])([0-9])$/.exec(statement) ?? [];
            const known = operator === '=' ? value : memory.get(name);
            memory.set(name, value as string);
            const isRight =
              name.length === grammar.nameLength && Number(value) < Number(grammar.values) && known === value;
            if (!isRight) expect.fail(`${statement} in ${line}`);
          }
          expect(memory.size).toBe(grammar.names);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('names are re-assigned and looked up many times in a line', () => {
    const line = decode(syntheticText({ length: 1000 })).split('\n')[0] as string;
    expect(line.match(/a=/g)?.length).toBeGreaterThan(2);
    expect(line.match(/a\?/g)?.length).toBeGreaterThan(2);
    expect(new Set(line.match(/a=[0-9]/g)).size).toBeGreaterThan(1);
  });

  test('a shorter text is the beginning of a longer one; splits and seeds differ', () => {
    const text = decode(syntheticText({ length: 2000, seed: 3 }));
    for (const length of [0, 1, 257, 1999]) {
      expect(decode(syntheticText({ length, seed: 3 }))).toBe(text.slice(0, length));
    }
    const others = [
      syntheticText({ length: 2000, seed: 4 }),
      syntheticText({ length: 2000, seed: 3, split: 'validation' }),
      syntheticText({ length: 2000, seed: 3, split: 'test' }),
    ];
    const lines = new Set([text, ...others.map(decode)].flatMap((part) => part.split('\n').slice(0, -1)));
    expect(lines.size).toBe(4 * 7);
  });

  test('has the same bytes on every platform', () => {
    expect(digest(syntheticText({ length: 10_000, seed: 1 }))).toBe('d79ac62ea4f59a1b');
  });

  test('refuses what it cannot generate', () => {
    expect(() => syntheticText({ length: -1 })).toThrow('length must be an integer of at least 0, but is -1');
    expect(() => syntheticText({ length: 1, names: 27 })).toThrow('lexicon must be an integer from 1 to 26, but is 27');
    expect(() => syntheticText({ length: 1, names: 9, lexicon: 8 })).toThrow('names must be an integer from 1 to 8');
    expect(() => syntheticText({ length: 1, lookUpRate: 2 })).toThrow('lookUpRate must be a number from 0 to 1');
  });
});

describe('markLookUps', () => {
  test('marks the values of look-ups, not those of assignments', () => {
    const marks = markLookUps(new TextEncoder().encode('a=1;b=2;a?1;a=3;a?3;b?2;\nb=4;'));
    expect([...marks.keys()].filter((i) => marks[i] === 1)).toEqual([10, 18, 22]);
  });

  test('leaves out look-ups whose assignment is not in the piece or in another line', () => {
    const marksOf = (text: string) => [...markLookUps(new TextEncoder().encode(text))].join('');
    expect(marksOf('1;a?1;a=2;a?2;')).toBe('00000000000010');
    expect(marksOf('ab=1;\nab?1;ab=2;ab?2;')).toBe('000000000000000000010');
    expect(marksOf('?4;a=1;a?1')).toBe('0000000001');
  });

  test('marks as many bytes as there are look-ups', () => {
    const text = syntheticText({ length: 5000, nameLength: 2, names: 5, lexicon: 100 });
    const marked = markLookUps(text).reduce((sum, mark) => sum + mark, 0);
    expect(marked).toBe(decode(text).match(/\?[0-9]/g)?.length);
  });
});

describe('syntheticTextEntropy', () => {
  test('is the entropy of the grammar', () => {
    // One name, two values, look-ups only: the first value is all that is random.
    const grammar = { names: 1, values: 2, statements: 3, lookUpRate: 1 };
    expect(syntheticTextEntropy(grammar)).toEqual({ perfectMemory: 1 / 17, noMemory: 4 / 17 });
    // Two names of four, four values, no look-ups: log2(4 · 3) + 2 · 2 bits, then 1 + 2 bits a statement.
    const assignments = { names: 2, lexicon: 4, values: 4, statements: 5, lookUpRate: 0 };
    const bits = Math.log2(12) + 4 + 15;
    expect(syntheticTextEntropy(assignments).perfectMemory).toBeCloseTo(bits / 29, 12);
    expect(syntheticTextEntropy(assignments).noMemory).toBeCloseTo(bits / 29, 12);
  });

  test('leaves a wide gap between memory and no memory with the default grammar', () => {
    const { perfectMemory, noMemory } = syntheticTextEntropy();
    expect(noMemory / perfectMemory).toBeGreaterThan(1.3);
  });
});

describe('lookUpMask', () => {
  test('marks the targets that are values of look-ups within a sequence', () => {
    const text = new TextEncoder().encode('a=1;a?1;b?2;a=3;a?3;');
    const [inputs, targets] = [text.subarray(0, 19), text.subarray(1, 20)].map((bytes) => Int32Array.from(bytes));
    const mask = new Float32Array(19).fill(1);
    const batch = { batchSize: 1, length: 19, inputs: inputs!, targets: targets!, mask };
    const marked = [...lookUpMask(batch)].flatMap((mark, i) => (mark ? [i] : []));
    // 'b' is looked up, but was given no value.
    expect(marked).toEqual([5, 17]);
  });

  test('looks at each sequence of a batch alone', () => {
    const crops = randomCrops(syntheticText({ length: 4000, seed: 2 }), { length: 60, seed: 3 });
    const whole = lookUpMask(crops.batch(0, 3));
    for (let row = 0; row < 3; row++) {
      expect(lookUpMask(crops.batch(row, 1))).toEqual(whole.subarray(row * 60, (row + 1) * 60));
    }
  });
});
