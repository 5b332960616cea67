/**
 * `@fwp/ndr`: the Neural Data Router and what it is compared with: universal Transformers with absolute and relative positions
 * as classifiers and from sentence to sentence, adaptive computation time, bidirectional LSTMs.
 *
 * @packageDocumentation
 */

export {
  ADAPTIVE_WEIGHTINGS,
  type AdaptiveComputationOptions,
  type AdaptiveComputationResult,
  adaptiveComputation,
} from './adaptive-computation.ts';
export {
  type Evaluation,
  SELECTION_PROTOCOLS,
  type SelectionProtocol,
  selectEvaluation,
} from './checkpoint-selection.ts';
export type { ColumnAttention, ColumnLayer } from './column-attention.ts';
export { COLUMN_LAYERS, type ColumnLayerName, type ColumnLayerOptions, createColumnLayer } from './column-layers.ts';
export {
  DataRouterLayer,
  type DataRouterLayerOptions,
  ROUTER_UPDATES,
  type RouterUpdate,
} from './data-router-layer.ts';
export { DecoderLayer, type DecoderLayerOptions } from './decoder-layer.ts';
export {
  EMBEDDING_SCALINGS,
  type EmbeddingScaling,
  EncoderDecoder,
  type EncoderDecoderOptions,
  type Sentences,
} from './encoder-decoder.ts';
export { GeometricSelfAttention, type GeometricSelfAttentionOptions } from './geometric-self-attention.ts';
export { LstmClassifier, type LstmClassifierOptions } from './lstm-classifier.ts';
export {
  type ClassifierTrace,
  type ColumnLayerSpecification,
  SequenceClassifier,
  type SequenceClassifierOptions,
} from './sequence-classifier.ts';
export { sinusoidalPositions } from './sinusoidal-positions.ts';
export {
  SOFTMAX_POSITIONS,
  type SoftmaxPositions,
  SoftmaxSelfAttention,
  type SoftmaxSelfAttentionOptions,
} from './softmax-self-attention.ts';
export { UniversalLayer, type UniversalLayerOptions } from './universal-layer.ts';
