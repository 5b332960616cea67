/**
 * The layer of a universal Transformer (Dehghani et al., 2019): a post-norm encoder layer that is applied again and again,
 *
 *     u = LN(h + dropout(attention(h)))        h′ = LN(u + dropout(W₂ dropout(relu(W₁ u + b₁)) + b₂))
 *
 * Initially W₁ is Xavier uniform with gain √2, W₂ with gain 1.
 */

import {
  assertCount,
  assertFloatShape,
  Dropout,
  LayerNorm,
  Linear,
  Module,
  type RandomStream,
  xavierUniform,
} from '@fwp/core';
import { type Tensor, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import type { ColumnAttention, ColumnLayer } from './column-attention.ts';

/** Options of {@link UniversalLayer}. */
export interface UniversalLayerOptions {
  /** Size of a column. */
  size: number;
  /** Number of hidden units. Default 2 · size. */
  hiddenSize?: number | undefined;
  /** What columns read from each other with; becomes the layer's own. */
  attention: ColumnAttention;
  /** Dropout rate of both branches and of hidden units. Default 0. */
  dropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A layer with residual connections. */
export class UniversalLayer extends Module implements ColumnLayer {
  readonly size: number;
  readonly attention: ColumnAttention;
  readonly attentionNorm: LayerNorm;
  /** W₁ with its activation, and W₂. */
  readonly input: Linear;
  readonly output: Linear;
  readonly outputNorm: LayerNorm;
  readonly #dropout: Dropout;

  constructor(options: UniversalLayerOptions) {
    super();
    const { size, hiddenSize = 2 * size, dropout = 0, random } = options;
    assertCount('UniversalLayer: size', size);
    assertCount('UniversalLayer: hiddenSize', hiddenSize);
    this.size = size;
    const weightInitializer = xavierUniform(Math.SQRT2);
    try {
      this.attention = this.addModule('attention', options.attention);
      this.attentionNorm = this.addModule('attentionNorm', new LayerNorm({ size }));
      const inward = {
        inputSize: size,
        outputSize: hiddenSize,
        activation: 'relu',
        random,
        weightInitializer,
      } as const;
      this.input = this.addModule('input', new Linear(inward));
      const outward = { inputSize: hiddenSize, outputSize: size, random, weightInitializer: xavierUniform() };
      this.output = this.addModule('output', new Linear(outward));
      this.outputNorm = this.addModule('outputNorm', new LayerNorm({ size }));
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  apply(h: Tensor3D, paddingMask?: Tensor): Tensor3D {
    assertFloatShape('UniversalLayer: h', h, ['batch', 'length', this.size]);
    return tidy(() => {
      const drop = (x: Tensor3D): Tensor3D => this.#dropout.forward(x);
      const u = this.attentionNorm.addAndNormalize(h, drop(this.attention.apply(h, paddingMask))).output;
      const update = this.output.forward(drop(this.input.forward(u)));
      return this.outputNorm.addAndNormalize(u, drop(update)).output;
    });
  }

  /** Nothing is copied. */
  gates(): undefined {
    return undefined;
  }
}
