/** Small mixers of all kinds, and what tests do with them. */

import type { RandomStream, SequenceMixer } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { createMixer, type MixerSettings, type MixerSpecification } from '../src/index.ts';

/** Size of inputs and outputs. */
export const SIZE = 8;

const heads = 2;

/** Specifications by the names under which tests report them. */
export const cases: Readonly<Record<string, MixerSpecification>> = {
  softmaxAttention: { name: 'softmaxAttention', heads },
  linearAttention: { name: 'linearAttention', heads },
  'linearAttention, DPFP-2, sum-normalised': {
    name: 'linearAttention',
    heads,
    featureMap: 'dpfp',
    nu: 2,
    normalizer: 'sum',
  },
  performer: { name: 'performer', heads, directions: 6 },
  deltaNet: { name: 'deltaNet', heads },
  'deltaNet, ELU + 1, other sizes': { name: 'deltaNet', heads, featureMap: 'eluPlusOne', headSize: 3, valueSize: 5 },
  'deltaNet, FAVOR+': { name: 'deltaNet', heads, featureMap: 'favorPlus' },
  deltaNet2024: { name: 'deltaNet2024', heads },
  'deltaNet2024, no convolution, negative eigenvalues': {
    name: 'deltaNet2024',
    heads,
    convolution: 0,
    negativeEigenvalues: true,
  },
  fastWeightMemory: { name: 'fastWeightMemory', heads },
  gatedDeltaNet: { name: 'gatedDeltaNet', heads },
  gatedLinearAttention: { name: 'gatedLinearAttention', heads },
  retention: { name: 'retention', heads },
  lstm: { name: 'lstm' },
};

/** A mixer of {@link cases}, as it is initialised. */
export function makeMixer(name: string, random: RandomStream): SequenceMixer {
  const { name: mixer, ...options } = cases[name]!;
  return createMixer(mixer, { ...options, size: SIZE, random } as MixerSettings[typeof mixer]);
}

/** The same in evaluation mode, with projections so large that gates, keys and states matter. */
export function makeVividMixer(name: string, random: RandomStream): SequenceMixer {
  const mixer = makeMixer(name, random).eval();
  for (const [path, variable] of mixer.namedParameters()) {
    if (/rojection|queryKeyValue|decay|gate|output|beta/.test(path) && variable.rank === 2) {
      tf.tidy(() => variable.assign(tf.mul(variable, 20)));
    }
  }
  return mixer as SequenceMixer;
}
