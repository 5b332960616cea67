/** What the tests of data sets with parts have in common. */

import { expect } from 'vitest';
import {
  type ClassificationBatch,
  type ClassificationSet,
  type ExampleSet,
  orderedBatches,
  SENTENCE_TOKENS,
  type SentencePairSet,
  type SentenceVocabulary,
} from '../../src/index.ts';
import { digestOf } from '../digest.ts';

/** Words, class and depth of an example. */
export interface Example {
  readonly words: string[];
  readonly target: number;
  readonly depth: number;
}

/** The words of a sentence of a batch, after a check of its start, end and padding. */
function wordsOf(tokens: Int32Array, length: number, { decode }: SentenceVocabulary): string[] {
  const { padding, start, end, firstWord } = SENTENCE_TOKENS;
  const words = tokens.subarray(1, length - 1);
  const isRight =
    tokens[0] === start &&
    tokens[length - 1] === end &&
    tokens.subarray(length).every((token) => token === padding) &&
    words.every((token) => token >= firstWord);
  // An assertion for every sentence would take longer than all the rest.
  if (!isRight) throw new Error(`${tokens.join(' ')} is not a sentence of ${length} tokens.`);
  return decode(words).split(' ');
}

/** The examples of a set. */
export function examplesOf(set: ClassificationSet, vocabulary: SentenceVocabulary): Example[] {
  return [...orderedBatches(set, { batchSize: 512 })].flatMap(
    ({ batchSize, length, inputs, inputLengths, targets, depths }: ClassificationBatch) =>
      Array.from({ length: batchSize }, (_, row) => ({
        words: wordsOf(inputs.subarray(row * length, (row + 1) * length), inputLengths[row] as number, vocabulary),
        target: targets[row] as number,
        depth: depths[row] as number,
      })),
  );
}

/** The pairs of a set, as texts. */
export function pairsOf(
  set: SentencePairSet,
  inputVocabulary: SentenceVocabulary,
  targetVocabulary: SentenceVocabulary,
): [input: string, target: string][] {
  return [...orderedBatches(set, { batchSize: 512 })].flatMap((batch) =>
    Array.from({ length: batch.batchSize }, (_, row): [string, string] => {
      const part = (tokens: Int32Array, extent: number) => tokens.subarray(row * extent, (row + 1) * extent);
      const [inputLength, targetLength] = [batch.inputLengths[row] as number, batch.targetLengths[row] as number];
      return [
        wordsOf(part(batch.inputs, batch.inputLength), inputLength, inputVocabulary).join(' '),
        wordsOf(part(batch.targets, batch.targetLength), targetLength, targetVocabulary).join(' '),
      ];
    }),
  );
}

/** Makes sure that no sentence is in two sets, or twice in one that isn't `mayRepeat`. */
export function expectDisjoint<Name extends string>(
  sets: Readonly<Record<Name, ExampleSet<{ readonly inputs: Int32Array; readonly inputLengths: Int32Array }>>>,
  mayRepeat?: Name,
): void {
  const owners = new Map<string, Name>();
  for (const [name, set] of Object.entries(sets) as [Name, (typeof sets)[Name]][]) {
    const keys = [...orderedBatches(set, { batchSize: 512 })].flatMap(({ inputs, inputLengths }) => {
      const extent = inputs.length / inputLengths.length;
      return Array.from(inputLengths, (length, row) => inputs.subarray(row * extent, row * extent + length).join());
    });
    if (name !== mayRepeat) expect(new Set(keys).size, name).toBe(keys.length);
    for (const key of new Set(keys)) {
      const owner = owners.get(key);
      if (owner !== undefined) throw new Error(`${key} is in ${owner} and in ${name}.`);
      owners.set(key, name);
    }
  }
}

/** Fingerprint of the first examples of each set. */
export function digestOfSets(sets: Readonly<Record<string, ExampleSet<object>>>): Record<string, string> {
  const numbers = (size: number) => Int32Array.from({ length: Math.min(size, 64) }, (_, i) => i);
  return Object.fromEntries(Object.entries(sets).map(([name, set]) => [name, digestOf(set.take(numbers(set.size)))]));
}

/** How often each value occurs. */
export function countsOf<T>(values: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
