/**
 * Associative recall: a sequence names a few pairs of a letter and a digit, then asks for each letter again, in another
 * order. The digit after a letter of the second half can be known only by looking it up in the first half.
 *
 *     k4 c9 x0 a4 …   a? x? k? c? …   →   4 0 4 9 …
 */

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';

/** All symbols; a symbol's number is its place. */
export const SYMBOLS = LETTERS + DIGITS;
/** Pairs in a sequence. */
export const PAIRS = 12;
/** Symbols in a sequence. */
export const LENGTH = 4 * PAIRS;
/** Accuracy of a guess. */
export const CHANCE = 1 / DIGITS.length;

/**
 * Draws sequences.
 *
 * @param {import('@fwp/core').RandomStream} random
 * @param {number} count how many
 * @returns {{ inputs: Int32Array, targets: Int32Array, mask: Float32Array }} `[count, LENGTH]` each: the symbols, the symbol
 *   that follows each of them, and 1 where that is asked for
 */
export function drawSequences(random, count) {
  const inputs = new Int32Array(count * LENGTH);
  const targets = new Int32Array(count * LENGTH);
  const mask = new Float32Array(count * LENGTH);
  for (let row = 0; row < count; row++) {
    const begin = row * LENGTH;
    const letters = random.permutation(LETTERS.length).subarray(0, PAIRS);
    const digits = random.integers(PAIRS, 0, DIGITS.length);
    const order = [...Array(PAIRS).keys(), ...random.permutation(PAIRS)];
    order.forEach((pair, i) => {
      inputs[begin + 2 * i] = letters[pair];
      inputs[begin + 2 * i + 1] = LETTERS.length + digits[pair];
      if (i >= PAIRS) mask[begin + 2 * i] = 1;
    });
    targets.set(inputs.subarray(begin + 1, begin + LENGTH), begin);
  }
  return { inputs, targets, mask };
}

/** Symbols as text, in pairs. */
export function spell(symbols) {
  return [...symbols].map((symbol, i) => SYMBOLS[symbol] + (i % 2 === 1 ? ' ' : '')).join('');
}
