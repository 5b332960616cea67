/**
 * State tracking: a sequence of symbols changes a state with few values; the target is the state. What can be learned by
 * recurrence only: parity (the state flips at every 1) and arithmetic modulo m.
 *
 *     parity               1 0 1 1        →   1 1 0 1
 *     modular arithmetic   2 + 3 * 4 =    →   4  (mod 5)
 *
 * Sequences have different lengths; the rest is filled with the padding token 0. Training on short and evaluating on long
 * ones shows whether a model has found the rule: Irie, Csordás, Schmidhuber, "Practical Computational Power of Linear
 * Transformers and Their Recurrent and Self-Referential Extensions" (2023); Grazzi et al., "Unlocking State-Tracking in Linear
 * RNNs Through Negative Eigenvalues" (2024).
 */

import { assertInteger, mapSplits, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';
import { drawBetween, type IntegerRange, rangesBySplit } from './ranges.ts';

/** Options of {@link parity}. */
export interface ParityOptions extends TaskOptions {
  /** Bits of a training sequence. Default [3, 40]. */
  readonly trainBits?: IntegerRange;
  /** Bits of a validation or test sequence. Default [40, 256]. */
  readonly evaluationBits?: IntegerRange;
  /** Whether the target counts at every bit or only at the last. Default `'every'`. */
  readonly supervision?: 'every' | 'last';
}

/**
 * Parity: the target at each bit is the number of ones so far, modulo 2. Tokens: 0 padding, 1 the bit 0, 2 the bit 1.
 *
 * @throws RangeError if a range is not such a range
 */
export function parity({
  trainBits = [3, 40],
  evaluationBits = [40, 256],
  supervision = 'every',
  seed = 0,
}: ParityOptions = {}): TokenTask {
  const bits = rangesBySplit('parity', { trainBits, evaluationBits }, 1);
  const lengths = mapSplits(bits, ([, most]) => most);
  return tokenTask({ name: 'parity', vocabularySize: 3, targetCount: 2, lengths }, seed, (row, random, split) => {
    const count = drawBetween(bits[split], random);
    let ones = 0;
    for (let i = 0; i < count; i++) {
      const bit = random.integer(2);
      ones += bit;
      row.inputs[i] = 1 + bit;
      if (supervision === 'last' && i < count - 1) continue;
      row.targets[i] = ones % 2;
      row.mask[i] = 1;
    }
  });
}

/** Tokens of {@link modularArithmetic}; the digit d is `firstDigit + d`. */
export const ARITHMETIC_TOKENS: {
  readonly padding: 0;
  readonly plus: 1;
  readonly minus: 2;
  readonly times: 3;
  readonly equals: 4;
  readonly firstDigit: 5;
} = { padding: 0, plus: 1, minus: 2, times: 3, equals: 4, firstDigit: 5 };

/** Options of {@link modularArithmetic}. */
export interface ModularArithmeticOptions extends TaskOptions {
  /** Default 5. */
  readonly modulus?: number;
  /** Numbers in a training expression. Default [2, 20]. */
  readonly trainOperands?: IntegerRange;
  /** Numbers in a validation or test expression. Default [20, 128]. */
  readonly evaluationOperands?: IntegerRange;
  /** Whether the value so far is asked for at every number too, or at the = only. Default `'last'`. */
  readonly supervision?: 'every' | 'last';
}

/**
 * Modular arithmetic without brackets: digits with +, − and *, of which * binds tighter, then =. The target at the = is the
 * value modulo `modulus`; at a number it is the value up to there. An expression of n numbers has 2 n tokens; see
 * {@link ARITHMETIC_TOKENS}.
 *
 * @throws RangeError if an option is out of range
 */
export function modularArithmetic({
  modulus = 5,
  trainOperands = [2, 20],
  evaluationOperands = [20, 128],
  supervision = 'last',
  seed = 0,
}: ModularArithmeticOptions = {}): TokenTask {
  assertInteger('modularArithmetic: modulus', modulus, 2, 2 ** 20);
  const operands = rangesBySplit('modularArithmetic', { trainOperands, evaluationOperands }, 1);
  const { plus, minus, times, equals, firstDigit } = ARITHMETIC_TOKENS;
  const description = {
    name: 'modular-arithmetic',
    vocabularySize: firstDigit + modulus,
    targetCount: modulus,
    lengths: mapSplits(operands, ([, most]) => 2 * most),
  };
  return tokenTask(description, seed, (row, random, split) => {
    const count = drawBetween(operands[split], random);
    // The value is sum + product, where the product (with its sign) is what a following * would multiply.
    let [sum, product] = [0, 0];
    for (let i = 0; i < count; i++) {
      const digit = random.integer(modulus);
      const operator = i === 0 ? plus : random.choice([plus, minus, times]);
      if (i > 0) row.inputs[2 * i - 1] = operator;
      row.inputs[2 * i] = firstDigit + digit;
      if (operator !== times) sum = (sum + product) % modulus;
      if (operator === plus) product = digit;
      else if (operator === minus) product = modulus - digit;
      else product = (product * digit) % modulus;
      if (supervision === 'last') continue;
      row.targets[2 * i] = (sum + product) % modulus;
      row.mask[2 * i] = 1;
    }
    const last = 2 * count - 1;
    row.inputs[last] = equals;
    row.targets[last] = (sum + product) % modulus;
    row.mask[last] = 1;
  });
}
