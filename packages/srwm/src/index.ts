/**
 * `@fwp/srwm`: self-referential weight matrices, which rewrite themselves, as sequence layers; a few-shot learner made of
 * them, and the bootstrapped loss to train it with.
 *
 * @packageDocumentation
 */

export { type BootstrapLoss, type BootstrapOptions, bootstrapLoss, stateMatchingLoss } from './bootstrapping.ts';
export { ConvolutionalStem, type ConvolutionalStemOptions } from './convolutional-stem.ts';
export { FewShotModel, type FewShotModelOptions, type FewShotState } from './few-shot-model.ts';
export {
  SelfReferentialLayer,
  type SelfReferentialLayerOptions,
  type SelfReferentialWeightOptions,
} from './self-referential-layer.ts';
export { SrDelta, type SrDeltaOptions } from './sr-delta.ts';
export { Srwm, type SrwmOptions } from './srwm.ts';
export { RESIDUALS, type Residual, SrwmBlock, type SrwmBlockOptions } from './srwm-block.ts';
export { StaticSrwm, type StaticSrwmOptions } from './static-srwm.ts';
