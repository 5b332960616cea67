/** A text by its name, whatever it is: made up, of a known corpus, of a file or of a folder; as bytes, of which a part is used. */

import { existsSync, statSync } from 'node:fs';
import { syntheticText } from '../synthetic-text.ts';
import type { Split } from '../task.ts';
import { type TokenSource, tokenSource } from '../tokens.ts';
import { type CorpusName, corpora } from './catalog.ts';
import { type Corpus, MissingDataError, openCorpus, textCorpus } from './corpus.ts';
import { type FolderTextOptions, folderText } from './folder-text.ts';
import { byteTokens } from './tokenize.ts';

/** Name of the text that is made up, {@link syntheticText}. */
export const SYNTHETIC = 'synthetic';

/** Milliseconds between two lines about a download. */
const TELL_EVERY = 2000;

/** The bytes of a text. */
export interface TextBytes {
  readonly train: TokenSource;
  readonly validation: TokenSource;
  /** Closes the files; nothing can be read after. */
  close(): void;
}

/** Options of {@link openTextBytes}. */
export interface TextBytesOptions {
  /** Bytes wanted of each part; of a corpus there may be fewer. */
  readonly lengths: Readonly<Record<Exclude<Split, 'test'>, number>>;
  /** Of the synthetic text. Default 0. */
  readonly seed?: number;
  /** What of a folder counts. Default: all. */
  readonly folder?: FolderTextOptions;
}

/**
 * Opens a text, with lines on stderr about a download that takes long.
 *
 * @param name `'synthetic'`, the name of a corpus (see {@link corpora}), or the path of a file or a folder
 * @throws MissingDataError if there is no such text
 * @throws Error if it can't be read
 */
export async function openTextBytes(name: string, { lengths, seed = 0, folder }: TextBytesOptions): Promise<TextBytes> {
  const close = () => undefined;
  if (name === SYNTHETIC) {
    const make = (split: keyof typeof lengths) => tokenSource(syntheticText({ length: lengths[split], seed, split }));
    return { train: make('train'), validation: make('validation'), close };
  }
  if (!Object.hasOwn(corpora, name) && isFolder(name)) {
    const { train, validation } = folderText(name, folder);
    return {
      train: beginning(tokenSource(train), lengths.train),
      validation: beginning(tokenSource(validation), lengths.validation),
      close,
    };
  }
  const bytes = byteTokens(await openNamedCorpus(name));
  return {
    train: beginning(bytes.train, lengths.train),
    validation: beginning(bytes.validation, lengths.validation),
    close: () => bytes.close(),
  };
}

/**
 * Opens a known corpus by its name, with lines on stderr about a download that takes long, or a file by its path.
 *
 * @throws MissingDataError if there is no such corpus or file
 */
export async function openNamedCorpus(name: string): Promise<Corpus> {
  if (!Object.hasOwn(corpora, name)) {
    if (existsSync(name)) return textCorpus(name);
    const names = Object.keys(corpora);
    const near = names.filter((each) => each.slice(0, 4) === name.slice(0, 4).toLowerCase());
    const meant = near.length === 0 ? '' : ` (did you mean ${near.map((each) => `'${each}'`).join(' or ')}?)`;
    throw new MissingDataError(`There is no corpus or file '${name}'${meant}; corpora: ${names.join(', ')}.`);
  }
  let told = performance.now();
  return openCorpus(name as CorpusName, {
    onProgress: ({ url, receivedBytes, totalBytes }) => {
      if (performance.now() - told < TELL_EVERY) return;
      told = performance.now();
      const megabytes = (count: number) => (count / 1e6).toFixed(0);
      const total = totalBytes === undefined ? '' : ` of ${megabytes(totalBytes)}`;
      process.stderr.write(`${url}: ${megabytes(receivedBytes)}${total} MB\n`);
    },
  });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function beginning(source: TokenSource, length: number): TokenSource {
  return { length: Math.min(length, source.length), read: (begin, end) => source.read(begin, end) };
}
