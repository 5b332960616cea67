/**
 * `@fwp/core`: the tensor core. A complete and fast CPU backend for TensorFlow.js, fused differentiable
 * operations, neural-network building blocks, optimisers, random numbers and checkpoints.
 *
 * @packageDocumentation
 */

export {
  DEVICES,
  type DeviceInfo,
  type DeviceName,
  device,
  dispose,
  type InitOptions,
  init,
  VERSION,
} from './device/device.ts';
export { synchronize } from './device/synchronize.ts';
export { TENSORFLOW_FILES, tensorflowFolder } from './device/tensorflow.ts';
export {
  CorruptFileError,
  DeviceLostError,
  DeviceUnavailableError,
  NotANumberError,
  OutOfMemoryError,
} from './errors.ts';
export { assertIndices } from './index-checks.ts';
export {
  type CheckpointInfo,
  type CheckpointParts,
  type Json,
  loadCheckpoint,
  saveCheckpoint,
} from './io/checkpoint.ts';
export { writeFileAtomically } from './io/files.ts';
export {
  decodeSafetensors,
  encodeSafetensors,
  loadSafetensors,
  type SafetensorsContent,
  saveSafetensors,
} from './io/safetensors.ts';
export {
  CONVOLUTION_ACTIVATIONS,
  Conv2d,
  type ConvolutionActivation,
  type ConvolutionOptions,
  ConvTranspose2d,
} from './nn/convolution.ts';
export { CrossAttention, type CrossAttentionOptions, type CrossAttentionState } from './nn/cross-attention.ts';
export { Dropout, type DropoutOptions } from './nn/dropout.ts';
export {
  ElementwiseLstm,
  type ElementwiseLstmLayerOptions,
  type ElementwiseLstmState,
} from './nn/elementwise-lstm.ts';
export { Embedding, type EmbeddingOptions } from './nn/embedding.ts';
export {
  FEED_FORWARD_ACTIVATIONS,
  FeedForward,
  type FeedForwardActivation,
  type FeedForwardOptions,
} from './nn/feed-forward.ts';
export {
  branch,
  constantInitializer,
  type Fans,
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
} from './nn/initializers.ts';
export { Linear, type LinearLayerOptions } from './nn/linear.ts';
export { Lstm, type LstmCell, type LstmLayerOptions, type LstmModuleState } from './nn/lstm.ts';
export { Module } from './nn/module.ts';
export {
  ATTENTION_POSITIONS,
  type AttentionMaskOptions,
  type AttentionPositions,
  type AttentionState,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
} from './nn/multi-head-attention.ts';
export { LayerNorm, type Normalization, type NormalizationOptions, RmsNorm } from './nn/normalization.ts';
export { RelativePositions, type RelativePositionsOptions } from './nn/relative-positions.ts';
export { applyRotaryPositions } from './nn/rotary-positions.ts';
export {
  assertNoPadding,
  assertPaddingAtEnd,
  assertPaddingMask,
  type MixerOptions,
  type SequenceMixer,
} from './nn/sequence-mixer.ts';
export { type Layer, Sequential } from './nn/sequential.ts';
export { TransformerBlock, type TransformerBlockOptions } from './nn/transformer-block.ts';
export {
  AFFINE_TRANSITIONS,
  type AffineElement,
  type AffineScanOptions,
  type AffineScanResult,
  type AffineTransition,
  affineOperator,
  affineScan,
} from './ops/affine-scan.ts';
export { type AttentionOptions, attention, type SelfAttentionOptions, selfAttention } from './ops/attention.ts';
export {
  type CodebookAverageOptions,
  type CodebookState,
  codebookAverage,
  SMOOTHINGS,
  type Smoothing,
} from './ops/codebook-average.ts';
export { type CopyGateOptions, copyGate } from './ops/copy-gate.ts';
export {
  type DeltaDeltaInputs,
  type DeltaDeltaOptions,
  type DeltaDeltaResult,
  type DeltaDeltaState,
  type DeltaDeltaStepResult,
  deltaDelta,
  deltaDeltaStep,
} from './ops/delta-delta.ts';

