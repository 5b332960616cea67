/**
 * The block around a self-referential layer (Irie, Schlag, Csordás and Schmidhuber, 2022), with the wirings of the authors'
 * two programs:
 *
 *     normalized   u = norm₁(x) + mixer(x)      few-shot learning: the residual is normalised, what the mixer gets is not
 *     plain        u = x + mixer(x)             reinforcement learning, with φ a softmax
 *     both         y = u + feedForward(norm₂(u))
 *
 * x, y [batch, length, size]. With dropout, the mixer's output, the hidden layer and the output of the feed-forward part
 * are dropped out. The DeltaNet that the paper compares with has the usual pre-norm block, `TransformerBlock`.
 */

import {
  assertCount,
  assertOneOf,
  Dropout,
  FeedForward,
  LayerNorm,
  type MixerOptions,
  Module,
  type RandomStream,
  type SequenceMixer,
} from '@fwp/core';
import { add, type Tensor, type Tensor2D, type Tensor3D, type TensorContainer, tidy } from '@tensorflow/tfjs-core';
import { Srwm, type SrwmOptions } from './srwm.ts';

/** Wirings of {@link SrwmBlock}. */
export const RESIDUALS = ['normalized', 'plain'] as const;

/** Which residual a block adds the mixer's output to. */
export type Residual = (typeof RESIDUALS)[number];

/** Options of {@link SrwmBlock}. */
export interface SrwmBlockOptions {
  /** Size of input and output vectors. */
  size: number;
  /** The mixer, or options of an {@link Srwm}. The block takes a mixer over and disposes it with itself. */
  mixer: SequenceMixer | Omit<SrwmOptions, 'size' | 'outputSize' | 'random'>;
  /** Hidden units of the feed-forward part. Default 4 · size. */
  hiddenSize?: number | undefined;
  /** Default `'normalized'`. */
  residual?: Residual | undefined;
  /** Dropout rate. Default 0. */
  dropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Self-modifying layer and feed-forward part with residual connections; itself a mixer with the state of its mixer. */
export class SrwmBlock extends Module implements SequenceMixer {
  readonly size: number;
  readonly outputSize: number;
  readonly residual: Residual;
  readonly mixer: SequenceMixer;
  /** Only of a normalised residual. */
  readonly norm1: LayerNorm | undefined;
  readonly norm2: LayerNorm;
  readonly feedForward: FeedForward;
  readonly #dropout1: Dropout;
  readonly #dropout2: Dropout;

  constructor(options: SrwmBlockOptions) {
    super();
    const { size, mixer, hiddenSize = 4 * size, residual = 'normalized', dropout = 0, random } = options;
    assertCount('SrwmBlock: size', size);
    assertOneOf('SrwmBlock: residual', residual, RESIDUALS);
    this.size = size;
    this.outputSize = size;
    this.residual = residual;
    try {
      this.mixer = this.addModule('mixer', mixer instanceof Module ? mixer : new Srwm({ ...mixer, size, random }));
      if (residual === 'normalized') this.norm1 = this.addModule('norm1', new LayerNorm({ size }));
      this.#dropout1 = this.addModule('dropout1', new Dropout({ rate: dropout, random }));
      this.norm2 = this.addModule('norm2', new LayerNorm({ size }));
      this.feedForward = this.addModule('feedForward', new FeedForward({ size, hiddenSize, dropout, random }));
      this.#dropout2 = this.addModule('dropout2', new Dropout({ rate: dropout, random }));
      if (this.mixer.outputSize !== size) {
        throw new RangeError(
          `SrwmBlock: the mixer's outputs must have size ${size}, as they are added to the inputs, but have size ` +
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
    return tidy(() => this.#finish(x, this.mixer.apply(x, options)));
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
      const mixed = this.mixer.forward(x, state, options);
      return { output: this.#finish(x, mixed.output), state: mixed.state };
    });
  }

  /**
   * @param x float32 `[batch, size]`
   * @param state the mixer's state
   */
  step(x: Tensor2D, state: TensorContainer): { output: Tensor2D; state: TensorContainer } {
    return tidy(() => {
      const mixed = this.mixer.step(x, state);
      return { output: this.#finish(x, mixed.output), state: mixed.state };
    });
  }

  /** The mixer's. */
  initialState(batch: number): TensorContainer {
    return this.mixer.initialState(batch);
  }

  #finish<T extends Tensor>(x: T, mixed: T): T {
    const residual = this.norm1 === undefined ? x : this.norm1.forward(x);
    const sum = add<T>(residual, this.#dropout1.forward(mixed));
    return add<T>(sum, this.#dropout2.forward(this.feedForward.forward(this.norm2.forward(sum))));
  }
}
