/**
 * The corpora that can be fetched by name: where from, what the files must be, what they may be used for.
 *
 * Checksums were compared with those that other projects publish; the comments say where.
 */

import type { Split } from '../task.ts';
import type { FileIdentity } from './checksum.ts';

/** A file of a corpus. */
export interface CorpusFile extends FileIdentity {
  /** Name in the corpus's folder. */
  readonly name: string;
}

/** A corpus that can be fetched. */
export interface CorpusDescription {
  /** What it is, in one line. */
  readonly title: string;
  /** Where it is described. */
  readonly homepage: string;
  /** Terms of use. */
  readonly licence: string;
  /** What is downloaded: the text, or a zip archive with it. */
  readonly source: CorpusFile & { readonly url: string };
  /** The text files in the archive, if the source is one, with their names there. */
  readonly members?: readonly (CorpusFile & { readonly member: string })[];
  /** Where each split is: a file, and of it the bytes from `begin` to before `end` (default: all). */
  readonly splits: Readonly<Record<Split, { readonly file: string; readonly begin?: number; readonly end?: number }>>;
}

/** Names of the corpora that {@link openCorpus} knows. */
export type CorpusName = 'enwik8' | 'text8' | 'tinyshakespeare' | 'wikitext-2' | 'wikitext-103';

/** The 100 million bytes of enwik8 and text8 are split 90 : 5 : 5 by convention. */
function ninetyFiveFive(file: string): CorpusDescription['splits'] {
  return {
    train: { file, end: 90_000_000 },
    validation: { file, begin: 90_000_000, end: 95_000_000 },
    test: { file, begin: 95_000_000 },
  };
}

const WIKITEXT_SPLITS: CorpusDescription['splits'] = {
  train: { file: 'wiki.train.tokens' },
  validation: { file: 'wiki.valid.tokens' },
  test: { file: 'wiki.test.tokens' },
};

const WIKITEXT_LICENCE = 'CC BY-SA (text of Wikipedia)';

/** Descriptions of the corpora that can be fetched, by name. */
export const corpora: Readonly<Record<CorpusName, CorpusDescription>> = {
  // Archive as in the registries of JuliaText/CorpusLoaders.jl and many others; text: size of mattmahoney.net/dc/textdata.html.
  enwik8: {
    title: 'First 100 million bytes of the English Wikipedia of March 3, 2006, with markup',
    homepage: 'https://mattmahoney.net/dc/textdata.html',
    licence: 'GFDL (text of Wikipedia of 2006)',
    source: {
      url: 'https://mattmahoney.net/dc/enwik8.zip',
      name: 'enwik8.zip',
      bytes: 36_445_475,
      checksum: 'sha256:547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc',
    },
    members: [
      {
        name: 'enwik8',
        member: 'enwik8',
        bytes: 100_000_000,
        checksum: 'sha256:2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8',
      },
    ],
    splits: ninetyFiveFive('enwik8'),
  },
  // Archive with the size that TensorFlow's word2vec tutorial checks; both checksums as in several published experiments.
  text8: {
    title: 'First 100 million characters of the cleaned English Wikipedia: a to z and spaces',
    homepage: 'https://mattmahoney.net/dc/textdata.html',
    licence: 'GFDL (text of Wikipedia of 2006)',
    source: {
      url: 'https://mattmahoney.net/dc/text8.zip',
      name: 'text8.zip',
      bytes: 31_344_016,
      checksum: 'sha256:a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232',
    },
    members: [
      {
        name: 'text8',
        member: 'text8',
        bytes: 100_000_000,
        checksum: 'sha256:6e890197040d37d85beb962ae1f041ff1d9a9ca8d20c7d99c85027eebf51dca7',
      },
    ],
    splits: ninetyFiveFive('text8'),
  },
  // As in TensorFlow Datasets and other registries. Split like enwik8.
  tinyshakespeare: {
    title: 'One megabyte of Shakespeare',
    homepage: 'https://github.com/karpathy/char-rnn',
    licence: 'public domain',
    source: {
      url: 'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt',
      name: 'input.txt',
      bytes: 1_115_394,
      checksum: 'sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
    },
    splits: {
      train: { file: 'input.txt', end: 1_003_854 },
      validation: { file: 'input.txt', begin: 1_003_854, end: 1_059_624 },
      test: { file: 'input.txt', begin: 1_059_624 },
    },
  },
  // The address is the author's; the one of the publication no longer answers (pytorch/text issues 2233 and 2255). Archives as
  // in ml-explore/mlx-data and JuliaText/CorpusLoaders.jl; the text files as in dmlc/gluon-nlp, which gives SHA-1.
  'wikitext-2': {
    title: 'WikiText-2: verified good and featured articles of Wikipedia, 2 million words',
    homepage: 'https://arxiv.org/abs/1609.07843',
    licence: WIKITEXT_LICENCE,
    source: {
      url: 'https://wikitext.smerity.com/wikitext-2-v1.zip',
      name: 'wikitext-2-v1.zip',
      checksum: 'sha256:92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c',
    },
    members: [
      {
        name: 'wiki.train.tokens',
        member: 'wikitext-2/wiki.train.tokens',
        checksum: 'sha1:863f29c46ef9d167fff4940ec821195882fe29d1',
      },
      {
        name: 'wiki.valid.tokens',
        member: 'wikitext-2/wiki.valid.tokens',
        checksum: 'sha1:0418625c8b4da6e4b5c7a0b9e78d4ae8f7ee5422',
      },
      {
        name: 'wiki.test.tokens',
        member: 'wikitext-2/wiki.test.tokens',
        checksum: 'sha1:c7b8ce0aa086fb34dab808c5c49224211eb2b172',
      },
    ],
    splits: WIKITEXT_SPLITS,
  },
  'wikitext-103': {
    title: 'WikiText-103: verified good and featured articles of Wikipedia, 103 million words',
    homepage: 'https://arxiv.org/abs/1609.07843',
    licence: WIKITEXT_LICENCE,
    source: {
      url: 'https://wikitext.smerity.com/wikitext-103-v1.zip',
      name: 'wikitext-103-v1.zip',
      checksum: 'sha256:242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590',
    },
    members: [
      {
        name: 'wiki.train.tokens',
        member: 'wikitext-103/wiki.train.tokens',
        checksum: 'sha1:b7497e2dfe77e72cfef5e3dbc61b7b53712ac211',
      },
      {
        name: 'wiki.valid.tokens',
        member: 'wikitext-103/wiki.valid.tokens',
        checksum: 'sha1:c326ac59dc587676d58c422eb8a03e119582f92b',
      },
      {
        name: 'wiki.test.tokens',
        member: 'wikitext-103/wiki.test.tokens',
        checksum: 'sha1:8a5befc548865cec54ed4273cf87dbbad60d1e47',
      },
    ],
    splits: WIKITEXT_SPLITS,
  },
};
