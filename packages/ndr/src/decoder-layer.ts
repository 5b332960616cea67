/**
 * A post-norm decoder layer (Vaswani et al., 2017, section 3.1): causal self-attention, attention over the source, feed-forward
 * part, each with dropout, a residual and layer normalisation.
 */

import {
  type AttentionState,
  CrossAttention,
  type CrossAttentionState,
  Dropout,
  FeedForward,
  type FeedForwardOptions,
  LayerNorm,
  Module,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
  type RandomStream,
} from '@fwp/core';
import { type Tensor, type Tensor3D, tidy } from '@tensorflow/tfjs-core';

/** Options of {@link DecoderLayer}. */
export interface DecoderLayerOptions {
  /** Size of a vector. */
  size: number;
  /** Attention to earlier positions; attention over the source has as many heads. */
  selfAttention: Omit<MultiHeadAttentionOptions, 'size' | 'causal' | 'bias' | 'random'>;
  /** The feed-forward part. */
  feedForward: Omit<FeedForwardOptions, 'size' | 'random'>;
  /** Dropout rate of all branches. Default 0. */
  dropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A decoder layer. */
export class DecoderLayer extends Module {
  readonly selfAttention: MultiHeadAttention;
  readonly crossAttention: CrossAttention;
  readonly feedForward: FeedForward;
  readonly norms: readonly LayerNorm[];
  readonly #dropout: Dropout;

  constructor({ size, selfAttention, feedForward, dropout = 0, random }: DecoderLayerOptions) {
    super();
    try {
      const common = { size, bias: false, random };
      const own = new MultiHeadAttention({ ...selfAttention, ...common, causal: true });
      this.selfAttention = this.addModule('selfAttention', own);
      const { heads } = selfAttention;
      this.crossAttention = this.addModule('crossAttention', new CrossAttention({ ...common, heads }));
      this.feedForward = this.addModule('feedForward', new FeedForward({ ...feedForward, size, random }));
      this.norms = this.addModules(
        'norms',
        [0, 1, 2].map(() => new LayerNorm({ size })),
      );
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * All positions at once.
   *
   * @param x float32 `[batch, length, size]`
   * @param source keys and values of the source
   * @param paddingMask bool `[batch, length]`
   */
  apply(x: Tensor3D, source: CrossAttentionState, paddingMask?: Tensor): Tensor3D {
    return tidy(() => this.#finish(x, this.selfAttention.apply(x, { paddingMask }), source));
  }

  /**
   * Positions behind those of a state.
   *
   * @param x float32 `[batch, length, size]`
   * @param source keys and values of the source
   * @param state keys and values of the positions before
   */
  forward(
    x: Tensor3D,
    source: CrossAttentionState,
    state: AttentionState,
  ): { output: Tensor3D; state: AttentionState } {
    const attended = this.selfAttention.forward(x, state);
    return { output: this.#finish(x, attended.output, source), state: attended.state };
  }

  #finish(x: Tensor3D, attended: Tensor3D, source: CrossAttentionState): Tensor3D {
    const join = (h: Tensor3D, branch: Tensor3D, norm: number): Tensor3D =>
      (this.norms[norm] as LayerNorm).addAndNormalize(h, this.#dropout.forward(branch)).output;
    const read = join(x, attended, 0);
    const asked = join(read, this.crossAttention.attend(read, source), 1);
    return join(asked, this.feedForward.forward(asked), 2);
  }
}
