/**
 * One layer of the Neural Data Router (Csordás, Irie and Schmidhuber, 2022, section 3.1): a column is replaced or copied, number
 * by number,
 *
 *     u = LN(h + dropout(attention(h)))
 *     m = LN(W₂ dropout(relu(W₁ u + b₁)) + b₂)           without a residual around it
 *     g = σ(G₂ dropout(relu(G₁ u + c₁)) + c₂)           c₂ = −3 at first: everything is copied
 *     h′ = h + g (m − h)                                 while training, g = 0 for some whole columns
 *
 * Variants of m, by name:
 *
 *     router      the above
 *     tanh        m = tanh(W₂ dropout(relu(W₁ u + b₁)) + b₂): the ablation with softmax attention
 *     residual    m = LN(u + W₂ gelu(W₁ u + b₁) + b₂), g with GELU, no dropout of hidden units: the one of CTL++ (2022)
 *
 * Initially W₁ and G₁ are Xavier uniform with gain √2, G₂ with gain 1, W₂ with gain 5/3 (in `residual` 1); biases but c₂ are
 * uniform within ±1/√inputs.
 */

import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  branch,
  constantInitializer,
  copyGate,
  Dropout,
  LayerNorm,
  Linear,
  Module,
  type RandomStream,
  xavierUniform,
} from '@fwp/core';
import { add, sigmoid, type Tensor, type Tensor3D, tanh, tidy } from '@tensorflow/tfjs-core';
import type { ColumnAttention, ColumnLayer } from './column-attention.ts';

/** Variants of {@link DataRouterLayer}. */
export const ROUTER_UPDATES = ['router', 'tanh', 'residual'] as const;

/** Name of a variant. */
export type RouterUpdate = (typeof ROUTER_UPDATES)[number];

/** Options of {@link DataRouterLayer}. */
export interface DataRouterLayerOptions {
  /** Size of a column. */
  size: number;
  /** Number of hidden units of the update. Default 2 · size. */
  hiddenSize?: number | undefined;
  /** What columns read from each other with; becomes the layer's own. */
  attention: ColumnAttention;
  /** Default `'router'`. */
  update?: RouterUpdate | undefined;
  /** Dropout rate of the attention's output and of hidden units. Default 0. */
  dropout?: number | undefined;
  /** Rate of columns whose gate stays closed while training. Default 0. */
  gateDropout?: number | undefined;
  /** c₂ at first. Default −3. */
  gateBias?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A layer with a copy gate. */
export class DataRouterLayer extends Module implements ColumnLayer {
  readonly size: number;
  readonly attention: ColumnAttention;
  /** Normalises what was read. */
  readonly mergeNorm: LayerNorm;
  /** W₁ with its activation, and W₂. */
  readonly updateInput: Linear;
  readonly updateOutput: Linear;
  /** Normalises the update; not in the variant `'tanh'`. */
  readonly updateNorm: LayerNorm | undefined;
  /** G₁ with its activation, and G₂. */
  readonly gateInput: Linear;
  readonly gateOutput: Linear;
  readonly #update: RouterUpdate;
  readonly #dropout: Dropout;
  readonly #gateDropout: number;
  readonly #random: RandomStream;

  constructor(options: DataRouterLayerOptions) {
    super();
    const {
      size,
      hiddenSize = 2 * size,
      update = 'router',
      dropout = 0,
      gateDropout = 0,
      gateBias = -3,
      random,
    } = options;
    assertCount('DataRouterLayer: size', size);
    assertCount('DataRouterLayer: hiddenSize', hiddenSize);
    assertOneOf('DataRouterLayer: update', update, ROUTER_UPDATES);
    assertNumber('DataRouterLayer: gateDropout', gateDropout, 0, 1 - 2 ** -32);
    this.size = size;
    this.#update = update;
    this.#gateDropout = gateDropout;
    const activation = update === 'residual' ? 'gelu' : 'relu';
    const inward = { inputSize: size, activation, random, weightInitializer: xavierUniform(Math.SQRT2) } as const;
    const gain = update === 'residual' ? 1 : 5 / 3;
    try {
      this.attention = this.addModule('attention', options.attention);
      this.mergeNorm = this.addModule('mergeNorm', new LayerNorm({ size }));
      this.updateInput = this.addModule('updateInput', new Linear({ ...inward, outputSize: hiddenSize }));
      const outward = { inputSize: hiddenSize, outputSize: size, random, weightInitializer: xavierUniform(gain) };
      this.updateOutput = this.addModule('updateOutput', new Linear(outward));
      if (update !== 'tanh') this.updateNorm = this.addModule('updateNorm', new LayerNorm({ size }));
      this.gateInput = this.addModule('gateInput', new Linear({ ...inward, outputSize: size }));
      const biasInitializer = constantInitializer(gateBias);
      const gate = { inputSize: size, outputSize: size, random, weightInitializer: xavierUniform(), biasInitializer };
      this.gateOutput = this.addModule('gateOutput', new Linear(gate));
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.#random = this.addRandomStream('random', branch(random));
  }

  apply(h: Tensor3D, paddingMask?: Tensor): Tensor3D {
    assertFloatShape('DataRouterLayer: h', h, ['batch', 'length', this.size]);
    return tidy(() => {
      const u = this.#read(h, paddingMask);
      const drops = this.training && this.#gateDropout > 0;
      const gateDropout = drops ? { rate: this.#gateDropout, random: this.#random } : undefined;
      return copyGate(h, this.#updateOf(u), this.#gateOf(u), { gateDropout });
    });
  }

  gates(h: Tensor3D, paddingMask?: Tensor): Tensor3D {
    assertFloatShape('DataRouterLayer: h', h, ['batch', 'length', this.size]);
    return tidy(() => sigmoid<Tensor3D>(this.#gateOf(this.#read(h, paddingMask))));
  }

  #read(h: Tensor3D, paddingMask: Tensor | undefined): Tensor3D {
    return this.mergeNorm.addAndNormalize(h, this.#dropout.forward(this.attention.apply(h, paddingMask))).output;
  }

  #hidden(x: Tensor3D): Tensor3D {
    return this.#update === 'residual' ? x : this.#dropout.forward(x);
  }

  #updateOf(u: Tensor3D): Tensor3D {
    const update = this.updateOutput.forward(this.#hidden(this.updateInput.forward(u)));
    if (this.updateNorm === undefined) return tanh(update);
    return this.updateNorm.forward(this.#update === 'residual' ? add<Tensor3D>(update, u) : update);
  }

  #gateOf(u: Tensor3D): Tensor3D {
    return this.gateOutput.forward(this.#hidden(this.gateInput.forward(u)));
  }
}
