/**
 * `@fwp/deltanet`: Linear Transformers, Performers and DeltaNets as sequence layers, and a language model made of them.
 *
 * @packageDocumentation
 */

export { ConvolvedProjection, type ConvolvedProjectionOptions } from './convolved-projection.ts';
export { DeltaNet, type DeltaNetOptions } from './delta-net.ts';
export { DeltaNet2024, type DeltaNet2024Options, type DeltaRuleInputs } from './delta-net-2024.ts';
export {
  FastWeightLayer,
  type FastWeightLayerOptions,
  type FastWeightState,
  type LayerSizes,
  layerSizes,
  type Passage,
  type ShapesOf,
  type StateShapes,
} from './fast-weight-layer.ts';
export { FastWeightMemory, type FastWeightMemoryOptions } from './fast-weight-memory.ts';
export { type FastWeightMemoryRuleOptions, fastWeightMemory } from './fast-weight-memory-rule.ts';
export {
  createFeatureMap,
  FEATURE_MAPS,
  FeatureMap,
  type FeatureMapName,
  type FeatureMapSettings,
  REDRAW_POLICIES,
  type RedrawPolicy,
} from './feature-map.ts';
export {
  FeatureMapLayer,
  type FeatureMapLayerKind,
  type FeatureMapLayerOptions,
  type RuleInputs,
} from './feature-map-layer.ts';
export { GatedDeltaNet, type GatedDeltaNetOptions } from './gated-delta-net.ts';
export { GatedLinearAttention, type GatedLinearAttentionOptions } from './gated-linear-attention.ts';
export { HeadOutput, type HeadOutputOptions } from './head-output.ts';
export { mergeHeads, splitHeads, wherePresent } from './heads.ts';
export { keepState } from './keep-state.ts';
export {
  FastWeightLanguageModel,
  type GenerateOptions,
  type LanguageModelOptions,
  type LanguageModelState,
  type MixerSpecification,
  MODEL_POSITIONS,
  type ModelPositions,
} from './language-model.ts';
export { lastElements } from './last-elements.ts';
export { LinearAttention, type LinearAttentionOptions, NORMALIZERS, type Normalizer } from './linear-attention.ts';
export { createMixer, MIXERS, type MixerName, type MixerSettings } from './mixers.ts';
export { Performer, type PerformerOptions } from './performer.ts';
export { QueryKeyValueProjection, type QueryKeyValueProjectionOptions } from './query-key-value-projection.ts';
export { Retention, type RetentionOptions } from './retention.ts';
export { ShortConvolution, type ShortConvolutionOptions } from './short-convolution.ts';
