/**
 * The text of the language models, as bytes or as subwords. By default it is the JavaScript of `@tensorflow/tfjs-core`, which is
 * installed along with every model: a megabyte of code and comments by many hands (Apache-2.0), the same bytes wherever the
 * version is the same, without a download.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type TokenSource, tokenSource } from '@fwp/datasets';
import {
  type Corpus,
  type FolderTextOptions,
  openC4,
  openNamedCorpus,
  openTextBytes,
  subwordTokens,
  trainSubwords,
} from '@fwp/datasets/corpora';
import { z } from 'zod';

/** Name of the text that is installed. */
const INSTALLED = 'tfjs';
/** Name of the slice of C4. */
const C4 = 'c4';

/** Settings of the text. */
export const textSettings = {
  corpus: z
    .string()
    .default(INSTALLED)
    .describe(
      '"tfjs" (the code of TensorFlow.js, no download), "synthetic", a corpus (enwik8, wikitext-103, c4, …), or the path of a ' +
        'text file or folder',
    ),
  tokens: z
    .enum(['bytes', 'subwords'])
    .default('bytes')
    .describe('"subwords": byte-pair encoding learned from the training text'),
  subwords: z.int().min(256).default(8000).describe('size of the vocabulary of subwords'),
  trainBytes: z.int().min(1000).default(2_000_000).describe('bytes for training (of a corpus: at most)'),
  validationBytes: z.int().min(1000).default(100_000).describe('bytes for validation (of a corpus: at most)'),
};

const settings = z.object(textSettings);

/** A text as tokens. */
export interface Text {
  readonly vocabularySize: number;
  readonly train: TokenSource;
  readonly validation: TokenSource;
  /** Mean number of bytes of a token of the validation text. */
  readonly bytesPerToken: number;
  close(): void;
}

/** Opens the text that the settings ask for; `seed` is that of the synthetic one. */
export async function openText(config: z.infer<typeof settings>, seed: number): Promise<Text> {
  const { corpus, tokens } = config;
  if (tokens === 'subwords') return openSubwords(config);
  const lengths = { train: config.trainBytes, validation: config.validationBytes };
  if (corpus === C4) {
    const { splits } = await openC4({ trainBytes: lengths.train, validationBytes: lengths.validation });
    const [train, validation] = [splits.train, splits.validation].map(({ path }) => path) as [string, string];
    const open = (path: string) => openTextBytes(path, { lengths });
    const [first, second] = [await open(train), await open(validation)];
    const close = () => {
      first.close();
      second.close();
    };
    return { vocabularySize: 256, train: first.train, validation: second.train, bytesPerToken: 1, close };
  }
  const isInstalled = corpus === INSTALLED;
  const text = await openTextBytes(isInstalled ? installedFolder() : corpus, {
    lengths,
    seed,
    ...(isInstalled ? { folder: installedFiles } : {}),
  });
  return { vocabularySize: 256, bytesPerToken: 1, ...text };
}

async function openSubwords({
  corpus,
  subwords,
  trainBytes,
  validationBytes,
}: z.infer<typeof settings>): Promise<Text> {
  const opened: Corpus = corpus === C4 ? await openC4({ trainBytes, validationBytes }) : await openNamedCorpus(corpus);
  const beginning = (part: 'train' | 'validation', bytes: number) => {
    const { path, begin, end } = opened.splits[part];
    return { path, begin, end: Math.min(end, begin + bytes) };
  };
  const splits = {
    ...opened.splits,
    train: beginning('train', trainBytes),
    validation: beginning('validation', validationBytes),
  };
  const shortened = { ...opened, splits };
  const tokenizer = await trainSubwords(shortened, { vocabularySize: subwords });
  // The test text is not read; that of validation stands in for it.
  const { vocabulary, train, validation } = subwordTokens(
    { ...shortened, splits: { ...splits, test: splits.validation } },
    tokenizer,
  );
  const bytes = splits.validation.end - splits.validation.begin;
  return {
    vocabularySize: vocabulary.size,
    train: tokenSource(train),
    validation: tokenSource(validation),
    bytesPerToken: bytes / validation.length,
    close: () => undefined,
  };
}

/** Where the modules of `@tensorflow/tfjs-core` are. */
function installedFolder(): string {
  return join(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/package.json')), 'dist');
}

/** Modules that people wrote: no tests, no bundles, and without the licence and the source map that each repeats. */
const installedFiles: FolderTextOptions = {
  accept: (path) => path.endsWith('.js') && !path.endsWith('_test.js') && !/^(tf-core|miniprogram)/.test(path),
  clean: (text) =>
    text.replace(/^\/\*\*?\s*\n \* @license[\s\S]*?\*\/\n/, '').replace(/\/\/# sourceMappingURL=.*\n?/, ''),
};
