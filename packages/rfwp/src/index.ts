/**
 * `@fwp/rfwp`: recurrent fast weight programmers as sequence layers, and a model that labels sequences made of them.
 *
 * @packageDocumentation
 */

export { DeltaDeltaNet, type DeltaDeltaNetOptions, type DeltaDeltaNetState } from './delta-delta-net.ts';
export { DeltaLstm, type DeltaLstmLayerOptions, type DeltaLstmLayerState } from './delta-lstm.ts';
export { DeltaMlp, type DeltaMlpLayerOptions, type DeltaMlpLayerState } from './delta-mlp.ts';
export { DeltaRnn, type DeltaRnnLayerOptions, type DeltaRnnLayerState } from './delta-rnn.ts';
export { FastNetLayer, type FastNetLayerOptions, type FeatureOptions } from './fast-net-layer.ts';
export { createMixer, MIXERS, type MixerName, type MixerSettings } from './mixers.ts';
export {
  RecurrentDeltaNet,
  type RecurrentDeltaNetOptions,
  type RecurrentDeltaNetState,
} from './recurrent-delta-net.ts';
export { SequenceTagger, type SequenceTaggerOptions, type SequenceTaggerState } from './sequence-tagger.ts';
export {
  type ScoreTaggingOptions,
  scoreTagging,
  type TaggedBatch,
  type TaggingScore,
  type TokenModel,
  taggingLoss,
} from './tagging.ts';
