/**
 * Sentences: sequences of words of different lengths, as tokens. Every sentence begins with `start` and ends with `end`; in
 * a batch the shorter ones are followed by `padding`.
 *
 *     [start, w₁, …, wₙ, end, padding, …]   lengths: n + 2
 */

/** Tokens that mean the same in every vocabulary of sentences; words follow from `firstWord`. */
export const SENTENCE_TOKENS: {
  readonly padding: 0;
  readonly start: 1;
  readonly end: 2;
  readonly firstWord: 3;
} = { padding: 0, start: 1, end: 2, firstWord: 3 };

/** Which token stands for which word. */
export interface SentenceVocabulary {
  /** Tokens are 0 … size − 1. */
  readonly size: number;
  /** Name of each token; those of the first three are `<pad>`, `<start>` and `<end>`. */
  readonly names: readonly string[];
  /**
   * Words between spaces to tokens, without start and end.
   *
   * @throws RangeError if a word is not in the vocabulary
   */
  encode(text: string): Int32Array;
  /** Tokens to words between spaces; padding, start and end are left out. */
  decode(tokens: ArrayLike<number>): string;
}

/** The vocabulary of the given words, in this order. */
export function sentenceVocabulary(words: readonly string[]): SentenceVocabulary {
  const names = ['<pad>', '<start>', '<end>', ...words];
  const tokenOf = new Map(words.map((word, i) => [word, SENTENCE_TOKENS.firstWord + i]));
  const encode = (text: string): Int32Array => {
    const tokens: number[] = [];
    for (const word of text.split(' ')) {
      if (word === '') continue;
      const token = tokenOf.get(word);
      if (token === undefined) {
        throw new RangeError(`The word ${JSON.stringify(word)} is not among the ${words.length} of the vocabulary.`);
      }
      tokens.push(token);
    }
    return new Int32Array(tokens);
  };
  const decode = (tokens: ArrayLike<number>): string => {
    const decoded: string[] = [];
    for (let i = 0; i < tokens.length; i++) {
      const name = names[tokens[i] as number];
      if (name === undefined)
        throw new RangeError(`There is no token ${tokens[i]}; the vocabulary has ${names.length}.`);
      if ((tokens[i] as number) >= SENTENCE_TOKENS.firstWord) decoded.push(name);
    }
    return decoded.join(' ');
  };
  return { size: names.length, names, encode, decode };
}

/** Sentences of a batch. */
export interface PaddedSentences {
  /** Tokens of the longest: the second extent. */
  readonly length: number;
  /** `[count, length]`. */
  readonly tokens: Int32Array;
  /** Tokens of each, start and end included `[count]`. */
  readonly lengths: Int32Array;
}

/** Many sentences in one array. */
export interface SentenceStore {
  /** Tokens of each, start and end included. */
  readonly lengths: Int32Array;
  /** The sentences with these numbers, padded to the longest of them. */
  take(numbers: ArrayLike<number>): PaddedSentences;
}

/** Collects sentences, which are given as tokens of words without start and end. */
export function sentenceCollector(): { add(words: ArrayLike<number>): void; finish(): SentenceStore } {
  // 16 bits per token, in an array that doubles: the paper's ListOps has 30 million tokens.
  let tokens = new Uint16Array(1024);
  let used = 0;
  const begins = [0];
  const add = (words: ArrayLike<number>): void => {
    if (used + words.length > tokens.length) {
      const larger = new Uint16Array(2 * (used + words.length));
      larger.set(tokens.subarray(0, used));
      tokens = larger;
    }
    tokens.set(words, used);
    used += words.length;
    begins.push(used);
  };
  const finish = (): SentenceStore => {
    const lengths = Int32Array.from(
      { length: begins.length - 1 },
      (_, i) => (begins[i + 1] as number) - (begins[i] as number) + 2,
    );
    const take = (numbers: ArrayLike<number>): PaddedSentences => {
      const taken = Int32Array.from(numbers, (number) => lengths[number] as number);
      const length = taken.reduce((longest, count) => Math.max(longest, count), 0);
      const padded = new Int32Array(numbers.length * length);
      taken.forEach((count, row) => {
        const begin = begins[numbers[row] as number] as number;
        padded[row * length] = SENTENCE_TOKENS.start;
        padded.set(tokens.subarray(begin, begin + count - 2), row * length + 1);
        padded[row * length + count - 1] = SENTENCE_TOKENS.end;
      });
      return { length, tokens: padded, lengths: taken };
    };
    return { lengths, take };
  };
  return { add, finish };
}
