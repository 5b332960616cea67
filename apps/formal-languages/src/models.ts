/**
 * The models that are compared, as taggers: an embedding of size D, blocks, a linear map to the labels; no positions.
 *
 *     linearTransformer    sum rule, φ = ELU + 1, nothing normalised
 *     deltaNet             delta rule, φ = (ELU + 1) / Σ, β in (0, 1): transitions I − β k kᵀ have no negative eigenvalues
 *     deltaNetBeta2        delta rule, keys of length 1, β in (0, 2): eigenvalues down to −1 (Grazzi et al., 2025)
 *     deltaRnn             the fast net is recurrent
 *     recurrentDeltaNet    the slow net is recurrent
 *     srwm                 a matrix that rewrites itself
 *     lstm                 LSTM; D units in each layer
 *     elementwiseLstm      LSTM whose units see no other unit; one layer of D units
 *     transformer          softmax attention, post-norm, with a LayerNorm at the end
 *
 * The others have pre-norm blocks without a LayerNorm at the end, and the SRWM its own block. Feed-forward parts have
 * 4 D hidden units and ReLU. All linear maps begin as those of PyTorch, where the paper says nothing else.
 */

import {
  ElementwiseLstm,
  fanInUniform,
  Lstm,
  type RandomStream,
  type SequenceMixer,
  TransformerBlock,
} from '@fwp/core';
import { createMixer, type MixerName, type MixerSettings, SequenceTagger } from '@fwp/rfwp';
import { SrwmBlock } from '@fwp/srwm';
import { ReflectingDeltaNet } from './reflecting-delta-net.ts';

/** Names of the models. */
export const MODELS = [
  'linearTransformer',
  'deltaNet',
  'deltaNetBeta2',
  'deltaRnn',
  'recurrentDeltaNet',
  'srwm',
  'lstm',
  'elementwiseLstm',
  'transformer',
] as const;

/** Name of a model. */
export type ModelName = (typeof MODELS)[number];

/** What a model is made of. */
export interface ModelSizes {
  /** D. */
  readonly size: number;
  readonly heads: number;
  /** Number of blocks. */
  readonly layers: number;
}

/** Its symbols and labels. */
export interface TaskSizes {
  readonly vocabularySize: number;
  readonly targetCount: number;
}

/** Makes a model. */
export function makeModel(
  name: ModelName,
  { size, heads, layers }: ModelSizes,
  { vocabularySize, targetCount }: TaskSizes,
  random: RandomStream,
): SequenceTagger {
  const common = { size, heads, random, weightInitializer: fanInUniform() };
  const stack = (make: () => SequenceMixer) => Array.from({ length: layers }, make);
  const fastBlocks = (make: () => SequenceMixer) => stack(() => new TransformerBlock({ size, mixer: make(), random }));
  const fast = <Name extends MixerName>(mixer: Name, options: Omit<MixerSettings[Name], keyof typeof common>) =>
    fastBlocks(() => createMixer(mixer, { ...common, ...options } as unknown as MixerSettings[Name]));
  const blocks: Readonly<Record<ModelName, () => SequenceMixer[]>> = {
    linearTransformer: () => fast('linearAttention', { normalizer: 'none', outputScale: 1 }),
    deltaNet: () => fast('deltaNet', { featureMap: 'eluPlusOne', outputScale: 1 }),
    deltaNetBeta2: () => fastBlocks(() => new ReflectingDeltaNet({ size, heads, random })),
    deltaRnn: () => fast('deltaRnn', {}),
    recurrentDeltaNet: () => fast('recurrentDeltaNet', {}),
    srwm: () => stack(() => new SrwmBlock({ size, mixer: { heads, rateBias: -1 }, random })),
    lstm: () => [new Lstm({ inputSize: size, hiddenSize: size, layers, random })],
    elementwiseLstm: () => [new ElementwiseLstm({ inputSize: size, hiddenSize: size, random })],
    transformer: () => stack(() => new TransformerBlock({ size, mixer: { heads }, placement: 'post', random })),
  };
  return new SequenceTagger({
    ...{ vocabularySize, targetCount, size, random },
    blocks: blocks[name](),
    finalNorm: name === 'transformer',
  });
}
