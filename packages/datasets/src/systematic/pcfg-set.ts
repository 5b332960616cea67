/**
 * PCFG SET: functions that edit strings, nested in each other; the target is the string that results.
 *
 *     repeat append A1 B2 , reverse C3 D4   →   A1 B2 D4 C3 A1 B2 D4 C3
 *
 * Functions come before their arguments, without brackets; a comma separates the two arguments of a function of two. A
 * random grammar makes the inputs. (The published data are a selection of such inputs whose depths and lengths are
 * distributed like those of English sentences; that selection is not made here.)
 *
 * Hupkes, Dankers, Mul, Bruni, "Compositionality Decomposed: How do Neural Networks Generalise?" (JAIR 2020).
 */

import { createRandom, type Random } from '../random.ts';
import { assertInteger, type TaskOptions } from '../task.ts';
import { drawDistinct, type KnownSentences } from './distinct-examples.ts';
import { type SentencePairSet, sentencePairSet } from './example-sets.ts';
import { SENTENCE_TOKENS, type SentenceVocabulary, sentenceVocabulary } from './sentences.ts';

/** Options of {@link pcfgSet}. */
export interface PcfgSetOptions extends TaskOptions {
  /**
   * What the test has that training hasn't: `'productivity'` (default) more functions than `maxTrainFunctions`;
   * `'systematicity'` a function right after another, in pairs that training never has, see {@link PCFG_HELD_OUT_PAIRS}.
   */
  readonly split?: 'productivity' | 'systematicity';
  /** Most functions of a training input of the productivity split. Default 8. */
  readonly maxTrainFunctions?: number;
  /** Most functions of an input. Default 35. */
  readonly maxFunctions?: number;
  /** Most symbols of a target. Default 736. */
  readonly maxTargetLength?: number;
  /** Different symbols that strings are made of. Default 520: A1 to Z20. */
  readonly symbols?: number;
  /** Inputs for training. Default 80,000. */
  readonly trainExamples?: number;
  /** Inputs of `iid` and of `test`. Default 10,000. */
  readonly evaluationExamples?: number;
}

/** Strings and what functions make of them. */
export interface PcfgSet {
  /** Words of inputs: functions, the comma, symbols. */
  readonly vocabulary: SentenceVocabulary;
  /** Words of targets: symbols. */
  readonly targetVocabulary: SentenceVocabulary;
  /** `iid` has examples like those of training. */
  readonly sets: Readonly<Record<'train' | 'iid' | 'test', SentencePairSet>>;
}

type Sequence = readonly number[];

const UNARY: Readonly<Record<string, (sequence: Sequence) => Sequence>> = {
  copy: (sequence) => sequence,
  reverse: (sequence) => sequence.toReversed(),
  shift: ([first, ...others]) => [...others, first as number],
  swap_first_last: (sequence) => [sequence.at(-1) as number, ...sequence.slice(1, -1), sequence[0] as number],
  repeat: (sequence) => [...sequence, ...sequence],
  echo: (sequence) => [...sequence, sequence.at(-1) as number],
};
const BINARY: Readonly<Record<string, (first: Sequence, second: Sequence) => Sequence>> = {
  append: (first, second) => [...first, ...second],
  prepend: (first, second) => [...second, ...first],
  remove_first: (_, second) => second,
  remove_second: (first) => first,
};
const FUNCTION_NAMES = [...Object.keys(UNARY), ...Object.keys(BINARY)];
const FUNCTION_WORDS = [...FUNCTION_NAMES, ','];
const COMMA = SENTENCE_TOKENS.firstWord + FUNCTION_NAMES.length;
const FIRST_SYMBOL = COMMA + 1;

/** Pairs of functions, one right after the other, that training of the systematicity split never has. */
export const PCFG_HELD_OUT_PAIRS: readonly (readonly [first: string, second: string])[] = [
  ['swap_first_last', 'repeat'],
  ['append', 'remove_second'],
  ['repeat', 'remove_second'],
  ['append', 'swap_first_last'],
];
const HELD_OUT_PAIRS = PCFG_HELD_OUT_PAIRS.map((pair) => pair.map(functionToken));

function functionToken(name: string): number {
  return SENTENCE_TOKENS.firstWord + FUNCTION_NAMES.indexOf(name);
}

/** An input, what it results in, and how many functions it has. */
interface Edit {
  readonly input: Sequence;
  /** Symbols as tokens of inputs. */
  readonly result: Sequence;
  readonly functions: number;
}

