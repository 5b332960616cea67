/** Vocabularies: which token stands for which piece of text. */

/** A one-to-one relation between tokens 0 … size − 1 and pieces of text. */
export interface Vocabulary {
  /** Number of tokens. */
  readonly size: number;
  /**
   * Text to tokens.
   *
   * @throws RangeError if the text has a piece that is not in the vocabulary and there is no token for unknown ones
   */
  encode(text: string): Int32Array;
  /** Tokens to text. */
  decode(tokens: ArrayLike<number>): string;
}

/** Tokens are the bytes of UTF-8. Any text can be encoded; pieces of characters decode to U+FFFD. */
export const byteVocabulary: Vocabulary = {
  size: 256,
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
};

/** Vocabulary of characters (code points), in the order of `characters`. */
export interface CharVocabulary extends Vocabulary {
  /** The characters, by token. */
  readonly characters: readonly string[];
}

/** Makes a vocabulary of the given characters. */
export function charVocabulary(characters: readonly string[]): CharVocabulary {
  const tokenOf = new Map(characters.map((character, token) => [character, token]));
  const encode = (text: string): Int32Array =>
    Int32Array.from(text, (character) => {
      const token = tokenOf.get(character);
      if (token !== undefined) return token;
      throw new RangeError(
        `The character ${JSON.stringify(character)} is not among the ${characters.length} of the vocabulary.`,
      );
    });
  return { size: characters.length, characters, encode, decode: (tokens) => join(tokens, characters, '') };
}

/** The token at the end of each line. */
export const END_OF_LINE = '<eos>';
/** The token for words that the training text hasn't. */
export const UNKNOWN = '<unk>';

/** Vocabulary of words, in the order of `words`. */
export interface WordVocabulary extends Vocabulary {
  /** The words, by token. */
  readonly words: readonly string[];
  /** The token of a word; that of `<unk>` if it is not in the vocabulary. */
  tokenOf(word: string): number;
}

/** White space of Unicode without the byte order mark, as in Python, with which the published vocabularies were made. */
const WHITE_SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const OTHER_THAN_SPACE = new RegExp(WHITE_SPACE.source.replace(' ', ''));

/** The words of a line, without white space. */
export function wordsOf(line: string): string[] {
  // Splitting at a character is several times faster than at an expression, and nearly always enough.
  return line.split(OTHER_THAN_SPACE.test(line) ? WHITE_SPACE : ' ').filter((word) => word !== '');
}

/** Makes a vocabulary of the given words, of which `<unk>` is one. Every line of an encoded text ends with `<eos>`. */
export function wordVocabulary(words: readonly string[]): WordVocabulary {
  const tokens = new Map(words.map((word, token) => [word, token]));
  const unknown = tokens.get(UNKNOWN) as number;
  const tokenOf = (word: string) => tokens.get(word) ?? unknown;
  const encode = (text: string): Int32Array => {
    const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
    return Int32Array.from(lines.flatMap((line) => [...wordsOf(line), END_OF_LINE].map(tokenOf)));
  };
  return { size: words.length, words, tokenOf, encode, decode: (sequence) => join(sequence, words, ' ') };
}

function join(tokens: ArrayLike<number>, pieces: readonly string[], separator: string): string {
  return Array.from(tokens, (token) => {
    const piece = pieces[token];
    if (piece !== undefined) return piece;
    throw new RangeError(`There is no token ${token}; the vocabulary has ${pieces.length}.`);
  }).join(separator);
}
