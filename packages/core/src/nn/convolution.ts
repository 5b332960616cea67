/**
 * Convolution of images and its transpose:
 *
 *     Conv2d            y[b, i, j, o] = activation(bias[o] + Σ_{p, q, c} x[b, i·s + p − pad, j·s + q − pad, c] · W[p, q, c, o])
 *     ConvTranspose2d   y[b, i·s + p − pad, j·s + q − pad, o] += x[b, i, j, c] · W[p, q, o, c], then bias and activation
 *
 * x [batch, height, width, inputChannels]. A transpose with the same kernel size, stride and padding undoes the change of
 * size. Default initialisation: U(−1/√fanIn, 1/√fanIn), fanIn = kernelSize² · channels, as PyTorch's layers.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape, assertOneOf } from '../shape-checks.ts';
import { fanInUniform, type Initializer } from './initializers.ts';
import { Module } from './module.ts';

/** Activations of {@link Conv2d} and {@link ConvTranspose2d}. */
export const CONVOLUTION_ACTIVATIONS = ['none', 'relu'] as const;
/** One of {@link CONVOLUTION_ACTIVATIONS}. */
export type ConvolutionActivation = (typeof CONVOLUTION_ACTIVATIONS)[number];

/** Options of {@link Conv2d} and {@link ConvTranspose2d}. */
export interface ConvolutionOptions {
  /** Channels of the input. */
  inputChannels: number;
  /** Channels of the output. */
  outputChannels: number;
  /** Height and width of the filter. */
  kernelSize: number;
  /** Default 1. */
  stride?: number;
  /** Pixels of zeros around the input (of a transpose: cut off around the output). Default 0. */
  padding?: number;
  /** Whether something is added for each channel. Default true. */
  bias?: boolean;
  /** Default `'none'`. */
  activation?: ConvolutionActivation;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of the filter, whose fans count its kernelSize² places. Default: uniform within ±1/√fanIn. */
  weightInitializer?: Initializer;
  /** Default: uniform within ±1/√fanIn. */
  biasInitializer?: Initializer;
}

/** What both directions have. */
abstract class Convolution extends Module {
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: number;
  /** `[kernelSize, kernelSize, inputChannels, outputChannels]`; of a transpose with the channels exchanged. */
  readonly weight: tf.Variable & tf.Tensor4D;
  /** `[outputChannels]` */
  readonly bias: (tf.Variable & tf.Tensor1D) | undefined;
  readonly activation: ConvolutionActivation;

  constructor(name: string, options: ConvolutionOptions, transposed: boolean) {
    super();
    const { inputChannels, outputChannels, kernelSize, stride = 1, padding = 0, bias = true } = options;
    const { activation = 'none', random } = options;
    assertCount(`${name}: inputChannels`, inputChannels);
    assertCount(`${name}: outputChannels`, outputChannels);
    assertCount(`${name}: kernelSize`, kernelSize);
    assertCount(`${name}: stride`, stride);
    assertCount(`${name}: padding`, padding, 0);
    assertOneOf(`${name}: activation`, activation, CONVOLUTION_ACTIVATIONS);
    this.inputChannels = inputChannels;
    this.outputChannels = outputChannels;
    this.kernelSize = kernelSize;
    this.stride = stride;
    this.padding = padding;
    this.activation = activation;
    // PyTorch counts the channels that a tap of the stored filter has in its second place, of a transpose those of the output.
    const [from, to] = transposed ? [outputChannels, inputChannels] : [inputChannels, outputChannels];
    const fans = { fanIn: kernelSize ** 2 * from, fanOut: kernelSize ** 2 * to };
    const { weightInitializer = fanInUniform(), biasInitializer = fanInUniform(fans.fanIn) } = options;
    const weight = weightInitializer([kernelSize, kernelSize, from, to], random, fans) as tf.Tensor4D;
    this.weight = this.addParameter('weight', weight);
    try {
      if (bias) this.bias = this.addParameter('bias', biasInitializer([outputChannels], random) as tf.Tensor1D);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }
}

/** A two-dimensional convolution. */
export class Conv2d extends Convolution {
  constructor(options: ConvolutionOptions) {
    super('Conv2d', options, false);
  }

  /**
   * @param x float32 `[batch, height, width, inputChannels]`
   * @returns `[batch, ⌊(height + 2 padding − kernelSize) / stride⌋ + 1, …, outputChannels]`
   */
  forward(x: tf.Tensor): tf.Tensor4D {
    const extents = assertFloatShape('Conv2d: x', x, ['batch', 'height', 'width', this.inputChannels]);
    const { height, width } = extents as { height: number; width: number };
    if (Math.min(height, width) + 2 * this.padding < this.kernelSize) {
      throw new RangeError(
        `Conv2d: x is ${height} × ${width} with a padding of ${this.padding}, less than the filter of ${this.kernelSize}; ` +
          'give a larger image, more padding or a smaller kernelSize.',
      );
    }
    return tf.fused.conv2d({
      x: x as tf.Tensor4D,
      filter: this.weight,
      strides: this.stride,
      pad: this.padding,
      dimRoundingMode: 'floor',
      activation: this.activation === 'relu' ? 'relu' : 'linear',
      ...(this.bias === undefined ? {} : { bias: this.bias }),
    });
  }
}

/** The transpose of a two-dimensional convolution, also called deconvolution. */
export class ConvTranspose2d extends Convolution {
  constructor(options: ConvolutionOptions) {
    super('ConvTranspose2d', options, true);
  }

  /**
   * @param x float32 `[batch, height, width, inputChannels]`
   * @returns `[batch, (height − 1) · stride − 2 padding + kernelSize, …, outputChannels]`
   */
  forward(x: tf.Tensor): tf.Tensor4D {
    const extents = assertFloatShape('ConvTranspose2d: x', x, ['batch', 'height', 'width', this.inputChannels]);
    const grown = (size: number) => (size - 1) * this.stride - 2 * this.padding + this.kernelSize;
    const { batch, height, width } = extents as { batch: number; height: number; width: number };
    if (Math.min(grown(height), grown(width)) < 1) {
      throw new RangeError(
        `ConvTranspose2d: of ${height} × ${width} with kernelSize ${this.kernelSize}, a padding of ${this.padding} leaves ` +
          `${grown(height)} × ${grown(width)}; give a larger image, less padding or a larger kernelSize.`,
      );
    }
    return tf.tidy(() => {
      const shape: [number, number, number, number] = [batch, grown(height), grown(width), this.outputChannels];
      const y = tf.conv2dTranspose(x as tf.Tensor4D, this.weight, shape, this.stride, this.padding, 'floor');
      const shifted = this.bias === undefined ? y : tf.add(y, this.bias);
      return (this.activation === 'relu' ? tf.relu(shifted) : shifted) as tf.Tensor4D;
    });
  }
}
