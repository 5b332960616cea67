/**
 * Subwords: tokens that are frequent sequences of bytes, by byte-pair encoding (Sennrich et al., 2016) over the bytes of UTF-8
 * (Radford et al., 2019). Training begins with the 256 bytes and joins the most frequent pair of neighbours within words to a new
 * token, again and again; encoding applies the joins in the order in which they were learned. Any text can be encoded, and
 * decoding gives it back.
 *
 * Tokenizers are in the format of `tokenizer.json` files. Those of others, Unigram ones too, can be read.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { assertInteger, mapSplits } from '../task.ts';
import { tokenSource } from '../tokens.ts';
import { openByteFile } from './byte-file.ts';
import { CorruptDataError } from './checksum.ts';
import type { Corpus, TextPart } from './corpus.ts';
import { linesWithEnds, type TokenizedCorpus, TokenList } from './tokenize.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The content of a `tokenizer.json` file. */
export interface TokenizerDefinition {
  readonly model: {
    readonly type: string;
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
    readonly [name: string]: unknown;
  };
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[] | null;
  readonly [name: string]: unknown;
}

/** Options of {@link trainSubwords}. */
export interface TrainSubwordsOptions {
  /** Number of tokens: 256 bytes, and at most so many more as there are joins to learn. */
  readonly vocabularySize: number;
  /** Whether each digit is a token of its own. Default true, as in the papers on mixtures of experts. */
  readonly splitDigits?: boolean;
}

/** Bytes that stand for themselves in the names of tokens; the others stand for the characters from U+0100 on. */
const PRINTABLE: readonly (readonly [first: number, last: number])[] = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
];

/**
 * Learns a byte-level byte-pair encoding from the training text of a corpus. Needs the package `@anush008/tokenizers`, which is
 * not installed along with this one.
 *
 * @returns the tokenizer, to be written to a file with `JSON.stringify` and to be used with {@link subwordVocabulary}
 * @throws Error if the package isn't installed
 */
export async function trainSubwords(
  { splits }: Corpus,
  { vocabularySize, splitDigits = true }: TrainSubwordsOptions,
): Promise<TokenizerDefinition> {
  assertInteger('trainSubwords: vocabularySize', vocabularySize, 256, MOST_TOKENS);
  const library = await trainer();
  const folder = await mkdtemp(join(tmpdir(), 'fwp-subwords-'));
  try {
    const tokenizer = new library.Tokenizer(library.BPE.empty());
    const bytes = library.byteLevelPreTokenizer(false, true);
    tokenizer.setPreTokenizer(
      splitDigits ? library.sequencePreTokenizer([library.digitsPreTokenizer(true), bytes]) : bytes,
    );
    tokenizer.train([await fileOf(splits.train, join(folder, 'text'))]);
    const path = join(folder, 'tokenizer.json');
    tokenizer.save(path);
    const learned = JSON.parse(await readFile(path, 'utf8')) as TokenizerDefinition;
    return shortened(learned, vocabularySize);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the library learns whatever is wanted: as joins come one after the other, fewer are its first ones. */
const MOST_TOKENS = 30_000;

async function trainer(): Promise<typeof import('@anush008/tokenizers')> {
  return import('@anush008/tokenizers').catch((error: Error) => {
    throw new Error(
      'trainSubwords needs a package that is not installed along with @fwp/datasets; get it with ' +
        '"npm install @anush008/tokenizers", or read the tokenizer of somebody else with readTokenizer.',
      { cause: error },
    );
  });
}

/** The path of a file that holds the part and nothing else. */
async function fileOf({ path, begin, end }: TextPart, temporary: string): Promise<string> {
  const whole = openByteFile(path);
  try {
    if (begin === 0 && end === whole.length) return path;
    await writeFile(temporary, whole.read(begin, end));
    return temporary;
  } finally {
    whole.close();
  }
}

/** The tokenizer of all 256 bytes and the first joins. */
function shortened(learned: TokenizerDefinition, vocabularySize: number): TokenizerDefinition {
  const vocab: Record<string, number> = {};
  for (let byte = 0; byte < 256; byte++) vocab[nameOfByte(byte)] = byte;
  const merges: (readonly [string, string])[] = [];
  let size = 256;
  for (const merge of learned.model['merges'] as readonly (readonly [string, string])[]) {
    const name = merge.join('');
    if (!Object.hasOwn(vocab, name)) {
      if (size === vocabularySize) break;
      vocab[name] = size++;
    }
    merges.push(merge);
  }
  const decoder = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true };
  return { ...learned, decoder, model: { ...learned.model, vocab, merges } };
}

function nameOfByte(byte: number): string {
  let place = 0x100;
  for (let b = 0; b < byte; b++) if (!isPrintable(b)) place++;
  return String.fromCharCode(isPrintable(byte) ? byte : place);
}

function isPrintable(byte: number): boolean {
  return PRINTABLE.some(([first, last]) => byte >= first && byte <= last);
}

/**
 * Reads a `tokenizer.json` file.
 *
 * @throws CorruptDataError if it is of another form
 */
export async function readTokenizer(path: string): Promise<TokenizerDefinition> {
  const text = await readFile(path, 'utf8');
  try {
    const definition = JSON.parse(text) as TokenizerDefinition;
    if (typeof definition?.model?.vocab !== 'object' || definition.model.vocab === null) {
      throw new Error('it has no model.vocab');
    }
    return definition;
  } catch (error) {
    throw new CorruptDataError(path, `${path} is not a tokenizer.json file: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

/** The tokens of a tokenizer as a vocabulary; those that it would put around a text are left out. */
export function subwordVocabulary(definition: TokenizerDefinition): Vocabulary {
  const tokenizer = new Tokenizer(definition, {});
  const { vocab } = definition.model;
  const ids = Array.isArray(vocab) ? [vocab.length - 1] : Object.values(vocab as Record<string, number>);
  const added = definition.added_tokens?.map(({ id }) => id) ?? [];
  return {
    size: 1 + [...ids, ...added].reduce((a, b) => Math.max(a, b), -1),
    encode: (text) => Int32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids),
    // Nothing is tidied up: a text's ' .' stays what it is.
    decode: (tokens) =>
      tokens.length === 0 ? '' : tokenizer.decode(Array.from(tokens), { clean_up_tokenization_spaces: false }),
  };
}

/**
 * A corpus as subwords, encoded line by line and held in memory in the smallest array that fits; some hundred kilobytes of text
 * are encoded in a second.
 */
export function subwordTokens({ splits }: Corpus, definition: TokenizerDefinition): TokenizedCorpus {
  const vocabulary = subwordVocabulary(definition);
  const tokens = mapSplits(splits, (part) => {
    const list = new TokenList(vocabulary.size);
    for (const line of linesWithEnds(part)) for (const token of vocabulary.encode(line)) list.push(token);
    return tokenSource(list.tokens);
  });
  return { vocabulary, ...tokens };
}
