/**
 * The layers that the papers compare, by name:
 *
 *     name                     attention                        update
 *     neuralDataRouter         geometric                        copy gate
 *     geometric                geometric, rows add up to 1      residual
 *     gated                    softmax, relative positions      copy gate, tanh
 *     gatedPositions           softmax, absolute and relative   copy gate, tanh
 *     universal                softmax                          residual; positions are added to the embedding
 *     relativeUniversal        softmax, relative positions      residual
 *     dataRouterCtlPlusPlus    geometric with biases            copy gate around a residual
 */

import { assertOneOf, type RandomStream } from '@fwp/core';
import type { ColumnLayer } from './column-attention.ts';
import { DataRouterLayer } from './data-router-layer.ts';
import { GeometricSelfAttention } from './geometric-self-attention.ts';
import { SoftmaxSelfAttention } from './softmax-self-attention.ts';
import { UniversalLayer } from './universal-layer.ts';

/** Names of {@link createColumnLayer}. */
export const COLUMN_LAYERS = [
  'neuralDataRouter',
  'geometric',
  'gated',
  'gatedPositions',
  'universal',
  'relativeUniversal',
  'dataRouterCtlPlusPlus',
] as const;

/** Name of a layer. */
export type ColumnLayerName = (typeof COLUMN_LAYERS)[number];

/** Options of {@link createColumnLayer}. */
export interface ColumnLayerOptions {
  /** Size of a column. */
  size: number;
  /** Number of hidden units. Default 2 · size; 4 · size, as the authors have it, for `gated` and `gatedPositions`. */
  hiddenSize?: number | undefined;
  /** Number of heads. Default 1. */
  heads?: number | undefined;
  /** Dropout rate of branches and hidden units. Default 0. */
  dropout?: number | undefined;
  /** Dropout rate of keys of geometric attention, of weights of softmax attention. Default 0. */
  attentionDropout?: number | undefined;
  /** Rate of columns whose gate stays closed while training. Default 0. */
  gateDropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/**
 * Makes a layer.
 *
 * @param name which one
 * @param options sizes and dropout
 * @throws RangeError for a wrong name or option
 */
export function createColumnLayer(name: ColumnLayerName, options: ColumnLayerOptions): ColumnLayer {
  assertOneOf('createColumnLayer: name', name, COLUMN_LAYERS);
  const { attentionDropout, heads, ...common } = options;
  const { size, random } = common;
  const tanh = { update: 'tanh', hiddenSize: options.hiddenSize ?? 4 * size } as const;
  const geometric = (variant: { normalize?: boolean; projectionBiases?: boolean }) =>
    new GeometricSelfAttention({ size, heads, random, keyDropout: attentionDropout, ...variant });
  const softmax = (positions: 'none' | 'relative' | 'gated') =>
    new SoftmaxSelfAttention({ size, heads, random, attentionDropout, positions });
  switch (name) {
    case 'neuralDataRouter':
      return new DataRouterLayer({ ...common, attention: geometric({}) });
    case 'dataRouterCtlPlusPlus':
      return new DataRouterLayer({ ...common, attention: geometric({ projectionBiases: true }), update: 'residual' });
    case 'geometric':
      return new UniversalLayer({ ...common, attention: geometric({ normalize: true }) });
    case 'gated':
      return new DataRouterLayer({ ...common, ...tanh, attention: softmax('relative') });
    case 'gatedPositions':
      return new DataRouterLayer({ ...common, ...tanh, attention: softmax('gated') });
    case 'relativeUniversal':
      return new UniversalLayer({ ...common, attention: softmax('relative') });
    default:
      return new UniversalLayer({ ...common, attention: softmax('none') });
  }
}
