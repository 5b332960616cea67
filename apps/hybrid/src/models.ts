/**
 * The models that are compared: the same decoder of pre-norm blocks with RMSNorm and SwiGLU, with another sequence layer
 * each,
 *
 *     window             softmax attention over the last S elements
 *     attention          softmax attention over everything
 *     deltaNet           delta rule with β in (0, 2)
 *     delayedStream      both: pairs are written into the fast weights when they leave the window
 *     delayedChunk       both: pairs are written into the fast weights when their chunk ends
 *     synchronous        both: each has all pairs at once
 *     synchronousLinear  the same with linear attention in place of the delta rule
 *
 * The attention of those without fast weights has no convolution.
 */

import { MultiHeadAttention, normalInitializer, type RandomStream, type SequenceMixer } from '@fwp/core';
import { DeltaNet2024 } from '@fwp/deltanet';
import { type BlendName, HybridLanguageModel, HybridLayer, MEMORY_MIXERS, type MemoryMixerName } from '@fwp/hybrid';
import { z } from 'zod';

/** Names of the models. */
export const MODELS = [
  'window',
  'attention',
  'deltaNet',
  'delayedStream',
  'delayedChunk',
  'synchronous',
  'synchronousLinear',
] as const;

/** Name of a model. */
export type ModelName = (typeof MODELS)[number];

/** Settings of the models. */
export const modelSettings = {
  models: z.array(z.enum(MODELS)).min(1).describe('models to compare'),
  size: z.int().min(1).default(32).describe('size of embeddings and hidden vectors'),
  heads: z.int().min(1).default(4),
  layers: z.int().min(1).default(2).describe('blocks of each model'),
  window: z.int().min(1).default(8).describe('S: elements that the attention sees, or of a chunk'),
  mixer: z.enum(MEMORY_MIXERS).default('vector').describe('how readings of both memories are mixed'),
  rotary: z.boolean().default(false).describe('whether attention has rotary positions'),
  convolution: z
    .int()
    .min(0)
    .default(4)
    .describe('elements that a convolution on keys, queries and values sees; 0: none'),
  outputGate: z.boolean().default(true).describe('whether readings are gated'),
  initializerRange: z.number().positive().default(0.02).describe('standard deviation of matrices at first'),
};

/** Settings of the models, as {@link makeModel} needs them. */
export interface ModelConfig {
  readonly size: number;
  readonly heads: number;
  readonly layers: number;
  readonly window: number;
  readonly mixer: MemoryMixerName;
  readonly rotary: boolean;
  readonly convolution: number;
  readonly outputGate: boolean;
  readonly initializerRange: number;
}

/** Makes a model. */
export function makeModel(
  name: ModelName,
  config: ModelConfig,
  vocabularySize: number,
  random: RandomStream,
): HybridLanguageModel {
  const { size, layers, initializerRange } = config;
  const mixer = () => makeLayer(name, config, random);
  return new HybridLanguageModel({ vocabularySize, size, layers, mixer, initializerRange, random });
}

const BLEND_OF: Partial<Record<ModelName, BlendName>> = {
  delayedStream: 'delayedStream',
  delayedChunk: 'delayedChunk',
  synchronous: 'synchronous',
  synchronousLinear: 'synchronous',
};

/** The sequence layer of a model. */
export function makeLayer(name: ModelName, config: ModelConfig, random: RandomStream): SequenceMixer {
  const { size, heads, window, mixer, rotary, convolution, outputGate, initializerRange } = config;
  const common = { size, heads, random, weightInitializer: normalInitializer(initializerRange) };
  const positions = rotary ? 'rotary' : 'none';
  if (name === 'window') return new MultiHeadAttention({ ...common, bias: false, window, positions });
  if (name === 'attention') return new MultiHeadAttention({ ...common, bias: false, positions });
  if (name === 'deltaNet') return new DeltaNet2024({ ...common, convolution, outputGate, negativeEigenvalues: true });
  const rule = name === 'synchronousLinear' ? 'linearAttention' : 'deltaRule';
  const blend = BLEND_OF[name] ?? 'synchronous';
  return new HybridLayer({ ...common, window, blend, mixer, rule, rotary, convolution, outputGate });
}

/** Whether a model attends to a window, or is cut into chunks of that length. */
export function hasWindow(name: ModelName): boolean {
  return name !== 'attention' && name !== 'deltaNet';
}
