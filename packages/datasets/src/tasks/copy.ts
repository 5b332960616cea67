/**
 * Copying: symbols are shown, then asked for in the same order.
 *
 * - `copy`: the symbols come first, one after the other (Hochreiter, Schmidhuber 1997; Arjovsky, Shah, Bengio 2016).
 * - `selectiveCopy`: they stand at random places among blanks, so that a model has to choose by content what to remember
 *   (Jing et al. 2019; Gu, Dao, "Mamba" 2023, section 4.1.1).
 *
 *     copy            3 5 4 2 _ _ _ ? ? ? ?   →   3 5 4 2 at the places of the question marks
 *     selective copy  _ 3 _ _ 5 4 _ 2 ? ? ? ?
 */

import { assertInteger, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';

/** Tokens of {@link copy} and {@link selectiveCopy}; the symbols follow. */
export const COPY_TOKENS: { readonly blank: 0; readonly question: 1; readonly firstSymbol: 2 } = {
  blank: 0,
  question: 1,
  firstSymbol: 2,
};

/** Options of {@link copy} and {@link selectiveCopy}. */
export interface CopyOptions extends TaskOptions {
  /** Symbols to be copied in a training sequence. */
  readonly count: number;
  /** Symbols to be copied in a validation or test sequence. Default: `count`. */
  readonly evaluationCount?: number;
  /** Different symbols. Default 8. */
  readonly symbols?: number;
  /** Blanks: between symbols and question in `copy`, among the symbols in `selectiveCopy`. Default 0. */
  readonly blanks?: number;
}

/**
 * Copying of consecutive symbols. A sequence has 2 · count + blanks tokens; the last `count` are questions, whose targets
 * are the symbols.
 *
 * @throws RangeError if an option is out of range
 */
export function copy(options: CopyOptions): TokenTask {
  return copyTask('copy', options, (count) => Int32Array.from({ length: count }, (_, i) => i));
}

/**
 * Copying of symbols that are scattered among blanks. Shapes as {@link copy}.
 *
 * @throws RangeError if an option is out of range
 */
export function selectiveCopy(options: CopyOptions): TokenTask {
  return copyTask('selective-copy', options, (count, blanks, sample) => sample(count + blanks, count).sort());
}

function copyTask(
  name: string,
  { count, evaluationCount = count, symbols = 8, blanks = 0, seed = 0 }: CopyOptions,
  placesOf: (count: number, blanks: number, sample: (below: number, count: number) => Int32Array) => Int32Array,
): TokenTask {
  assertInteger(`${name}: count`, count, 1);
  assertInteger(`${name}: evaluationCount`, evaluationCount, 1);
  assertInteger(`${name}: symbols`, symbols, 1, 2 ** 31 - COPY_TOKENS.firstSymbol);
  assertInteger(`${name}: blanks`, blanks, 0);
  const vocabularySize = COPY_TOKENS.firstSymbol + symbols;
  const evaluationLength = 2 * evaluationCount + blanks;
  const lengths = { train: 2 * count + blanks, validation: evaluationLength, test: evaluationLength };
  return tokenTask({ name, vocabularySize, targetCount: vocabularySize, lengths }, seed, (row, random) => {
    const shown = (row.inputs.length - blanks) / 2;
    const questions = shown + blanks;
    placesOf(shown, blanks, random.sample).forEach((place, i) => {
      const symbol = COPY_TOKENS.firstSymbol + random.integer(symbols);
      row.inputs[place] = symbol;
      row.inputs[questions + i] = COPY_TOKENS.question;
      row.targets[questions + i] = symbol;
      row.mask[questions + i] = 1;
    });
  });
}
