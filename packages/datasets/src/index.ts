/**
 * Tasks, texts and pictures to train models on, as typed arrays. Runs in browsers and Node; corpora of files are in
 * `@fwp/datasets/corpora`.
 *
 * @packageDocumentation
 */

export { type ClassSource, type ClassSplits, withRotations } from './few-shot/class-source.ts';
export {
  type FewShotBatch,
  type FewShotOptions,
  type FewShotTask,
  fewShot,
  type SequentialFewShotBatch,
  type SequentialFewShotOptions,
  sequentialFewShot,
} from './few-shot/few-shot.ts';
export { type GaussianClassesOptions, gaussianClasses } from './few-shot/gaussian-classes.ts';
export { type StrokeCharactersOptions, strokeCharacters } from './few-shot/stroke-characters.ts';
export {
  type ChannelStatistics,
  channelStatistics,
  type ImageBatch,
  type ImageSet,
  type ImageSplits,
  imageSubset,
  shuffledImages,
  takeImages,
} from './images/image-set.ts';
export { type ProceduralImagesOptions, proceduralImages } from './images/procedural-images.ts';
export { createRandom, type Random } from './random.ts';
export {
  lookUpMask,
  markLookUps,
  type SyntheticTextGrammar,
  type SyntheticTextOptions,
  syntheticText,
  syntheticTextEntropy,
} from './synthetic-text.ts';
export {
  type CompositionalTableLookup,
  type CompositionalTableLookupOptions,
  type CompositionalTableLookupPart,
  compositionalTableLookup,
} from './systematic/compositional-table-lookup.ts';
export {
  type CtlPlusPlus,
  type CtlPlusPlusOptions,
  type CtlPlusPlusPart,
  type CtlPlusPlusVariant,
  ctlPlusPlus,
} from './systematic/ctl-plus-plus.ts';
export {
  type DependencyBalancedListOps,
  type DependencyBalancedListOpsOptions,
  dependencyBalancedListOps,
  LIST_OPERATORS,
  type ListOperator,
} from './systematic/dependency-balanced-list-ops.ts';
export {
  type ClassificationBatch,
  type ClassificationSet,
  type DepthBalancedOptions,
  depthBalanced,
  type ExampleSet,
  orderedBatches,
  type SentencePairBatch,
  type SentencePairSet,
  type ShuffledBatches,
  type ShuffledBatchesOptions,
  shuffledBatches,
} from './systematic/example-sets.ts';
export type { RestrictedEdge } from './systematic/function-graph.ts';
export type { CompositionFormat } from './systematic/function-tables.ts';
export {
  type NestedArithmetic,
  type NestedArithmeticOptions,
  nestedArithmetic,
} from './systematic/nested-arithmetic.ts';
export { PCFG_HELD_OUT_PAIRS, type PcfgSet, type PcfgSetOptions, pcfgSet } from './systematic/pcfg-set.ts';
export { type Scan, type ScanOptions, type ScanSplit, type ScanVerb, scan } from './systematic/scan.ts';
export { SENTENCE_TOKENS, type SentenceVocabulary } from './systematic/sentences.ts';
export { batches, type Split, type Task, type TaskOptions, type TokenBatch, type TokenTask } from './task.ts';
export { type AssociativeRecallOptions, associativeRecall } from './tasks/associative-recall.ts';
export {
  type AssociativeRetrievalOptions,
  type AssociativeRetrievalTask,
  associativeRetrieval,
  type RetrievalBatch,
} from './tasks/associative-retrieval.ts';
export {
  BIT_COPY_TARGETS,
  BIT_COPY_TOKENS,
  type BitCopyOptions,
  type CopyStrictOptions,
  copyReleased,
  copyStrict,
  isBitOfCopy,
} from './tasks/bit-copy.ts';
export { type CodeExecutionOptions, codeExecution } from './tasks/code-execution.ts';
export { COPY_TOKENS, type CopyOptions, copy, selectiveCopy } from './tasks/copy.ts';
export { type DelayedRecallOptions, delayedRecall } from './tasks/delayed-recall.ts';
export { type FormalLanguage, type FormalLanguageOptions, formalLanguage } from './tasks/formal-language.ts';
export { type ListOpsOptions, listOps } from './tasks/list-ops.ts';
export {
  type MultiQueryAssociativeRecallOptions,
  multiQueryAssociativeRecall,
} from './tasks/multi-query-associative-recall.ts';
export type { IntegerRange } from './tasks/ranges.ts';
export {
  ARITHMETIC_TOKENS,
  type ModularArithmeticOptions,
  modularArithmetic,
  type ParityOptions,
  parity,
} from './tasks/state-tracking.ts';
export type { SymbolTask } from './tasks/symbol-task.ts';
export { type VectorRecallBatch, type VectorRecallOptions, vectorRecall } from './tasks/vector-recall.ts';
export { type WordProblemOptions, wordProblem } from './tasks/word-problem.ts';
export {
  type ContiguousBatch,
  type ContiguousBatches,
  contiguousBatches,
  randomCrops,
  type SlidingWindowOptions,
  type SlidingWindows,
  slidingWindows,
} from './token-batches.ts';
export { type TokenArray, type TokenSource, tokenSource } from './tokens.ts';
export { trimPadding } from './trim-padding.ts';
