/**
 * `@fwp/psm`: prefix-scannable models. A learned binary function merges the chunks of a sequence along a Blelloch tree in
 * training, and along a binary counter with logarithmic memory in streams.
 *
 * @packageDocumentation
 */

export { AFFINE_MODELS, type AffineModelInputs, type AffineModelName, affineModel } from './affine-models.ts';
export {
  type Aggregator,
  FeedForwardAggregator,
  type FeedForwardAggregatorOptions,
} from './aggregator.ts';
export {
  type ChunkEncoder,
  type Inference,
  PrefixScannableLayer,
  type PrefixScannableLayerOptions,
  type PrefixScannableState,
} from './prefix-scannable-layer.ts';
export {
  TransformerAggregator,
  type TransformerAggregatorOptions,
} from './transformer-aggregator.ts';
export type { TransformerBlocksOptions } from './transformer-blocks.ts';
export {
  TransformerPsm,
  type TransformerPsmOptions,
} from './transformer-psm.ts';
export {
  TransformerStack,
  type TransformerStackOptions,
  type TransformerStackState,
} from './transformer-stack.ts';
