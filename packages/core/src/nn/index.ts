/** Layers and models. */

export { CrossAttention, type CrossAttentionOptions, type CrossAttentionState } from './cross-attention.ts';
export { Dropout, type DropoutOptions } from './dropout.ts';
export { Embedding, type EmbeddingOptions } from './embedding.ts';
export {
  FEED_FORWARD_ACTIVATIONS,
  FeedForward,
  type FeedForwardActivation,
  type FeedForwardOptions,
} from './feed-forward.ts';
export {
  branch,
  constantInitializer,
  fanInUniform,
  heNormal,
  heUniform,
  type Initializer,
  lecunNormal,
  normalInitializer,
  truncatedNormalInitializer,
  uniformInitializer,
  xavierNormal,
  xavierUniform,
} from './initializers.ts';
export { Linear, type LinearLayerOptions } from './linear.ts';
export { Lstm, type LstmLayerOptions, type LstmModuleState } from './lstm.ts';
export { Module } from './module.ts';
export {
  ATTENTION_POSITIONS,
  type AttentionMaskOptions,
  type AttentionPositions,
  type AttentionState,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
} from './multi-head-attention.ts';
export { LayerNorm, type Normalization, type NormalizationOptions, RmsNorm } from './normalization.ts';
export type { MixerOptions, SequenceMixer } from './sequence-mixer.ts';
export { type Layer, Sequential } from './sequential.ts';
export { TransformerBlock, type TransformerBlockOptions } from './transformer-block.ts';
