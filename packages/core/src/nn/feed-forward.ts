/**
 * The feed-forward part of a Transformer block (Vaswani et al., 2017, equation 2), and its gated variants (Shazeer, GLU
 * Variants Improve Transformer, 2020):
 *
 *     relu, gelu, silu, …       y = act(x W₁ + b₁) W₂ + b₂
 *     reglu, geglu, swiglu      y = (act(x W_g + b_g) ∘ (x W₁ + b₁)) W₂ + b₂,    act = relu, gelu, silu
 *
 * x [..., size], hidden [..., hiddenSize], y [..., size]. Initialisation as in {@link Linear}. GELU is the exact one.
 */

import { mul, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LinearActivation } from '../ops/linear.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertOneOf } from '../shape-checks.ts';
import { Dropout } from './dropout.ts';
import type { Initializer } from './initializers.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';

/** Activations of {@link FeedForward}; those that end in `glu` are gated. */
export const FEED_FORWARD_ACTIVATIONS = [
  'relu',
  'gelu',
  'silu',
  'tanh',
  'sigmoid',
  'reglu',
  'geglu',
  'swiglu',
] as const;

/** Name of an activation of {@link FeedForward}. */
export type FeedForwardActivation = (typeof FEED_FORWARD_ACTIVATIONS)[number];

/** Options of {@link FeedForward}. */
export interface FeedForwardOptions {
  /** Size of input and output. */
  size: number;
  /** Size in between. Default 4 · size. */
  hiddenSize?: number;
  /** Default `'relu'`. */
  activation?: FeedForwardActivation;
  /** Whether the linear maps have biases. Default true. */
  bias?: boolean;
  /** Dropout rate of the hidden layer. Default 0. */
  dropout?: number;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of all weights. Default: that of {@link Linear}. */
  weightInitializer?: Initializer;
  /** Of W₂. Default: `weightInitializer`. */
  outputInitializer?: Initializer;
  /** Of all biases. Default: that of {@link Linear}. */
  biasInitializer?: Initializer;
}

const GATES: Partial<Record<FeedForwardActivation, LinearActivation>> = {
  reglu: 'relu',
  geglu: 'gelu',
  swiglu: 'silu',
};

/** Two linear maps with an activation, or a gate, between them. */
export class FeedForward extends Module {
  readonly input: Linear;
  readonly gate: Linear | undefined;
  readonly output: Linear;
  readonly #dropout: Dropout;

  constructor(options: FeedForwardOptions) {
    super();
    const {
      size,
      hiddenSize = 4 * size,
      activation = 'relu',
      dropout = 0,
      random,
      outputInitializer,
      ...linear
    } = options;
    assertCount('FeedForward: size', size);
    assertCount('FeedForward: hiddenSize', hiddenSize);
    assertOneOf('FeedForward: activation', activation, FEED_FORWARD_ACTIVATIONS);
    const gate = GATES[activation];
    try {
      const inward = { ...linear, inputSize: size, outputSize: hiddenSize, random };
      const plain = gate === undefined ? (activation as LinearActivation) : 'none';
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
      this.input = this.addModule('input', new Linear({ ...inward, activation: plain }));
      if (gate !== undefined) this.gate = this.addModule('gate', new Linear({ ...inward, activation: gate }));
      const outward = { ...linear, inputSize: hiddenSize, outputSize: size, random };
      if (outputInitializer !== undefined) outward.weightInitializer = outputInitializer;
      this.output = this.addModule('output', new Linear(outward));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[..., size]`
   * @returns `[..., size]`
   */
  forward<T extends Tensor>(x: T): T {
    return tidy(() => {
      const inner = this.input.forward(x);
      const hidden = this.gate === undefined ? inner : mul<T>(this.gate.forward(x), inner);
      return this.output.forward(this.#dropout.forward(hidden));
    });
  }
}
