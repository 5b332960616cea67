/**
 * Corpora of text files, in Node: fetched and checked, read where they are asked for, as bytes, characters, subwords or
 * words. And pictures: Omniglot, Mini-ImageNet, CIFAR-10, IDX files, folders of PNG and JPEG files.
 *
 * @packageDocumentation
 */

export { type ByteFile, openByteFile } from './byte-file.ts';
export { type C4Options, openC4 } from './c4.ts';
export { type CorpusDescription, type CorpusFile, type CorpusName, corpora } from './catalog.ts';
export { type CfqPart, openCfq } from './cfq.ts';
export { CorruptDataError, type FileIdentity } from './checksum.ts';
export { type Cifar10, type Cifar10Options, openCifar10 } from './cifar10.ts';
export { type Cogs, type CogsPart, openCogs } from './cogs.ts';
export {
  type Corpus,
  dataFolder,
  MissingDataError,
  type OpenCorpusOptions,
  openCorpus,
  type TextCorpusOptions,
  type TextPart,
  textCorpus,
} from './corpus.ts';
export { type DecodedImage, decodeImage } from './decode-image.ts';
export type { DownloadOptions, DownloadProgress } from './download.ts';
export { type FolderTextOptions, folderText } from './folder-text.ts';
export { type IdxFile, type Mnist, type MnistOptions, openIdxImages, openMnist, readIdx } from './idx-images.ts';
export { type ImageFolderOptions, openImageFolder } from './image-folder.ts';
export { MATHEMATICS_SPACE, type MathematicsOptions, type MathematicsPart, openMathematics } from './mathematics.ts';
export { type MiniImageNetOptions, openMiniImageNet } from './mini-image-net.ts';
export { type OmniglotOptions, openOmniglot, VINYALS_SPLIT } from './omniglot.ts';
export type { SentencePairFiles } from './sentence-pair-files.ts';
export {
  readTokenizer,
  subwordTokens,
  subwordVocabulary,
  type TokenizerDefinition,
  type TrainSubwordsOptions,
  trainSubwords,
} from './subwords.ts';
export { openNamedCorpus, openTextBytes, SYNTHETIC, type TextBytes, type TextBytesOptions } from './text-bytes.ts';
export { type ByteCorpus, byteTokens, charTokens, type TokenizedCorpus, wordTokens } from './tokenize.ts';
export {
  byteVocabulary,
  type CharVocabulary,
  END_OF_LINE,
  UNKNOWN,
  type Vocabulary,
  type WordVocabulary,
} from './vocabulary.ts';
