import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BIT_COPY_TARGETS, BIT_COPY_TOKENS, copyReleased, copyStrict, isBitOfCopy } from '../../src/index.ts';
import { type Sequence, sequencesOf } from './token-rows.ts';

/** Bits of a pattern: they come before the first blank, which always follows them. */
const bitsOf = ({ inputs }: Sequence) => inputs.indexOf(BIT_COPY_TOKENS.blank);

/** Share of sequences of which every position that counts is right. */
const sequenceAccuracy = (sequences: Sequence[], answer: (sequence: Sequence) => number[]) =>
  sequences.filter((sequence) => {
    const given = answer(sequence);
    return sequence.asked.every((i) => given[i] === sequence.targets[i]);
  }).length / sequences.length;

/** Share of bits that are right, whether they count or not. */
const bitAccuracy = (sequences: Sequence[], answer: (sequence: Sequence) => number[]) => {
  const right = sequences.flatMap((sequence) => {
    const given = answer(sequence);
    return sequence.targets.flatMap((target, i) => (isBitOfCopy(target) ? [given[i] === target] : []));
  });
  return right.filter(Boolean).length / right.length;
};

/** Counts, but does not remember: blanks for s steps, then s times 0. */
const countOnly = (sequence: Sequence) => {
  const bits = bitsOf(sequence);
  return sequence.inputs.map((_, i) => (i >= bits && i < 2 * bits ? BIT_COPY_TARGETS.zero : BIT_COPY_TARGETS.blank));
};

/** Does what is asked for. */
const copyPattern = (sequence: Sequence) => {
  const bits = bitsOf(sequence);
  const { zero, blank } = BIT_COPY_TARGETS;
  return sequence.inputs.map((_, i) =>
    i >= bits && i < 2 * bits ? zero + (sequence.inputs[i - bits] as number) : blank,
  );
};

describe.each([
  ['copyStrict', copyStrict],
  ['copyReleased', copyReleased],
])('%s', (_, create) => {
  test('a pattern, blanks while it is to be given back, blanks to the end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(1000), (maximumBits, seed) => {
        const task = create({ maximumBits, evaluationMaximumBits: 4, seed });
        expect(task).toMatchObject({ vocabularySize: 3, targetCount: 3, lengths: { train: 2 * maximumBits, test: 8 } });
        for (const sequence of sequencesOf(task.batch(0, 8))) {
          const bits = bitsOf(sequence);
          expect(bits).toBeGreaterThan(0);
          expect(bits).toBeLessThanOrEqual(maximumBits);
          expect(sequence.inputs.slice(bits).every((token) => token === BIT_COPY_TOKENS.blank)).toBe(true);
          expect(sequence.targets).toEqual(copyPattern(sequence));
        }
      }),
    );
  });

  test('lengths and bits are uniform', () => {
    const sequences = sequencesOf(create({ maximumBits: 5, seed: 1 }).batch(0, 5000));
    for (let bits = 1; bits <= 5; bits++) {
      expect(Math.abs(sequences.filter((sequence) => bitsOf(sequence) === bits).length - 1000)).toBeLessThan(120);
    }
    expect(bitAccuracy(sequences, countOnly)).toBeCloseTo(0.5, 1);
  });
});

describe('scoring', () => {
  const options = { maximumBits: 10, seed: 7 };
  const strict = sequencesOf(copyStrict(options).batch(0, 2000));
  const released = sequencesOf(copyReleased(options).batch(0, 2000));

  test('strict: every position counts, or every bit', () => {
    for (const { asked } of strict) expect(asked.length).toBe(20);
    for (const sequence of sequencesOf(copyStrict({ ...options, scored: 'bits' }).batch(0, 100))) {
      const bits = bitsOf(sequence);
      expect(sequence.asked).toEqual(Array.from({ length: bits }, (_, i) => bits + i));
    }
  });

  test('released: blanks and zeros count, ones do not', () => {
    for (const { targets, asked } of released) {
      expect(asked).toEqual(targets.flatMap((target, i) => (target === BIT_COPY_TARGETS.one ? [] : [i])));
    }
  });

  test('counting without remembering is perfect by the released scoring and not by the strict', () => {
    expect(sequenceAccuracy(released, countOnly)).toBe(1);
    expect(bitAccuracy(released, countOnly)).toBeCloseTo(0.5, 1);
    // A pattern of s bits is all zeros with probability 2⁻ˢ: (1 − 2⁻¹⁰) / 10 of the sequences.
    expect(sequenceAccuracy(strict, countOnly)).toBeCloseTo(0.1, 1);
  });

  test('copying is perfect by both', () => {
    expect([released, strict].map((sequences) => sequenceAccuracy(sequences, copyPattern))).toEqual([1, 1]);
    expect([released, strict].map((sequences) => bitAccuracy(sequences, copyPattern))).toEqual([1, 1]);
  });

  test('refuses a length that is none', () => {
    expect(() => copyStrict({ maximumBits: 0 })).toThrow('copy-strict: maximumBits must be an integer of at least 1');
    expect(() => copyReleased({ evaluationMaximumBits: 1.5 })).toThrow('copy-released: evaluationMaximumBits must be');
  });
});
