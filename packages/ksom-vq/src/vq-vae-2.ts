/**
 * VQ-VAE-2 (Razavi, van den Oord, Vinyals 2019) with two levels of codes and any quantisers:
 *
 *     b = encoder₄(x)                    t = encoder₂(b)                  the top level sees eighths of the image, the bottom quarters
 *     q_t = quantise_t(conv1×1(t))       d = decoder₂(q_t)
 *     q_b = quantise_b(conv1×1([d; b]))  x̂ = decoder₄([deconv(q_t); q_b])
 *     loss = mean (x̂ − x)² + the losses of both quantisers
 */

import { Conv2d, ConvTranspose2d, Module, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { ImageDecoder, ImageEncoder } from './image-coder.ts';
import type { Quantized, Quantizer } from './quantizer.ts';
import { assertImages } from './vq-vae.ts';

/** Options of {@link VqVae2}. */
export interface VqVae2Options {
  /** Quantiser of the top level, of vectors of the same size as the bottom's. */
  top: Quantizer;
  /** Quantiser of the bottom level. */
  bottom: Quantizer;
  /** Channels of an image. Default 3. */
  channels?: number;
  /** Channels of the residual stacks. Default 128. */
  hiddenSize?: number;
  /** Channels within a residual block. Default 32. */
  residualSize?: number;
  /** Default 2. */
  residualBlocks?: number;
  random: RandomStream;
}

/** Indices of both levels. */
export type VqVae2Indices = {
  /** int32 `[batch, height / 8, width / 8]` */
  readonly top: tf.Tensor;
  /** int32 `[batch, height / 4, width / 4]` */
  readonly bottom: tf.Tensor;
};

/** What a VQ-VAE-2 makes of images. */
export type VqVae2Result = {
  /** x̂, the shape of the images. */
  readonly reconstruction: tf.Tensor4D;
  readonly indices: VqVae2Indices;
  /** mean (x̂ − x)² */
  readonly reconstructionLoss: tf.Scalar;
  /** What to minimise. */
  readonly loss: tf.Scalar;
  /** Of both levels. */
  readonly perplexity: { readonly top: tf.Scalar; readonly bottom: tf.Scalar };
};

/** A discrete autoencoder of images with two levels. */
export class VqVae2 extends Module {
  readonly top: Quantizer;
  readonly bottom: Quantizer;
  readonly channels: number;
  readonly #bottomEncoder: ImageEncoder;
  readonly #topEncoder: ImageEncoder;
  readonly #toTopCodes: Conv2d;
  readonly #topDecoder: ImageDecoder;
  readonly #toBottomCodes: Conv2d;
  readonly #enlarge: ConvTranspose2d;
  readonly #decoder: ImageDecoder;

  constructor(options: VqVae2Options) {
    super();
    const { top, bottom, channels = 3, hiddenSize = 128, residualSize = 32, residualBlocks = 2, random } = options;
    const size = bottom.size;
    if (top.size !== size) {
      throw new RangeError(`VqVae2: top must have vectors of size ${size}, as bottom has, but has ${top.size}.`);
    }
    const common = { hiddenSize, residualSize, residualBlocks, residualBias: true, random };
    const toCodes = (inputChannels: number) =>
      new Conv2d({ inputChannels, outputChannels: size, kernelSize: 1, random });
    this.channels = channels;
    this.#bottomEncoder = this.addModule(
      'bottomEncoder',
      new ImageEncoder({ ...common, inputChannels: channels, factor: 4 }),
    );
    this.#topEncoder = this.addModule(
      'topEncoder',
      new ImageEncoder({ ...common, inputChannels: hiddenSize, factor: 2 }),
    );
    this.#toTopCodes = this.addModule('toTopCodes', toCodes(hiddenSize));
    this.top = this.addModule('top', top);
    this.#topDecoder = this.addModule(
      'topDecoder',
      new ImageDecoder({ ...common, inputChannels: size, outputChannels: size, factor: 2 }),
    );
    this.#toBottomCodes = this.addModule('toBottomCodes', toCodes(size + hiddenSize));
    this.bottom = this.addModule('bottom', bottom);
    const enlarge = { inputChannels: size, outputChannels: size, kernelSize: 4, stride: 2, padding: 1, random };
    this.#enlarge = this.addModule('enlarge', new ConvTranspose2d(enlarge));
    this.#decoder = this.addModule(
      'decoder',
      new ImageDecoder({ ...common, inputChannels: 2 * size, outputChannels: channels, factor: 4 }),
    );
  }

  /** @param images float32 `[batch, height, width, channels]`, height and width multiples of 8 */
  forward(images: tf.Tensor4D): VqVae2Result {
    assertImages('VqVae2: images', images, this.channels, 8);
    return tf.tidy(() => {
      const { top, bottom } = this.#quantize(images, (quantizer, x) => quantizer.forward(x));
      const reconstruction = this.#join(top.output, bottom.output);
      const reconstructionLoss = tf.mean(tf.squaredDifference(reconstruction, images)) as tf.Scalar;
      return {
        reconstruction,
        indices: { top: top.indices, bottom: bottom.indices },
        reconstructionLoss,
        loss: tf.addN([reconstructionLoss, top.loss, bottom.loss]),
        perplexity: { top: top.perplexity, bottom: bottom.perplexity },
      };
    });
  }

  /** @returns the indices of images */
  encode(images: tf.Tensor4D): VqVae2Indices {
    assertImages('VqVae2: images', images, this.channels, 8);
    return tf.tidy(() => {
      const { top, bottom } = this.#quantize(images, (quantizer, x) => {
        const indices = quantizer.encode(x);
        return { indices, output: quantizer.decode(indices) };
      });
      return { top: top.indices, bottom: bottom.indices };
    });
  }

  /** @returns the images `[batch, height, width, channels]` of indices */
  decode({ top, bottom }: VqVae2Indices): tf.Tensor4D {
    return tf.tidy(() => this.#join(this.top.decode(top), this.bottom.decode(bottom)));
  }

  /** Both levels, by training or by encoding. */
  #quantize<Q extends Pick<Quantized, 'output'>>(
    images: tf.Tensor4D,
    use: (quantizer: Quantizer, vectors: tf.Tensor) => Q,
  ): { top: Q; bottom: Q } {
    const features = this.#bottomEncoder.forward(images);
    const top = use(this.top, this.#toTopCodes.forward(this.#topEncoder.forward(features)));
    const seen = tf.concat([this.#topDecoder.forward(top.output), features], -1);
    return { top, bottom: use(this.bottom, this.#toBottomCodes.forward(seen)) };
  }

  #join(top: tf.Tensor, bottom: tf.Tensor): tf.Tensor4D {
    return this.#decoder.forward(tf.concat([this.#enlarge.forward(top), bottom], -1)) as tf.Tensor4D;
  }
}
