/**
 * `@fwp/moe`: mixtures of experts. Feed-forward blocks and attention blocks with one interface each, dense and sparse.
 *
 * @packageDocumentation
 */

export { AttentionBlock, type AttentionBlockOptions, type AttentionResult } from './attention-block.ts';
export { DenseBlock, type DenseBlockOptions } from './dense-block.ts';
export { FeedForwardBlock, type FeedForwardResult } from './feed-forward-block.ts';
export { denseInitializer, preNormScale } from './initialization.ts';
export { RelativeAttention, type RelativeAttentionOptions } from './relative-attention.ts';
export type { Selection } from './selection.ts';
export {
  TransformerXl,
  type TransformerXlCall,
  type TransformerXlOptions,
  type TransformerXlResult,
  type TransformerXlState,
} from './transformer-xl.ts';
export { type LayerSelections, TransformerXlLayer, type TransformerXlLayerOptions } from './transformer-xl-layer.ts';
