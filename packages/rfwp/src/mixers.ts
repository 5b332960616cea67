/** The layers of this package by name, beside those of `@fwp/deltanet` and `@fwp/core`: for configurations that choose one. */

import type { SequenceMixer } from '@fwp/core';
import {
  createMixer as createOtherMixer,
  MIXERS as OTHER_MIXERS,
  type MixerSettings as OtherMixerSettings,
} from '@fwp/deltanet';
import { DeltaDeltaNet, type DeltaDeltaNetOptions } from './delta-delta-net.ts';
import { DeltaLstm, type DeltaLstmLayerOptions } from './delta-lstm.ts';
import { DeltaMlp, type DeltaMlpLayerOptions } from './delta-mlp.ts';
import { DeltaRnn, type DeltaRnnLayerOptions } from './delta-rnn.ts';
import { RecurrentDeltaNet, type RecurrentDeltaNetOptions } from './recurrent-delta-net.ts';

/** Options of this package's mixers. */
interface OwnMixerSettings {
  /** A DeltaNet with a recurrent fast net. */
  deltaRnn: DeltaRnnLayerOptions;
  /** A DeltaNet with a fast net that is an LSTM. */
  deltaLstm: DeltaLstmLayerOptions;
  /** A DeltaNet with a recurrent slow net. */
  recurrentDeltaNet: RecurrentDeltaNetOptions;
  /** A DeltaNet with a deep fast net. */
  deltaMlp: DeltaMlpLayerOptions;
  /** A DeltaNet programmed by a DeltaNet. */
  deltaDeltaNet: DeltaDeltaNetOptions;
}

/** Options of each mixer, those of `@fwp/deltanet` included. */
export interface MixerSettings extends OwnMixerSettings, OtherMixerSettings {}

/** Name of a mixer. */
export type MixerName = keyof MixerSettings;

const CONSTRUCTORS: { readonly [Name in keyof OwnMixerSettings]: (options: OwnMixerSettings[Name]) => SequenceMixer } =
  {
    deltaRnn: (options) => new DeltaRnn(options),
    deltaLstm: (options) => new DeltaLstm(options),
    recurrentDeltaNet: (options) => new RecurrentDeltaNet(options),
    deltaMlp: (options) => new DeltaMlp(options),
    deltaDeltaNet: (options) => new DeltaDeltaNet(options),
  };

/** Names that {@link createMixer} knows. */
export const MIXERS: readonly MixerName[] = [
  ...(Object.keys(CONSTRUCTORS) as (keyof OwnMixerSettings)[]),
  ...OTHER_MIXERS,
];

/**
 * Makes a sequence layer.
 *
 * @param name one of {@link MIXERS}
 * @param options of that layer
 * @throws RangeError for an unknown name, listing the known ones, and for bad options
 */
export function createMixer<Name extends MixerName>(name: Name, options: MixerSettings[Name]): SequenceMixer {
  if (!MIXERS.includes(name)) {
    throw new RangeError(`createMixer: there is no mixer '${name}'. Choose one of: ${MIXERS.join(', ')}.`);
  }
  if (Object.hasOwn(CONSTRUCTORS, name)) {
    return CONSTRUCTORS[name as keyof OwnMixerSettings](options as never);
  }
  return createOtherMixer(name as keyof OtherMixerSettings, options as never);
}