export {
  type DeltaLstmInputs,
  type DeltaLstmOptions,
  type DeltaLstmResult,
  type DeltaLstmState,
  type DeltaLstmStepResult,
  deltaLstm,
  deltaLstmStep,
} from './ops/delta-lstm.ts';
export {
  type DeltaMlpBlock,
  type DeltaMlpOptions,
  type DeltaMlpResult,
  type DeltaMlpState,
  type DeltaMlpStepResult,
  type DeltaMlpWrites,
  deltaMlp,
  deltaMlpStep,
} from './ops/delta-mlp.ts';
export {
  type DeltaRnnInputs,
  type DeltaRnnOptions,
  type DeltaRnnResult,
  type DeltaRnnState,
  type DeltaRnnStepResult,
  deltaRnn,
  deltaRnnStep,
} from './ops/delta-rnn.ts';
export { deltaRule, deltaRuleStep } from './ops/delta-rule.ts';
export { dropout } from './ops/dropout.ts';
export {
  type ElementwiseLstmOptions,
  type ElementwiseLstmResult,
  type ElementwiseLstmWeights,
  elementwiseLstm,
  elementwiseLstmStep,
} from './ops/elementwise-lstm.ts';
export {
  type ElementwiseLstmErrors,
  type ElementwiseLstmGradients,
  type ElementwiseLstmTrace,
  elementwiseLstmRtrl,
  elementwiseLstmTrace,
} from './ops/elementwise-lstm-rtrl.ts';
export { embedding } from './ops/embedding.ts';
export { expertFeedForward } from './ops/expert-feed-forward.ts';
export { type ExpertMatMulOptions, expertMatMul } from './ops/expert-mat-mul.ts';
export type { DecayOptions, ScanOptions, ScanResult, ScanStepResult } from './ops/fast-weight-scan.ts';
export { type DpfpOptions, dpfp } from './ops/feature-maps/dpfp.ts';
export { eluPlusOne, reluFeatures } from './ops/feature-maps/elementwise.ts';
export { type FavorPlusOptions, favorPlus, favorProjection } from './ops/feature-maps/favor-plus.ts';
export {
  FEATURE_NORMALIZATIONS,
  type FeatureMapOptions,
  type FeatureNormalization,
} from './ops/feature-maps/normalization.ts';
export { l2Normalize, sumNormalize } from './ops/feature-maps/normalize.ts';
export { softmaxFeatures } from './ops/feature-maps/softmax-features.ts';
export { type GatedDeltaRuleOptions, gatedDeltaRule, gatedDeltaRuleStep } from './ops/gated-delta-rule.ts';
export {
  type GatedLinearAttentionOptions,
  type GatedLinearAttentionStepOptions,
  gatedLinearAttention,
  gatedLinearAttentionStep,
} from './ops/gated-linear-attention.ts';
export { type GeluOptions, gelu } from './ops/gelu.ts';
export {
  type GeometricAttentionOptions,
  geometricAttention,
  geometricAttentionWeights,
} from './ops/geometric-attention.ts';
export { gridNeighborSum } from './ops/grid-neighbor-sum.ts';
export { inTidy } from './ops/in-tidy.ts';
export { addLayerNorm, type LayerNormOptions, layerNorm } from './ops/layer-norm.ts';
export { LINEAR_ACTIVATIONS, type LinearActivation, type LinearOptions, linear } from './ops/linear.ts';
export { type LinearAttentionOptions, linearAttention, linearAttentionStep } from './ops/linear-attention.ts';
export { type LstmOptions, type LstmResult, type LstmState, type LstmWeights, lstm, lstmStep } from './ops/lstm.ts';
export {
  type MLstmGateOptions,
  type MLstmOptions,
  type MLstmResult,
  type MLstmState,
  type MLstmStepResult,
  mLstm,
  mLstmStep,
} from './ops/m-lstm.ts';
export { ojaRule, ojaRuleStep } from './ops/oja-rule.ts';
export {
  type Combine,
  elementCount,
  insertElement,
  type PrefixRoot,
  type PrefixRoots,
  prefixOf,
  rootLevels,
} from './ops/prefix-roots.ts';
export {
  PREFIX_SCAN_MODES,
  type PrefixElement,
  type PrefixScanMode,
  type PrefixScanOptions,
  type PrefixScanStateOptions,
  prefixScan,
  prefixScanWithState,
} from './ops/prefix-scan.ts';
export {
  type RecurrentDeltaInputs,
  type RecurrentDeltaOptions,
  type RecurrentDeltaResult,
  type RecurrentDeltaState,
  type RecurrentDeltaStepResult,
  type RecurrentDeltaWeights,
  recurrentDelta,
  recurrentDeltaStep,
} from './ops/recurrent-delta.ts';
export { type RelativeScoresOptions, relativeScores } from './ops/relative-scores.ts';
export { type RepeatLayerOptions, repeatLayer } from './ops/repeat-layer.ts';
export { type RetentionDecayOptions, type RetentionOptions, retention, retentionStep } from './ops/retention.ts';
export { addRmsNorm, type RmsNormOptions, rmsNorm } from './ops/rms-norm.ts';
export { type SegmentSums, segmentSum } from './ops/segment-sum.ts';
export {
  type SelfReferentialOptions,
  type SelfReferentialResult,
  type SelfReferentialStepResult,
  selfReferential,
  selfReferentialRead,
  selfReferentialStep,
} from './ops/self-referential.ts';
export { type Reduction, type SoftmaxCrossEntropyOptions, softmaxCrossEntropy } from './ops/softmax-cross-entropy.ts';
export { type SsdOptions, type SsdSkipOptions, ssd, ssdStep } from './ops/ssd.ts';
export { stopGradient, straightThrough } from './ops/stop-gradient.ts';
export type {
  LinearAttentionResult,
  LinearAttentionStepResult,
  NormalizerOptions,
  NormalizerStepOptions,
} from './ops/sum-rule.ts';
export { type VTraceInputs, type VTraceOptions, type VTraceResult, vTrace } from './ops/v-trace.ts';
export { vqAssign } from './ops/vq-assign.ts';
export { type VqResult, vqQuantize, vqQuantizeSum } from './ops/vq-quantize.ts';
export { GradientAccumulator } from './optim/accumulate.ts';
export { Adam, type AdamOptions, AdamW } from './optim/adam.ts';
export { type ClippedGradients, clipByGlobalNorm, globalNorm } from './optim/clip.ts';
export { type ValueAndGradients, valueAndGradients } from './optim/gradients.ts';
export {
  isVector,
  type MinimizeOptions,
  type ObservedUpdate,
  type OptimizedParameter,
  Optimizer,
  type OptimizerOptions,
  type OptimizerState,
  type OptimizerValues,
  type ParameterGroup,
  type ParameterUpdate,
} from './optim/optimizer.ts';
export type { ParameterSource } from './optim/parameters.ts';
export { RmsProp, type RmsPropOptions } from './optim/rms-prop.ts';
export {
  constant,
  cosineDecay,
  inverseSquareRoot,
  linearCooldown,
  linearDecay,
  linearWarmup,
  type Schedule,
  warmupCosine,
  warmupLinear,
} from './optim/schedules.ts';
export { Sgd, type SgdOptions } from './optim/sgd.ts';
export {
  type BernoulliOptions,
  type NormalOptions,
  RandomStream,
  type RandomStreamState,
  randomBernoulli,
  randomIntegers,
  randomNormal,
  randomPermutation,
  randomTruncatedNormal,
  randomUniform,
  type UniformOptions,
} from './random/index.ts';
export {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  assertShape,
  assertTensor,
  type Extent,
  type Extents,
} from './shape-checks.ts';
