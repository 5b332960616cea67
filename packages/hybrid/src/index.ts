/**
 * `@fwp/hybrid`: softmax attention over a sliding window and fast weights in one sequence layer, and a language model made of it.
 *
 * @packageDocumentation
 */

export type { FastWeightRule } from './fast-weight-memory.ts';
export { FAST_WEIGHT_RULES } from './fast-weight-memory.ts';
export { BLENDS, type BlendName, HybridLayer, type HybridLayerOptions } from './hybrid-layer.ts';
export type { HybridState } from './hybrid-state.ts';
export { HybridLanguageModel, type HybridLanguageModelOptions } from './language-model.ts';
export { MEMORY_MIXERS, MemoryMixer, type MemoryMixerName, type MemoryMixerOptions } from './memory-mixer.ts';
export { SharedProjection, type SharedProjectionOptions } from './shared-projection.ts';
