import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARITHMETIC_TOKENS, modularArithmetic, parity } from '../../src/index.ts';
import { sequencesOf } from './token-rows.ts';

describe('parity', () => {
  test('the target at every bit is the number of ones so far, modulo 2', () => {
    for (const { inputs, targets, asked } of sequencesOf(parity({ seed: 2 }).batch(0, 50))) {
      const bits = inputs.filter((token) => token > 0).map((token) => token - 1);
      expect(asked).toEqual(bits.map((_, i) => i));
      expect(asked.map((i) => targets[i])).toEqual(bits.map((_, i) => bits.slice(0, i + 1).filter(Boolean).length % 2));
    }
  });

  test('with supervision of the last bit only its target counts', () => {
    const every = sequencesOf(parity({ seed: 2 }).batch(0, 20));
    sequencesOf(parity({ seed: 2, supervision: 'last' }).batch(0, 20)).forEach(({ inputs, targets, asked }, row) => {
      const last = inputs.filter((token) => token > 0).length - 1;
      expect([inputs, asked]).toEqual([every[row]?.inputs, [last]]);
      expect(targets[last]).toBe(every[row]?.targets[last]);
    });
  });

  test('lengths are uniform in their range and longer in evaluation', () => {
    const task = parity({ trainBits: [3, 6], evaluationBits: [7, 7] });
    expect(task.lengths).toEqual({ train: 6, validation: 7, test: 7 });
    const counts = new Map<number, number>();
    for (const { asked } of sequencesOf(task.batch(0, 4000)))
      counts.set(asked.length, (counts.get(asked.length) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual([3, 4, 5, 6]);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
    expect(sequencesOf(task.batch(0, 9, 'test')).every(({ asked }) => asked.length === 7)).toBe(true);
  });

  test('refuses a range that is none', () => {
    expect(() => parity({ trainBits: [0, 4] })).toThrow('trainBits[0] must be an integer of at least 1, but is 0');
    expect(() => parity({ evaluationBits: [9, 4] })).toThrow(
      'evaluationBits[1] must be an integer of at least 9, but is 4',
    );
  });
});

describe('modularArithmetic', () => {
  const { plus, minus, times, equals, firstDigit } = ARITHMETIC_TOKENS;
  const symbols = new Map<number, string>([
    [plus, '+'],
    [minus, '-'],
    [times, '*'],
  ]);

  /** Value of an expression by its definition: products first, exactly. */
  const evaluate = (expression: string, modulus: number): number => {
    const sum = expression
      .replaceAll('-', '+-')
      .split('+')
      .map((product) => {
        const negative = product.startsWith('-');
        const value = product
          .slice(negative ? 1 : 0)
          .split('*')
          .reduce((result, factor) => result * BigInt(factor), 1n);
        return negative ? -value : value;
      })
      .reduce((a, b) => a + b);
    const m = BigInt(modulus);
    return Number(((sum % m) + m) % m);
  };

  test('the target at the equals sign is the value of the expression', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 11 }), fc.nat(1000), (modulus, seed) => {
        const task = modularArithmetic({ modulus, trainOperands: [1, 8], seed });
        expect([task.vocabularySize, task.targetCount, task.lengths.train]).toEqual([5 + modulus, modulus, 16]);
        for (const { inputs, targets, asked } of sequencesOf(task.batch(0, 5))) {
          const [end] = asked as [number];
          expect([asked.length, inputs[end]]).toEqual([1, equals]);
          expect(inputs.slice(end + 1).every((token) => token === ARITHMETIC_TOKENS.padding)).toBe(true);
          const text = inputs.slice(0, end).map((token) => symbols.get(token) ?? String(token - firstDigit));
          expect(targets[end]).toBe(evaluate(text.join(''), modulus));
        }
      }),
    );
  });

  test('where every number is asked for, its target is the value of the expression up to it', () => {
    const options = { trainOperands: [1, 8], seed: 3 } as const;
    const ofLast = sequencesOf(modularArithmetic(options).batch(0, 20));
    const every = modularArithmetic({ ...options, supervision: 'every' }).batch(0, 20);
    sequencesOf(every).forEach(({ inputs, targets, asked }, row) => {
      expect(inputs).toEqual(ofLast[row]?.inputs);
      const [end] = asked.slice(-1) as [number];
      expect(asked).toEqual([...Array.from({ length: (end + 1) / 2 }, (_, i) => 2 * i), end]);
      const text = inputs.map((token) => symbols.get(token) ?? String(token - firstDigit));
      for (const i of asked) expect(targets[i]).toBe(evaluate(text.slice(0, Math.min(i + 1, end)).join(''), 5));
    });
  });

  test('the examples of the paper hold in the evaluator of this test', () => {
    expect([evaluate('2+3*4', 5), evaluate('1-3', 5)]).toEqual([4, 3]);
  });

  test('all operators and digits occur', () => {
    const tokens = new Set(modularArithmetic().batch(0, 50).inputs);
    expect([...tokens].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
