/**
 * VQ-VAE (van den Oord, Vinyals, Kavukcuoglu 2017) for images, with any quantiser:
 *
 *     z = conv1×1(encoder(x))        q = quantise(z)        x̂ = decoder(q)        loss = mean (x̂ − x)² + the quantiser's loss
 *
 * The encoder reduces height and width by four, so that an image of 32 × 32 becomes 8 × 8 indices. Sizes as in Irie,
 * Csordás, Schmidhuber (2023).
 */

import { assertFloatShape, Conv2d, Module, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { ImageDecoder, ImageEncoder } from './image-coder.ts';
import type { Quantizer } from './quantizer.ts';

/** Options of {@link VqVae}. */
export interface VqVaeOptions {
  /** Replaces vectors by codes; becomes a part of the model. */
  quantizer: Quantizer;
  /** Channels of an image. Default 3. */
  channels?: number;
  /** Channels of the residual stacks. Default 128. */
  hiddenSize?: number;
  /** Channels within a residual block. Default 32. */
  residualSize?: number;
  /** Default 2. */
  residualBlocks?: number;
  /** Whether residual blocks have biases. Default false. */
  residualBias?: boolean;
  random: RandomStream;
}

/** What a VQ-VAE makes of images. */
export type VqVaeResult = {
  /** x̂, the shape of the images. */
  readonly reconstruction: tf.Tensor4D;
  /** int32 `[batch, height / 4, width / 4]`, with one more axis for quantisers with several parts. */
  readonly indices: tf.Tensor;
  /** mean (x̂ − x)² */
  readonly reconstructionLoss: tf.Scalar;
  /** What to minimise: the reconstruction loss and the quantiser's. */
  readonly loss: tf.Scalar;
  readonly perplexity: tf.Scalar;
};

/** How many pixels of an image, along one axis, make a code. */
const FACTOR = 4;

/** A discrete autoencoder of images. */
export class VqVae extends Module {
  readonly quantizer: Quantizer;
  readonly channels: number;
  readonly #encoder: ImageEncoder;
  readonly #toCodes: Conv2d;
  readonly #decoder: ImageDecoder;

  constructor(options: VqVaeOptions) {
    super();
    const { quantizer, channels = 3, hiddenSize = 128, residualSize = 32, residualBlocks = 2 } = options;
    const { residualBias = false, random } = options;
    const common = { hiddenSize, residualSize, residualBlocks, residualBias, factor: FACTOR, random } as const;
    this.channels = channels;
    this.#encoder = this.addModule('encoder', new ImageEncoder({ ...common, inputChannels: channels }));
    this.#toCodes = this.addModule(
      'toCodes',
      new Conv2d({ inputChannels: hiddenSize, outputChannels: quantizer.size, kernelSize: 1, random }),
    );
    this.quantizer = this.addModule('quantizer', quantizer);
    const decoder = { ...common, inputChannels: quantizer.size, outputChannels: channels };
    this.#decoder = this.addModule('decoder', new ImageDecoder(decoder));
  }

  /** @param images float32 `[batch, height, width, channels]`, height and width multiples of 4 */
  forward(images: tf.Tensor4D): VqVaeResult {
    assertImages('VqVae: images', images, this.channels, FACTOR);
    return tf.tidy(() => {
      const { output, indices, loss, perplexity } = this.quantizer.forward(this.#features(images));
      const reconstruction = this.#decoder.forward(output) as tf.Tensor4D;
      const reconstructionLoss = tf.mean(tf.squaredDifference(reconstruction, images)) as tf.Scalar;
      const total = tf.add(reconstructionLoss, loss) as tf.Scalar;
      return { reconstruction, indices, reconstructionLoss, loss: total, perplexity };
    });
  }

  /** @returns the indices of images; see {@link VqVaeResult} */
  encode(images: tf.Tensor4D): tf.Tensor {
    assertImages('VqVae: images', images, this.channels, FACTOR);
    return tf.tidy(() => this.quantizer.encode(this.#features(images)));
  }

  /** @returns the images `[batch, height, width, channels]` of indices */
  decode(indices: tf.Tensor): tf.Tensor4D {
    return tf.tidy(() => this.#decoder.forward(this.quantizer.decode(indices)) as tf.Tensor4D);
  }

  #features(images: tf.Tensor4D): tf.Tensor {
    return this.#toCodes.forward(this.#encoder.forward(images));
  }
}

/** Makes sure that images have a number of channels, and sizes that are multiples of `factor`. */
export function assertImages(name: string, images: tf.Tensor, channels: number, factor: number): void {
  const { height, width } = assertFloatShape(name, images, ['batch', 'height', 'width', channels]);
  if ((height as number) % factor !== 0 || (width as number) % factor !== 0) {
    throw new RangeError(`${name}: height and width must be multiples of ${factor}, but are ${height} × ${width}.`);
  }
}
