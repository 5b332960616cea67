/** The bytes that language models are trained on. */

import { syntheticText, type TokenSource, tokenSource } from '@fwp/datasets';
import { byteTokens, type Corpus, type CorpusName, corpora, openCorpus, textCorpus } from '@fwp/datasets/corpora';

/** Name of the text that needs no download. */
export const SYNTHETIC = 'synthetic';

/** Milliseconds between two lines about a download. */
const TELL_EVERY = 2000;

/** The bytes of a text. */
export interface TextBytes {
  readonly train: TokenSource;
  readonly validation: TokenSource;
  close(): void;
}

/** Bytes wanted of each part; of a corpus there may be fewer. */
export interface TextLengths {
  readonly train: number;
  readonly validation: number;
}

/**
 * Opens a text.
 *
 * @param name `'synthetic'`, the name of a corpus of `@fwp/datasets`, or the path of a file
 * @param seed of the synthetic text
 */
export async function openText(name: string, { train, validation }: TextLengths, seed: number): Promise<TextBytes> {
  if (name === SYNTHETIC) {
    return {
      train: tokenSource(syntheticText({ length: train, seed, split: 'train' })),
      validation: tokenSource(syntheticText({ length: validation, seed, split: 'validation' })),
      close: () => undefined,
    };
  }
  const bytes = byteTokens(await corpusOf(name));
  return {
    train: beginning(bytes.train, train),
    validation: beginning(bytes.validation, validation),
    close: () => bytes.close(),
  };
}

async function corpusOf(name: string): Promise<Corpus> {
  if (!Object.hasOwn(corpora, name)) return textCorpus(name);
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

function beginning(source: TokenSource, length: number): TokenSource {
  return { length: Math.min(length, source.length), read: (begin, end) => source.read(begin, end) };
}
