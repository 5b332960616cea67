/**
 * All sequence layers of this package, and those of `@fwp/core`, by name: so that a configuration can say which one a model
 * is made of.
 */

import {
  Lstm,
  type LstmLayerOptions,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
  type SequenceMixer,
} from '@fwp/core';
import { DeltaNet, type DeltaNetOptions } from './delta-net.ts';
import { DeltaNet2024, type DeltaNet2024Options } from './delta-net-2024.ts';
import { FastWeightMemory, type FastWeightMemoryOptions } from './fast-weight-memory.ts';
import { GatedDeltaNet, type GatedDeltaNetOptions } from './gated-delta-net.ts';
import { GatedLinearAttention, type GatedLinearAttentionOptions } from './gated-linear-attention.ts';
import { LinearAttention, type LinearAttentionOptions } from './linear-attention.ts';
import { Performer, type PerformerOptions } from './performer.ts';
import { Retention, type RetentionOptions } from './retention.ts';

/** Options of each mixer. */
export interface MixerSettings {
  /** Causal softmax attention. */
  softmaxAttention: MultiHeadAttentionOptions;
  /** The Linear Transformer's layer. */
  linearAttention: LinearAttentionOptions;
  /** Linear attention with FAVOR+ features. */
  performer: PerformerOptions;
  /** DeltaNet of 2021: sum-normalised features. */
  deltaNet: DeltaNetOptions;
  /** DeltaNet of 2024: SiLU, keys of length 1, short convolution. */
  deltaNet2024: DeltaNet2024Options;
  /** The bounded delta rule of the Fast Weight Memory. */
  fastWeightMemory: FastWeightMemoryOptions;
  /** DeltaNet of 2024 with decay and output gate. */
  gatedDeltaNet: GatedDeltaNetOptions;
  /** The sum rule with a decay for each key channel. */
  gatedLinearAttention: GatedLinearAttentionOptions;
  /** The sum rule with a constant decay and rotary positions. */
  retention: RetentionOptions;
  /** LSTM with as many hidden units as an input has elements. */
  lstm: Omit<LstmLayerOptions, 'inputSize' | 'hiddenSize'> & { size: number };
}

/** Name of a mixer. */
export type MixerName = keyof MixerSettings;

const CONSTRUCTORS: { readonly [Name in MixerName]: (options: MixerSettings[Name]) => SequenceMixer } = {
  softmaxAttention: (options) => new MultiHeadAttention(options),
  linearAttention: (options) => new LinearAttention(options),
  performer: (options) => new Performer(options),
  deltaNet: (options) => new DeltaNet(options),
  deltaNet2024: (options) => new DeltaNet2024(options),
  fastWeightMemory: (options) => new FastWeightMemory(options),
  gatedDeltaNet: (options) => new GatedDeltaNet(options),
  gatedLinearAttention: (options) => new GatedLinearAttention(options),
  retention: (options) => new Retention(options),
  lstm: ({ size, ...options }) => new Lstm({ ...options, inputSize: size, hiddenSize: size }),
};

/** Names that {@link createMixer} knows. */
export const MIXERS: readonly MixerName[] = Object.keys(CONSTRUCTORS) as MixerName[];

/**
 * Makes a sequence layer.
 *
 * @param name one of {@link MIXERS}
 * @param options of that layer
 * @throws RangeError for an unknown name, listing the known ones, and for bad options
 */
export function createMixer<Name extends MixerName>(name: Name, options: MixerSettings[Name]): SequenceMixer {
  if (!Object.hasOwn(CONSTRUCTORS, name)) {
    throw new RangeError(`createMixer: there is no mixer '${name}'. Choose one of: ${MIXERS.join(', ')}.`);
  }
  return CONSTRUCTORS[name](options);
}
