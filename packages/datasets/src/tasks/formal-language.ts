/**
 * Formal languages: words of a language, read symbol by symbol; the target at each symbol is the set of symbols that may
 * come next, as far as the language tells them apart. A word counts as understood if all its targets are predicted.
 *
 *     parity         0 1 1 0 1 1   even number of ones           →   T - T T - T     T: the word may end here
 *     aa-star        a a a a       (aa)*                         →   - T - T
 *     abab-star      a b a b       (abab)*                       →   - - - T
 *     counter-2      a a b b       aⁿbⁿ                          →   ab ab b T
 *     counter-3      a a b b c c   aⁿbⁿcⁿ                        →   ab ab b c c T
 *     dyck-1         ( ( ) ) ( )   balanced brackets             →   ) ) ) - ) -     ): a bracket may be closed
 *     shuffle-2      ( [ ] )       two kinds of brackets         →   ) )] ) -
 *     reset-dyck-1   ( ( 1 ( )     brackets; 1 forgets them all  →   ) ) - ) -
 *
 * Bhattamishra, Ahuja, Goyal, "On the Ability and Limitations of Transformers to Recognize Formal Languages" (EMNLP 2020);
 * on these eight: Irie, Csordás, Schmidhuber, "Practical Computational Power of Linear Transformers and Their Recurrent and
 * Self-Referential Extensions" (EMNLP 2023). Words are drawn as in the data of both, except that a word may come again.
 */

import type { Random } from '../random.ts';
import { mapSplits, type TaskOptions } from '../task.ts';
import { drawBetween, type IntegerRange, rangesBySplit } from './ranges.ts';
import { type SymbolTask, symbolTask } from './symbol-task.ts';

/** Names of the languages that {@link formalLanguage} knows. */
export type FormalLanguage =
  | 'parity'
  | 'aa-star'
  | 'abab-star'
  | 'counter-2'
  | 'counter-3'
  | 'dyck-1'
  | 'shuffle-2'
  | 'reset-dyck-1';

/** Options of {@link formalLanguage}. */
export interface FormalLanguageOptions extends TaskOptions {
  readonly language: FormalLanguage;
  /**
   * Symbols of a training word. Default [2, 50]. For `counter-2` and `counter-3` this is n, how often each letter occurs;
   * for `reset-dyck-1` it is what each of the two parts of a word has at most, and the whole at least.
   */
  readonly trainLengths?: IntegerRange;
  /** The same for a validation or test word. Default [51, 100]. */
  readonly evaluationLengths?: IntegerRange;
}

interface Language {
  /** Input tokens 1, 2, …: one character each. */
  readonly alphabet: string;
  /** Names of the targets 0, 1, …: what may come next. */
  readonly targets: readonly string[];
  /** Lengths of words are multiples of this. Default 1. */
  readonly period?: number;
  /** Length of the longest word whose `lengths` end with `most`. Default: `most`. */
  readonly longest?: (most: number) => number;
  /** Draws a word. One that is too short is drawn again. */
  readonly draw: (random: Random, lengths: IntegerRange) => string;
  /** Makes a reader of one word: it is given the symbols one after the other and returns the target of each. */
  readonly reader: (word: string) => (symbol: string, position: number) => number;
}

const LANGUAGES: Readonly<Record<FormalLanguage, Language>> = {
  parity: {
    alphabet: '01',
    targets: ['', 'T'],
    draw: drawParity,
    reader: () => {
      let isEven = true;
      return (symbol) => Number((isEven = isEven !== (symbol === '1')));
    },
  },
  'aa-star': repetition('a', 2),
  'abab-star': repetition('ab', 4),
  'counter-2': counter('ab'),
  'counter-3': counter('abc'),
  'dyck-1': {
    alphabet: '()',
    targets: ['', ')'],
    period: 2,
    draw: (random, [, most]) => drawBrackets(random, ['()'], most),
    reader: () => {
      let depth = 0;
      return (symbol) => Number((depth += symbol === '(' ? 1 : -1) > 0);
    },
  },
  'shuffle-2': {
    alphabet: '()[]',
    targets: ['', ')', ']', ')]'],
    period: 2,
    draw: (random, [, most]) => drawBrackets(random, ['()', '[]'], most),
    reader: () => {
      const depths = [0, 0];
      return (symbol) => {
        const code = '()[]'.indexOf(symbol);
        depths[code >> 1]! += code % 2 === 0 ? 1 : -1;
        return Number(depths[0]! > 0) + 2 * Number(depths[1]! > 0);
      };
    },
  },
  'reset-dyck-1': {
    alphabet: '()1',
    targets: ['', ')'],
    longest: (most) => 2 * most + 1,
    draw: (random, [, most]) => {
      const forgotten = drawBrackets(random, ['()'], most);
      const remembered = drawBrackets(random, ['()'], most);
      return `${forgotten.slice(0, random.integer(forgotten.length + 1))}1${remembered}`;
    },
    reader: () => {
      let depth = 0;
      return (symbol) => Number((depth = symbol === '1' ? 0 : depth + (symbol === '(' ? 1 : -1)) > 0);
    },
  },
};

