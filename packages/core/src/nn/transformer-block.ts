/**
 * A Transformer block around any sequence mixer (Vaswani et al., 2017, section 3.1; Xiong et al., 2020, for pre-norm):
 *
 *     pre-norm    u = x + mixer(norm₁(x))      y = u + feedForward(norm₂(u))
 *     post-norm   u = norm₁(x + mixer(x))      y = norm₂(u + feedForward(u))
 *
 * x, y [batch, length, size]. With dropout, the branches are dropped out before they are added. A pre-norm stack needs a
 * normalisation behind its last block, which belongs to the model.
 */

import {
  add,
  slice,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type TensorContainer,
  tidy,
} from '@tensorflow/tfjs-core';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertOneOf } from '../shape-checks.ts';
import { Dropout } from './dropout.ts';
import { FeedForward, type FeedForwardOptions } from './feed-forward.ts';
import { Module } from './module.ts';
import { MultiHeadAttention, type MultiHeadAttentionOptions } from './multi-head-attention.ts';
import { LayerNorm, type Normalization, RmsNorm } from './normalization.ts';
import type { MixerOptions, SequenceMixer } from './sequence-mixer.ts';
import type { Layer } from './sequential.ts';

/** Options of {@link TransformerBlock}. */
export interface TransformerBlockOptions {
  /** Size of input and output vectors. */
  size: number;
  /** The mixer, or options of a {@link MultiHeadAttention}. The block takes a mixer over and disposes it with itself. */
  mixer: SequenceMixer | Omit<MultiHeadAttentionOptions, 'size' | 'outputSize' | 'random'>;
  /** The feed-forward part, or options of a {@link FeedForward}. Default: one with 4 · size hidden units and ReLU. */
  feedForward?: Layer | Omit<FeedForwardOptions, 'size' | 'random'>;
  /** Where it normalises. Default `'pre'`. */
  placement?: 'pre' | 'post';
  /** How it normalises. Default `'layer'`. */
  normalization?: 'layer' | 'rms';
  /** ε of the normalisations. Default 1e-5. */
  epsilon?: number;
  /** Dropout rate of both branches. Default 0. */
  dropout?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Mixer and feed-forward part with residual connections; itself a mixer with the state of its mixer. */
export class TransformerBlock extends Module implements SequenceMixer {
  readonly size: number;
  readonly outputSize: number;
  readonly mixer: SequenceMixer;
  readonly feedForward: Layer;
  readonly norm1: Normalization;
  readonly norm2: Normalization;
  readonly #dropout1: Dropout;
  readonly #dropout2: Dropout;
  readonly #preNorm: boolean;

  constructor(options: TransformerBlockOptions) {
    super();
    const { size, mixer, feedForward = {}, placement = 'pre', normalization = 'layer', dropout = 0, random } = options;
    const { epsilon = 1e-5 } = options;
    assertCount('TransformerBlock: size', size);
    assertOneOf('TransformerBlock: placement', placement, ['pre', 'post']);
    assertOneOf('TransformerBlock: normalization', normalization, ['layer', 'rms']);
    this.size = size;
    this.outputSize = size;
    this.#preNorm = placement === 'pre';
    const Norm = normalization === 'layer' ? LayerNorm : RmsNorm;
    try {
      this.norm1 = this.addModule('norm1', new Norm({ size, epsilon }));
      this.mixer = this.addModule(
        'mixer',
        mixer instanceof Module ? mixer : new MultiHeadAttention({ ...mixer, size, random }),
      );
      this.#dropout1 = this.addModule('dropout1', new Dropout({ rate: dropout, random }));
      this.norm2 = this.addModule('norm2', new Norm({ size, epsilon }));
      this.feedForward = this.addModule(
        'feedForward',
        feedForward instanceof Module ? feedForward : new FeedForward({ ...feedForward, size, random }),
      );
      this.#dropout2 = this.addModule('dropout2', new Dropout({ rate: dropout, random }));
      if (this.mixer.outputSize !== size) {
        throw new RangeError(
          `TransformerBlock: the mixer's outputs must have size ${size}, as they are added to the inputs, but have size ` +
            `${this.mixer.outputSize}.`,
        );
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param options padding
   * @returns `[batch, length, size]`
   */
  apply(x: Tensor3D, options: MixerOptions = {}): Tensor3D {
    return tidy(() => this.#finish(x, this.mixer.apply(this.#before(x), options)));
  }

  /**
   * What `apply` returns for the last elements, without the feed-forward part of those before them.
   *
   * @param x float32 `[batch, length, size]`
   * @param count number of elements, from 1 to `length`
   * @param options padding
   * @returns `[batch, count, size]`
   */
  applyToLast(x: Tensor3D, count: number, options: MixerOptions = {}): Tensor3D {
    assertCount('TransformerBlock: count', count);
    if (count > x.shape[1]) {
      throw new RangeError(`TransformerBlock: count must be at most the length of x, ${x.shape[1]}, but is ${count}.`);
    }
    const last = (all: Tensor3D): Tensor3D => slice(all, [0, all.shape[1] - count, 0]);
    return tidy(() => this.#finish(last(x), last(this.mixer.apply(this.#before(x), options))));
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param state the mixer's state
   * @param options padding
   */
  forward(
    x: Tensor3D,
    state?: TensorContainer,
    options: MixerOptions = {},
  ): { output: Tensor3D; state: TensorContainer } {
    return tidy(() => {
      const mixed = this.mixer.forward(this.#before(x), state, options);
      return { output: this.#finish(x, mixed.output), state: mixed.state };
    });
  }

  /**
   * @param x float32 `[batch, size]`
   * @param state the mixer's state
   */
  step(x: Tensor2D, state: TensorContainer): { output: Tensor2D; state: TensorContainer } {
    return tidy(() => {
      const mixed = this.mixer.step(this.#before(x), state);
      return { output: this.#finish(x, mixed.output), state: mixed.state };
    });
  }

  /** The mixer's. */
  initialState(batch: number): TensorContainer {
    return this.mixer.initialState(batch);
  }

  #before<T extends Tensor>(x: T): T {
    return this.#preNorm ? this.norm1.forward(x) : x;
  }

  #finish<T extends Tensor>(x: T, mixed: T): T {
    const branch = this.#dropout1.forward(mixed);
    if (this.#preNorm) {
      const { sum, output } = this.norm2.addAndNormalize(x, branch);
      return add<T>(sum, this.#dropout2.forward(this.feedForward.forward(output) as T));
    }
    const { output } = this.norm1.addAndNormalize(x, branch);
    return this.norm2.addAndNormalize(output, this.#dropout2.forward(this.feedForward.forward(output) as T)).output;
  }
}
