/** Pairs of texts from files as sets of examples: words get tokens in the order in which they occur first. */

import { type SentencePairSet, sentencePairSet } from '../systematic/example-sets.ts';
import { SENTENCE_TOKENS, type SentenceVocabulary, sentenceVocabulary } from '../systematic/sentences.ts';

/** An input and a target, as words. */
export type WordPair = readonly [input: readonly string[], target: readonly string[]];

/** Pairs of sentences from files. */
export interface SentencePairFiles<Part extends string> {
  /** Words of inputs; the same as `targetVocabulary` where inputs and targets share one. */
  readonly vocabulary: SentenceVocabulary;
  /** Words of targets. */
  readonly targetVocabulary: SentenceVocabulary;
  /** The examples, in the order of the files. */
  readonly sets: Readonly<Record<Part, SentencePairSet>>;
}

/** Makes sets of the pairs; `isShared`: one vocabulary for inputs and targets. */
export function pairsFromFiles<Part extends string>(
  parts: Readonly<Record<Part, Iterable<WordPair>>>,
  isShared: boolean,
): SentencePairFiles<Part> {
  const inputTokens = new Map<string, number>();
  const targetTokens = isShared ? inputTokens : new Map<string, number>();
  const encode = (words: readonly string[], tokens: Map<string, number>): Int32Array =>
    Int32Array.from(words, (word) => {
      const token = tokens.get(word) ?? SENTENCE_TOKENS.firstWord + tokens.size;
      tokens.set(word, token);
      return token;
    });
  function* encoded(pairs: Iterable<WordPair>) {
    for (const [input, target] of pairs) {
      yield { input: encode(input, inputTokens), target: encode(target, targetTokens) };
    }
  }
  const sets = Object.fromEntries(
    Object.entries<Iterable<WordPair>>(parts).map(([part, pairs]) => [part, sentencePairSet(encoded(pairs))]),
  ) as Record<Part, SentencePairSet>;
  const vocabulary = sentenceVocabulary([...inputTokens.keys()]);
  const targetVocabulary = isShared ? vocabulary : sentenceVocabulary([...targetTokens.keys()]);
  return { vocabulary, targetVocabulary, sets };
}

/** What is between spaces. */
export function wordsBetweenSpaces(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
