/**
 * Text without a download: lines of statements that give values to names, change them, and look them up.
 *
 *     d=4;a=9;f=0;a?9;d=1;d?1;d=7;f=3;d?7; …
 *
 * A line gives each of its names a value, then goes on at random: `=` gives a name a new value, `?` is followed by the
 * value that the name was given last. That value can be known only by looking it up, and since names are re-assigned again
 * and again, a memory that adds up what it is told (the sum rule) confuses old values with new ones, where one that
 * overwrites (the delta rule) or keeps everything (softmax attention) does not. A new line starts afresh.
 *
 * All else is random by design, so the smallest possible loss is known: {@link syntheticTextEntropy}.
 */

import { createRandom, type Random } from './random.ts';
import { assertInteger, type Split, type TaskOptions, type TokenBatch } from './task.ts';

/** What the lines are like. */
export interface SyntheticTextGrammar {
  /** Names in a line: what the memory has to hold at a time. Default 6. */
  readonly names?: number;
  /** Different names that lines draw theirs from, at most 26 for names of one letter. Default: as many as `names`. */
  readonly lexicon?: number;
  /** Letters of a name. Default 1. */
  readonly nameLength?: number;
  /** Different values, 2 … 10; a value is a digit. Default 10. */
  readonly values?: number;
  /** Statements of a line after those that introduce its names. Default 58. */
  readonly statements?: number;
  /** Probability that such a statement is a look-up. Default 0.65. */
  readonly lookUpRate?: number;
}

/** Options of {@link syntheticText}. */
export interface SyntheticTextOptions extends SyntheticTextGrammar, TaskOptions {
  /** Bytes of text. The text of a smaller length is the beginning of that of a larger one. */
  readonly length: number;
  /** Part of the data; the lines of one part share no random numbers with those of another. Default `'train'`. */
  readonly split?: Split;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';

/**
 * Generates lines of assignments and look-ups as ASCII bytes.
 *
 * @throws RangeError if an option is out of range
 */
export function syntheticText({ length, seed = 0, split = 'train', ...options }: SyntheticTextOptions): Uint8Array {
  assertInteger('syntheticText: length', length, 0);
  const grammar = complete(options);
  const text = new Uint8Array(length);
  const encoder = new TextEncoder();
  for (let line = 0, position = 0; position < length; line++) {
    const random = createRandom(seed, 'synthetic-text', split, line);
    const bytes = encoder.encode(drawLine(grammar, random)).subarray(0, length - position);
    text.set(bytes, position);
    position += bytes.length;
  }
  return text;
}

/**
 * Marks what a perfect memory knows: 1 at each byte that is the value of a look-up whose name was given a value earlier in
 * the same line and within `text`, 0 elsewhere. `text` may be any piece of what {@link syntheticText} generated.
 */
export function markLookUps(text: Uint8Array): Uint8Array {
  const [newLine, separator, equals, question] = [10, 59, 61, 63];
  const marks = new Uint8Array(text.length);
  const known = new Set<string>();
  let name = '';
  text.forEach((byte, i) => {
    if (byte === newLine) known.clear();
    else if (byte === equals) known.add(name);
    else if (text[i - 1] === question && known.has(name)) marks[i] = 1;
    if (byte === separator || byte === newLine) name = '';
    else if (byte !== equals && byte !== question) name += String.fromCharCode(byte);
  });
  return marks;
}

/**
 * 1 where the target is the value of a look-up whose name was given a value within its own sequence, 0 elsewhere:
 * {@link markLookUps} for a batch of pieces of {@link syntheticText}, in the shape of its mask.
 */
export function lookUpMask({ inputs, targets, batchSize, length }: TokenBatch): Float32Array {
  const marks = new Float32Array(inputs.length);
  for (let row = 0; row < batchSize; row++) {
    const piece = new Uint8Array(length + 1);
    piece.set(inputs.subarray(row * length, row * length + 1));
    piece.set(targets.subarray(row * length, (row + 1) * length), 1);
    marks.set(markLookUps(piece).subarray(1), row * length);
  }
  return marks;
}

/**
 * The smallest possible loss on {@link syntheticText} in bits per byte: for a reader that remembers the latest value of each
 * name, and for one that remembers no values (but all else: the names of the line, and where it ends).
 */
export function syntheticTextEntropy(options: SyntheticTextGrammar = {}): {
  readonly perfectMemory: number;
  readonly noMemory: number;
} {
  const { names, lexicon, nameLength, values, statements, lookUpRate } = complete(options);
  const bytes = (names + statements) * (nameLength + 3) + 1;
  const chance = (p: number) => (p === 0 ? 0 : -p * Math.log2(p));
  let bits = names * Math.log2(values);
  for (let i = 0; i < names; i++) bits += Math.log2(lexicon - i);
  bits += statements * (Math.log2(names) + chance(lookUpRate) + chance(1 - lookUpRate));
  bits += statements * (1 - lookUpRate) * Math.log2(values);
  const lookedUp = statements * lookUpRate * Math.log2(values);
  return { perfectMemory: bits / bytes, noMemory: (bits + lookedUp) / bytes };
}

function complete({
  names = 6,
  lexicon = names,
  nameLength = 1,
  values = 10,
  statements = 58,
  lookUpRate = 0.65,
}: SyntheticTextGrammar): Required<SyntheticTextGrammar> {
  assertInteger('syntheticText: nameLength', nameLength, 1, 6);
  assertInteger('syntheticText: lexicon', lexicon, 1, LETTERS.length ** nameLength);
  assertInteger('syntheticText: names', names, 1, lexicon);
  assertInteger('syntheticText: values', values, 2, DIGITS.length);
  assertInteger('syntheticText: statements', statements, 0);
  if (!(lookUpRate >= 0 && lookUpRate <= 1)) {
    throw new RangeError(`syntheticText: lookUpRate must be a number from 0 to 1, but is ${String(lookUpRate)}.`);
  }
  return { names, lexicon, nameLength, values, statements, lookUpRate };
}

function drawLine(grammar: Required<SyntheticTextGrammar>, random: Random): string {
  const names = Array.from(random.sample(grammar.lexicon, grammar.names), (i) => nameOf(i, grammar.nameLength));
  const memory = new Map<string, string>();
  const assign = (name: string): string => {
    const value = DIGITS.charAt(random.integer(grammar.values));
    memory.set(name, value);
    return `${name}=${value};`;
  };
  let line = names.map(assign).join('');
  for (let i = 0; i < grammar.statements; i++) {
    const name = random.choice(names);
    line += random.chance(grammar.lookUpRate) ? `${name}?${memory.get(name)};` : assign(name);
  }
  return `${line}\n`;
}

/** Name number `index`: its digits to base 26, as letters. */
function nameOf(index: number, length: number): string {
  let name = '';
  for (let rest = index; name.length < length; rest = Math.floor(rest / LETTERS.length)) {
    name = LETTERS.charAt(rest % LETTERS.length) + name;
  }
  return name;
}
