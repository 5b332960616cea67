/** Tasks whose tokens stand for symbols that people can read. */

import type { Random } from '../random.ts';
import { type Split, type TokenRow, type TokenTask, tokenTask } from '../task.ts';

/** A token task with the names of its tokens. */
export interface SymbolTask extends TokenTask {
  /** Name of each input token; token 0, the padding, has the empty name. */
  readonly symbols: readonly string[];
  /** Name of each target. */
  readonly targetSymbols: readonly string[];
}

/** Makes a task out of a generator of single sequences, as `tokenTask` does, and of the names of its tokens. */
export function symbolTask(
  { symbols, targetSymbols, ...description }: Pick<SymbolTask, 'name' | 'symbols' | 'targetSymbols' | 'lengths'>,
  seed: number,
  write: (row: TokenRow, random: Random, split: Split) => void,
): SymbolTask {
  const counts = { vocabularySize: symbols.length, targetCount: targetSymbols.length };
  return { ...tokenTask({ ...description, ...counts }, seed, write), symbols, targetSymbols };
}