/**
 * Words of one of eight formal languages, each of which asks something else of a memory: a state that flips, a counter,
 * several counters, a reset. Training on short words and evaluating on long ones shows whether a model has the language.
 *
 * Tokens: 0 padding, then the symbols; see `symbols` and `targetSymbols` of the task. The words of a split are drawn
 * independently, so the same one may come twice; `aa-star`, `abab-star`, `counter-2` and `counter-3` have only as many
 * words as there are lengths.
 *
 * @throws RangeError if there is no such language, or it has no words of such lengths
 */
export function formalLanguage({
  language,
  trainLengths = [2, 50],
  evaluationLengths = [51, 100],
  seed = 0,
}: FormalLanguageOptions): SymbolTask {
  if (!Object.hasOwn(LANGUAGES, language)) {
    throw new RangeError(
      `formalLanguage: language must be one of ${Object.keys(LANGUAGES).join(', ')}, but is ${String(language)}.`,
    );
  }
  const { alphabet, targets, period = 1, longest = (most) => most, draw, reader } = LANGUAGES[language];
  const ranges = rangesBySplit('formalLanguage', { trainLengths, evaluationLengths }, 1);
  for (const [least, most] of Object.values(ranges)) {
    if (most - (most % period) < least) {
      throw new RangeError(
        `formalLanguage: words of ${language} have a multiple of ${period} symbols; [${least}, ${most}] has none.`,
      );
    }
  }
  const description = {
    name: `formal-language/${language}`,
    symbols: ['', ...alphabet],
    targetSymbols: targets,
    lengths: mapSplits(ranges, ([, most]) => longest(most)),
  };
  return symbolTask(description, seed, (row, random, split) => {
    const range = ranges[split];
    let word = draw(random, range);
    while (word.length < range[0]) word = draw(random, range);
    const read = reader(word);
    for (let i = 0; i < word.length; i++) {
      const symbol = word[i] as string;
      row.inputs[i] = 1 + alphabet.indexOf(symbol);
      row.targets[i] = read(symbol, i);
      row.mask[i] = 1;
    }
  });
}

/**
 * Bits with a geometrically distributed length, whose mean before it is cut off is the middle of the range. A 1 is appended
 * if the number of ones is odd: what is too short before that, or too long after it, is returned as the empty word.
 */
function drawParity(random: Random, [least, most]: IntegerRange): string {
  const stop = 1 / (1 + Math.floor((least + most) / 2));
  let word = '';
  let ones = 0;
  while (word.length < most && !random.chance(stop)) {
    const bit = random.integer(2);
    ones += bit;
    word += bit;
  }
  if (word.length < least) return '';
  if (ones % 2 === 1) word += '1';
  return word.length > most ? '' : word;
}

/** The language of all repetitions of `unit` that have a multiple of `period` symbols. */
function repetition(unit: string, period: number): Language {
  return {
    alphabet: unit,
    targets: ['', 'T'],
    period,
    draw: (random, lengths) => unit.repeat((Math.floor(drawBetween(lengths, random) / period) * period) / unit.length),
    reader: () => (_, position) => Number((position + 1) % period === 0),
  };
}

/** The language of words with n of each letter, one letter after the other. */
function counter(letters: string): Language {
  return {
    alphabet: letters,
    targets: [letters.slice(0, 2), ...letters.slice(1), 'T'],
    longest: (most) => letters.length * most,
    draw: (random, lengths) => {
      const n = drawBetween(lengths, random);
      return Array.from(letters, (letter) => letter.repeat(n)).join('');
    },
    // While a's are read, one more or a b; from the first b on it is clear what the next symbol is.
    reader: (word) => {
      const n = word.length / letters.length;
      return (_, position) => (position < n ? 0 : Math.floor((position + 1) / n));
    },
  };
}

/**
 * A word of the grammar S → (S) with probability 1/2 | SS with 1/4 | nothing with 1/4, where each pair of brackets is one of
 * `pairs`. What gets longer than `most` is replaced by nothing, at whatever level it does.
 */
function drawBrackets(random: Random, pairs: readonly string[], most: number, depth = 0): string {
  if (2 * depth >= most) return '';
  const rule = random.integer(4);
  let word = '';
  if (rule < 2) {
    const pair = random.choice(pairs);
    word = pair[0] + drawBrackets(random, pairs, most, depth + 1) + pair[1];
  } else if (rule === 2) {
    word = drawBrackets(random, pairs, most, depth) + drawBrackets(random, pairs, most, depth);
  }
  return word.length > most ? '' : word;
}
