/**
 * Copying of bit patterns of different lengths, the diagnostic task of Irie, Gopalakrishnan, Schmidhuber, "Exploring the
 * Promise and Limits of Real-Time Recurrent Learning" (2023): a pattern of s bits, s uniform in 1 … maximumBits, then as
 * many blanks, during which the pattern is to be given back, then blanks up to 2 · maximumBits tokens.
 *
 *     inputs    0 1 1 · · · · · · ·
 *     targets   · · · 0 1 1 · · · ·
 *
 * It comes with two ways of scoring:
 *
 * - `copyStrict`: every position counts, or every bit and nothing else. This asks for a copy.
 * - `copyReleased`: what the authors' released code scores. There the token that the loss ignores, meant to be the blank, is
 *   in fact the bit 1, as target tokens are numbered in the order in which the data show them: blank, 0, 1. So blanks and 0s
 *   count and 1s do not, and a model that gives blanks for s steps, then s times 0, then blanks is always right without
 *   knowing a single bit. It is a test of counting. Report {@link isBitOfCopy | the accuracy of all bits} with it.
 */

import { assertInteger, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';

/** Input tokens of {@link copyStrict} and {@link copyReleased}. */
export const BIT_COPY_TOKENS: { readonly zero: 0; readonly one: 1; readonly blank: 2 } = { zero: 0, one: 1, blank: 2 };

/** Targets of {@link copyStrict} and {@link copyReleased}, in the order of the authors' code. */
export const BIT_COPY_TARGETS: { readonly blank: 0; readonly zero: 1; readonly one: 2 } = { blank: 0, zero: 1, one: 2 };

/** Options of {@link copyReleased}. */
export interface BitCopyOptions extends TaskOptions {
  /** Most bits of a training pattern. Sequences have twice as many tokens. Default 50. */
  readonly maximumBits?: number;
  /** Most bits of a validation or test pattern. Default: `maximumBits`. */
  readonly evaluationMaximumBits?: number;
}

/** Options of {@link copyStrict}. */
export interface CopyStrictOptions extends BitCopyOptions {
  /** What counts: all positions, or only the bits. Default `'all'`. */
  readonly scored?: 'all' | 'bits';
}

/**
 * Copying of bits, of which every one counts. For inputs and targets see {@link BIT_COPY_TOKENS} and
 * {@link BIT_COPY_TARGETS}.
 *
 * @throws RangeError if an option is out of range
 */
export function copyStrict({ scored = 'all', ...options }: CopyStrictOptions = {}): TokenTask {
  return bitCopy('copy-strict', options, scored === 'all' ? () => true : isBitOfCopy);
}

/**
 * Copying of bits as the authors' released code scores it: targets 1 don't count. Shapes and tokens as {@link copyStrict}.
 *
 * @throws RangeError if an option is out of range
 */
export function copyReleased(options: BitCopyOptions = {}): TokenTask {
  return bitCopy('copy-released', options, (target) => target !== BIT_COPY_TARGETS.one);
}

/** Whether a target is a bit, not a blank: over such places the accuracy of bits is taken, whatever the mask says. */
export function isBitOfCopy(target: number): boolean {
  return target !== BIT_COPY_TARGETS.blank;
}

function bitCopy(
  name: string,
  { maximumBits = 50, evaluationMaximumBits = maximumBits, seed = 0 }: BitCopyOptions,
  counts: (target: number) => boolean,
): TokenTask {
  assertInteger(`${name}: maximumBits`, maximumBits, 1);
  assertInteger(`${name}: evaluationMaximumBits`, evaluationMaximumBits, 1);
  const evaluationLength = 2 * evaluationMaximumBits;
  const lengths = { train: 2 * maximumBits, validation: evaluationLength, test: evaluationLength };
  return tokenTask({ name, vocabularySize: 3, targetCount: 3, lengths }, seed, (row, random) => {
    const bits = 1 + random.integer(row.inputs.length / 2);
    row.inputs.fill(BIT_COPY_TOKENS.blank);
    for (let i = 0; i < bits; i++) {
      const bit = random.integer(2);
      row.inputs[i] = bit;
      row.targets[bits + i] = BIT_COPY_TARGETS.zero + bit;
    }
    row.targets.forEach((target, i) => {
      row.mask[i] = counts(target) ? 1 : 0;
    });
  });
}
