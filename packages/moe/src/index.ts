/**
 * `@fwp/moe`: mixtures of experts. Feed-forward blocks and attention blocks with one interface each, dense and sparse.
 *
 * @packageDocumentation
 */

export { AttentionBlock, type AttentionBlockOptions, type AttentionResult } from './attention-block.ts';
export { type AttentionCost, type AttentionSizes, denseAttentionCost, switchHeadCost } from './attention-cost.ts';
export { entropyRegularization, switchRegularization } from './balance.ts';
export { DenseAttention, type DenseAttentionOptions } from './dense-attention.ts';
export { DenseBlock, type DenseBlockOptions } from './dense-block.ts';
export { type Usage, UsageCounter, usageOf } from './expert-usage.ts';
export { FeedForwardBlock, type FeedForwardResult } from './feed-forward-block.ts';
export { denseInitializer, preNormScale } from './initialization.ts';
export {
  EXPERT_INITIALIZATIONS,
  type ExpertInitialization,
  MixtureOfExperts,
  type MixtureOfExpertsOptions,
  REGULARIZATIONS,
  type Regularization,
} from './mixture-of-experts.ts';
export {
  HEAD_POSITIONS,
  type HeadPositions,
  PositionedHeads,
  type PositionedHeadsOptions,
} from './positioned-heads.ts';
export {
  MEMORY_ACTIVATIONS,
  MEMORY_RETRIEVALS,
  type MemoryActivation,
  type MemoryRetrieval,
  ProductKeyMemory,
  type ProductKeyMemoryOptions,
} from './product-key-memory.ts';
export { RelativeAttention, type RelativeAttentionOptions } from './relative-attention.ts';
export { RotaryAttention, type RotaryAttentionOptions } from './rotary-attention.ts';
export { Router, type RouterOptions } from './router.ts';
export { ROUTINGS, type Route, type RouteOptions, type Routing, route } from './routing.ts';
export type { Selection } from './selection.ts';
export { literalSinkhorn, sinkhorn } from './sinkhorn.ts';
export { type SwitchAllOptions, switchAll } from './switch-all.ts';
export { SwitchHead, type SwitchHeadOptions } from './switch-head.ts';
export { TOP_K_RANKINGS, TopKBlock, type TopKBlockOptions, type TopKRanking } from './top-k-block.ts';
export {
  TransformerXl,
  type TransformerXlCall,
  type TransformerXlOptions,
  type TransformerXlResult,
  type TransformerXlState,
} from './transformer-xl.ts';
export { type LayerSelections, TransformerXlLayer, type TransformerXlLayerOptions } from './transformer-xl-layer.ts';
