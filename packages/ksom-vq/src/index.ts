/**
 * `@fwp/ksom-vq`: Kohonen's self-organising maps as vector quantisers, residual and product quantisation, and the
 * autoencoders that use them.
 *
 * @packageDocumentation
 */

export { gridCoordinates, gridDistances, gridEdges, gridShapeOf } from './grid.ts';
export {
  KohonenQuantizer,
  type KohonenQuantizerOptions,
  LEARNING_RULES,
  type LearningRule,
} from './kohonen-quantizer.ts';
export { NEIGHBORHOODS, Neighborhood, type NeighborhoodKind, type NeighborhoodOptions } from './neighborhood.ts';
export { OnlineSom, type OnlineSomOptions } from './online-som.ts';
export { ProductQuantizer, type ProductQuantizerOptions } from './product-quantizer.ts';
export type { Quantized, Quantizer } from './quantizer.ts';
export { ResidualQuantizer, type ResidualQuantizerOptions } from './residual-quantizer.ts';
export { neighborRatio, perplexityOf } from './usage.ts';
export { VqVae, type VqVaeOptions, type VqVaeResult } from './vq-vae.ts';
export { VqVae2, type VqVae2Indices, type VqVae2Options, type VqVae2Result } from './vq-vae-2.ts';
