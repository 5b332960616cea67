/**
 * A corpus as tokens: bytes, which stay in the file, or characters or words, which are held in memory in the smallest
 * array that fits.
 */

import { mapSplits, type Split } from '../task.ts';
import { type TokenArray, type TokenSource, tokenSource } from '../tokens.ts';
import { openByteFile } from './byte-file.ts';
import type { Corpus, TextPart } from './corpus.ts';
import {
  byteVocabulary,
  type CharVocabulary,
  charVocabulary,
  END_OF_LINE,
  UNKNOWN,
  type Vocabulary,
  type WordVocabulary,
  wordsOf,
  wordVocabulary,
} from './vocabulary.ts';

/** The tokens of a corpus. */
export interface TokenizedCorpus<V extends Vocabulary = Vocabulary> extends Readonly<Record<Split, TokenSource>> {
  readonly vocabulary: V;
}

/** Bytes of a corpus; the files stay open until `close`. */
export interface ByteCorpus extends TokenizedCorpus {
  /** Closes the files. */
  close(): void;
}

/** A corpus as bytes (vocabulary of 256), read from the files where they are asked for. */
export function byteTokens({ splits }: Corpus): ByteCorpus {
  const files = mapSplits(splits, ({ path, begin, end }) => openByteFile(path, begin, end));
  const close = () => {
    for (const file of Object.values(files)) file.close();
  };
  return { vocabulary: byteVocabulary, ...files, close };
}

/**
 * A corpus as characters (code points of UTF-8). The vocabulary is all characters of the corpus in the order of their code
 * points; by convention those of validation and test count too.
 */
export function charTokens({ splits }: Corpus): TokenizedCorpus<CharVocabulary> {
  const found = new Set<string>();
  const counts = mapSplits(splits, (part) => {
    let count = 0;
    for (const text of textOf(part)) {
      for (const character of text) {
        found.add(character);
        count++;
      }
    }
    return count;
  });
  const vocabulary = charVocabulary(
    [...found].sort((a, b) => (a.codePointAt(0) as number) - (b.codePointAt(0) as number)),
  );
  const tokens = mapSplits(splits, (part, split) => {
    const array = arrayFor(vocabulary.size, counts[split]);
    let position = 0;
    for (const text of textOf(part)) {
      const encoded = vocabulary.encode(text);
      array.set(encoded, position);
      position += encoded.length;
    }
    return tokenSource(array);
  });
  return { vocabulary, ...tokens };
}

/**
 * A corpus as words between white space, with `<eos>` at the end of every line, as usual for WikiText. The vocabulary is
 * `<eos>`, then the words of the training text, the most frequent first (those equally frequent in the order of their
 * first occurrence), as adaptive softmax wants it. Words that the training text hasn't become `<unk>`, which is added at the
 * end unless the text has it.
 */
export function wordTokens({ splits }: Corpus): TokenizedCorpus<WordVocabulary> {
  const counts = new Map<string, number>();
  for (const line of linesOf(splits.train))
    for (const word of wordsOf(line)) counts.set(word, (counts.get(word) ?? 0) + 1);
  counts.delete(END_OF_LINE);
  // Maps keep the order of insertion and sorting is stable.
  const words = [...counts].sort(([, a], [, b]) => b - a).map(([word]) => word);
  const vocabulary = wordVocabulary([END_OF_LINE, ...words, ...(counts.has(UNKNOWN) ? [] : [UNKNOWN])]);
  const tokens = mapSplits(splits, (part) => {
    const list = new TokenList(vocabulary.size);
    for (const line of linesOf(part)) {
      for (const word of wordsOf(line)) list.push(vocabulary.tokenOf(word));
      list.push(vocabulary.tokenOf(END_OF_LINE));
    }
    return tokenSource(list.tokens);
  });
  return { vocabulary, ...tokens };
}

/** A list of tokens that grows, in the smallest array that fits. */
export class TokenList {
  #array: TokenArray;
  #count = 0;

  constructor(vocabularySize: number) {
    this.#array = arrayFor(vocabularySize, 1 << 16);
  }

  push(token: number): void {
    if (this.#count === this.#array.length) {
      const larger = new (this.#array.constructor as Uint16ArrayConstructor)(2 * this.#count);
      larger.set(this.#array);
      this.#array = larger;
    }
    this.#array[this.#count++] = token;
  }

  /** A copy of what there is. */
  get tokens(): TokenArray {
    return this.#array.slice(0, this.#count);
  }
}

function arrayFor(vocabularySize: number, length: number): TokenArray {
  if (vocabularySize <= 2 ** 8) return new Uint8Array(length);
  return vocabularySize <= 2 ** 16 ? new Uint16Array(length) : new Int32Array(length);
}

/** The text of a part of a file, a megabyte at a time; characters are not torn apart. */
function* textOf({ path, begin, end }: TextPart): Generator<string> {
  const file = openByteFile(path, begin, end);
  try {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    for (let position = 0; position < file.length; position += 1 << 20) {
      yield decoder.decode(file.read(position, Math.min(position + (1 << 20), file.length)), { stream: true });
    }
    yield decoder.decode();
  } finally {
    file.close();
  }
}

/** The lines of a part of a file, without their ends. */
function* linesOf(part: TextPart): Generator<string> {
  for (const line of linesWithEnds(part)) yield line.endsWith('\n') ? line.slice(0, -1) : line;
}

/** The lines of a part of a file, each with its end; the last one may have none. */
export function* linesWithEnds(part: TextPart): Generator<string> {
  let rest = '';
  for (const text of textOf(part)) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) yield `${line}\n`;
  }
  if (rest !== '') yield rest;
}