/**
 * Generates the data set.
 *
 * An input is a function; each argument is a function or a string of 2 to 5 symbols. The probability of that, and of functions
 * of one argument among functions, is drawn anew, uniformly, for every input; inputs that get too large are left out. No
 * input is in two parts or twice in one.
 *
 * @throws RangeError if an option is out of range, or there are not enough different inputs
 */
export function pcfgSet({
  split = 'productivity',
  maxTrainFunctions = 8,
  maxFunctions = 35,
  maxTargetLength = 736,
  symbols = 520,
  trainExamples = 80_000,
  evaluationExamples = 10_000,
  seed = 0,
}: PcfgSetOptions = {}): PcfgSet {
  const name = 'pcfgSet';
  if (split !== 'productivity' && split !== 'systematicity') {
    throw new RangeError(`${name}: split must be productivity or systematicity, but is ${String(split)}.`);
  }
  assertInteger(`${name}: maxFunctions`, maxFunctions, 2, 100);
  if (split === 'productivity') assertInteger(`${name}: maxTrainFunctions`, maxTrainFunctions, 1, maxFunctions - 1);
  assertInteger(`${name}: maxTargetLength`, maxTargetLength, 10);
  assertInteger(`${name}: symbols`, symbols, 1, 60_000);
  assertInteger(`${name}: trainExamples`, trainExamples, 0);
  assertInteger(`${name}: evaluationExamples`, evaluationExamples, 0);

  const isForTest = ({ input, functions }: Edit): boolean =>
    split === 'productivity'
      ? functions > maxTrainFunctions
      : HELD_OUT_PAIRS.some(([first, second]) => input.some((token, i) => token === first && input[i + 1] === second));
  const known: KnownSentences = new Set();
  const draw = (part: 'train' | 'iid' | 'test', count: number): SentencePairSet => {
    const random = createRandom(seed, 'pcfg-set', split, part);
    const drawWanted = () => {
      const edit = drawEdit(symbols, maxFunctions, maxTargetLength, random);
      return edit !== undefined && isForTest(edit) === (part === 'test') ? edit : undefined;
    };
    const edits = drawDistinct(`${name}: ${part}`, count, known, drawWanted);
    const toTarget = (token: number) => token - FIRST_SYMBOL + SENTENCE_TOKENS.firstWord;
    return sentencePairSet(
      (function* () {
        for (const { input, result } of edits) yield { input, target: result.map(toTarget) };
      })(),
    );
  };
  const names = symbolNames(symbols);
  return {
    vocabulary: sentenceVocabulary([...FUNCTION_WORDS, ...names]),
    targetVocabulary: sentenceVocabulary(names),
    sets: {
      train: draw('train', trainExamples),
      iid: draw('iid', evaluationExamples),
      test: draw('test', evaluationExamples),
    },
  };
}

/** A random input; `undefined` if it gets too large. */
function drawEdit(symbols: number, maxFunctions: number, maxTarget: number, random: Random): Edit | undefined {
  const [unaryProbability, functionProbability] = [random.uniform(), random.uniform()];
  const input: number[] = [];
  let functions = 0;
  const append = (name: string) => {
    input.push(functionToken(name));
    functions++;
  };
  // The result of the next argument, whose words are appended to the input.
  const drawArgument = (): Sequence | undefined => {
    if (random.chance(functionProbability)) return drawFunction();
    const string = Array.from({ length: 2 + random.integer(4) }, () => FIRST_SYMBOL + random.integer(symbols));
    input.push(...string);
    return string;
  };
  const drawFunction = (): Sequence | undefined => {
    if (functions === maxFunctions) return undefined;
    let result: Sequence | undefined;
    if (random.chance(unaryProbability)) {
      const name = random.choice(Object.keys(UNARY));
      append(name);
      const argument = drawArgument();
      result = argument && UNARY[name]?.(argument);
    } else {
      const name = random.choice(Object.keys(BINARY));
      append(name);
      const first = drawArgument();
      if (first === undefined) return undefined;
      input.push(COMMA);
      const second = drawArgument();
      result = second && BINARY[name]?.(first, second);
    }
    return result !== undefined && result.length <= maxTarget ? result : undefined;
  };
  const result = drawFunction();
  return result && { input, result, functions };
}

/** A1 to Z1, then A2 to Z2, …. */
function symbolNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[i % 26]}${1 + Math.floor(i / 26)}`);
}
