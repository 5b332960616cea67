/** Functions given by tables: random bijections of a few symbols, the words of compositions of them. */

import type { Random } from '../random.ts';
import type { Classification } from './example-sets.ts';
import { SENTENCE_TOKENS, type SentenceVocabulary, sentenceVocabulary } from './sentences.ts';

/** Where the functions stand: `x f₁ f₂ … fₙ` (forward) or `fₙ … f₂ f₁ x` (backward); f₁ is applied first. */
export type CompositionFormat = 'forward' | 'backward';

/** Different bijections of 0 … symbols − 1: `tables[f][x]` is f(x). */
export function drawBijections(count: number, symbols: number, random: Random): Int32Array[] {
  const tables = new Map<string, Int32Array>();
  while (tables.size < count) {
    const table = random.permutation(symbols);
    tables.set(table.join(), table);
  }
  return [...tables.values()];
}

/** Number of bijections of so many symbols, or so many that it doesn't matter. */
export function countBijections(symbols: number): number {
  let count = 1;
  for (let i = 2; i <= symbols && count < 2 ** 31; i++) count *= i;
  return Math.min(count, 2 ** 31);
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** Letters, or f1, f2, … if there are more functions than letters. */
export function functionNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => (count <= LETTERS.length ? (LETTERS[i] as string) : `f${i + 1}`));
}

/** The words of compositions: first the symbols, then the functions. */
export function compositionVocabulary(symbolNames: readonly string[], functions: number): SentenceVocabulary {
  return sentenceVocabulary([...symbolNames, ...functionNames(functions)]);
}

/** Makes the example of a symbol and the functions that are applied to it, the first one first. */
export function composition(
  tables: readonly Int32Array[],
  symbols: number,
  format: CompositionFormat,
  symbol: number,
  functions: readonly number[],
): Classification {
  const { firstWord } = SENTENCE_TOKENS;
  const input = [firstWord + symbol, ...functions.map((f) => firstWord + symbols + f)];
  if (format === 'backward') input.reverse();
  const target = functions.reduce((value, f) => tables[f]?.[value] as number, symbol);
  return { input, target, depth: functions.length };
}
