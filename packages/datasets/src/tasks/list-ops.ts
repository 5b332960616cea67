/**
 * ListOps: nested lists of digits under the operators MIN, MAX and FIRST; the target at the last token is the value.
 *
 *     [MAX 2 9 [MIN 4 7 ] 0 ]   →   9
 *
 * Nangia, Bowman, "ListOps: A Diagnostic Dataset for Latent Tree Learning" (2018). Read one token after the other, with three
 * operators and a fixed depth, as in Irie, Schlag, Csordás, Schmidhuber, "Going Beyond Linear Transformers with Recurrent Fast
 * Weight Programmers" (NeurIPS 2021), which has depths 10 and 15.
 */

import type { Random } from '../random.ts';
import { assertInteger, mapSplits, type TaskOptions } from '../task.ts';
import { type SymbolTask, symbolTask } from './symbol-task.ts';

const OPERATORS: readonly { readonly symbol: string; readonly of: (values: readonly number[]) => number }[] = [
  { symbol: '[MIN', of: (values) => Math.min(...values) },
  { symbol: '[MAX', of: (values) => Math.max(...values) },
  { symbol: '[FIRST', of: (values) => values[0] as number },
];
const DIGITS = Array.from({ length: 10 }, (_, digit) => String(digit));
const SYMBOLS = ['', ...OPERATORS.map(({ symbol }) => symbol), ']', ...DIGITS];
const CLOSE = SYMBOLS.indexOf(']');
const FIRST_DIGIT = SYMBOLS.indexOf('0');

/** Options of {@link listOps}. */
export interface ListOpsOptions extends TaskOptions {
  /** Lists within each other in a training sequence, from 1 to 20. Default 10. */
  readonly depth?: number;
  /** The same for a validation or test sequence. Default: `depth`. */
  readonly evaluationDepth?: number;
  /** Most tokens of a sequence of each depth; what is longer is drawn again. Default 30 per level, which less than one in fifty exceeds. */
  readonly maxLength?: number;
}

/**
 * Random lists: an element is a list with probability 1/4, else a digit, and a list has 2 to 5 elements. Of all such lists
 * those are taken that are nested exactly `depth` deep.
 *
 * @throws RangeError if an option is out of range
 */
export function listOps({ depth = 10, evaluationDepth = depth, maxLength, seed = 0 }: ListOpsOptions = {}): SymbolTask {
  assertInteger('listOps: depth', depth, 1, 20);
  assertInteger('listOps: evaluationDepth', evaluationDepth, 1, 20);
  const depths = { train: depth, validation: evaluationDepth, test: evaluationDepth };
  // The shortest list of a depth has an operator, a digit and a bracket at each level, and one digit more.
  if (maxLength !== undefined) assertInteger('listOps: maxLength', maxLength, 3 * Math.max(depth, evaluationDepth) + 1);
  const description = {
    name: 'list-ops',
    symbols: SYMBOLS,
    targetSymbols: DIGITS,
    lengths: mapSplits(depths, (depth) => maxLength ?? 30 * depth),
  };
  return symbolTask(description, seed, (row, random, split) => {
    let list = drawList(random, depths[split], row.inputs.length);
    while (list === undefined) list = drawList(random, depths[split], row.inputs.length);
    row.inputs.set(list.tokens);
    const last = list.tokens.length - 1;
    row.targets[last] = list.value;
    row.mask[last] = 1;
  });
}

/** A random list and its value, or nothing if this one isn't nested exactly `depth` deep or has too many tokens. */
function drawList(
  random: Random,
  depth: number,
  maxLength: number,
): { readonly tokens: readonly number[]; readonly value: number } | undefined {
  const tokens: number[] = [];
  let deepest = 0;
  /** Draws the list at a level and returns its value, or NaN as soon as there is too much of it. */
  const draw = (level: number): number => {
    deepest = Math.max(deepest, level);
    if (level > depth || tokens.length > maxLength) return Number.NaN;
    const operator = random.integer(OPERATORS.length);
    const count = 2 + random.integer(4);
    tokens.push(1 + operator);
    const values: number[] = [];
    for (let i = 0; i < count; i++) {
      let value: number;
      if (random.integer(4) === 0) {
        value = draw(level + 1);
        if (Number.isNaN(value)) return value;
      } else {
        value = random.integer(10);
        tokens.push(FIRST_DIGIT + value);
      }
      values.push(value);
    }
    tokens.push(CLOSE);
    return (OPERATORS[operator] as (typeof OPERATORS)[number]).of(values);
  };
  const value = draw(1);
  if (deepest !== depth || tokens.length > maxLength) return undefined;
  return { tokens, value };
}
