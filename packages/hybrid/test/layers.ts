/** Small hybrid layers of all kinds, and what tests do with them. */

import type { RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { HybridLayer, type HybridLayerOptions } from '../src/index.ts';

/** Size of inputs and outputs. */
export const SIZE = 8;

/** Options by the names under which tests report them. */
export const cases: Readonly<Record<string, Omit<HybridLayerOptions, 'size' | 'heads' | 'random'>>> = {
  synchronous: { window: 4 },
  'synchronous, everything on': { window: 3, convolution: 3, outputGate: true, mixer: 'scalar' },
  'synchronous, window of one, no positions, sum': { window: 1, rotary: false, mixer: 'sum' },
  'synchronous, linear attention': { window: 4, rule: 'linearAttention' },
  'delayed stream': { blend: 'delayedStream', window: 3 },
  'delayed stream, convolution, other sizes': {
    blend: 'delayedStream',
    window: 2,
    convolution: 4,
    headSize: 6,
    valueSize: 3,
    mixer: 'sum',
  },
  'delayed chunk': { blend: 'delayedChunk', window: 4 },
  'delayed chunk, convolution, scalar': { blend: 'delayedChunk', window: 3, convolution: 2, mixer: 'scalar' },
};

/** A layer of {@link cases}, with some options changed, as it is initialised. */
export function makeLayer(name: string, random: RandomStream, changed: Partial<HybridLayerOptions> = {}): HybridLayer {
  return new HybridLayer({ ...cases[name]!, ...changed, size: SIZE, heads: 2, random });
}

/** The same with projections so large that gates, keys and states matter. */
export function makeVividLayer(
  name: string,
  random: RandomStream,
  changed: Partial<HybridLayerOptions> = {},
): HybridLayer {
  const layer = makeLayer(name, random, changed);
  for (const variable of layer.parameters()) {
    if (variable.rank === 2) tf.tidy(() => variable.assign(tf.mul(variable, 20)));
  }
  return layer;
}

/** All numbers of a state, its tensors and what it counts. */
export function stateValues(state: object): number[] {
  return Object.values(state).flatMap((item) =>
    item instanceof tf.Tensor ? Array.from(item.dataSync()) : typeof item === 'number' ? [item] : [],
  );
}
