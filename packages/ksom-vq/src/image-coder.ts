/**
 * Encoders that halve an image's height and width once or twice, and decoders that undo it; the parts of VQ-VAE and VQ-VAE-2.
 *
 *     encoder, factor 4   conv4×4/2 → h/2, relu, conv4×4/2 → h, relu, conv3×3 → h, residual stack
 *     encoder, factor 2   conv4×4/2 → h/2, relu, conv3×3 → h, residual stack
 *     decoder, factor 4   conv3×3 → h, residual stack, deconv4×4/2 → h/2, relu, deconv4×4/2 → out
 *     decoder, factor 2   conv3×3 → h, residual stack, deconv4×4/2 → out
 */

import { Conv2d, ConvTranspose2d, type Layer, Module, type RandomStream, Sequential } from '@fwp/core';
import type * as tf from '@tensorflow/tfjs-core';
import { ResidualStack } from './residual-stack.ts';

/** Options of {@link ImageEncoder} and {@link ImageDecoder}. */
export interface ImageCoderOptions {
  readonly inputChannels: number;
  /** Channels of a decoder's output; an encoder has `hiddenSize`. */
  readonly outputChannels: number;
  /** Channels h of the residual stack. */
  readonly hiddenSize: number;
  /** Channels within a residual block. */
  readonly residualSize: number;
  /** Number of residual blocks. */
  readonly residualBlocks: number;
  /** Whether residual blocks have biases. */
  readonly residualBias: boolean;
  /** By how much height and width change. */
  readonly factor: 2 | 4;
  readonly random: RandomStream;
}

/** A filter of 4 × 4 that halves or doubles height and width. */
const HALF = { kernelSize: 4, stride: 2, padding: 1 } as const;
const SAME = { kernelSize: 3, padding: 1 } as const;

/** Turns images into a map of features. */
export class ImageEncoder extends Module {
  readonly #layers: Sequential;

  constructor(options: Omit<ImageCoderOptions, 'outputChannels'>) {
    super();
    const { inputChannels, hiddenSize, factor, random } = options;
    const half = Math.ceil(hiddenSize / 2);
    const shrink = (from: number, to: number) =>
      new Conv2d({ ...HALF, inputChannels: from, outputChannels: to, activation: 'relu', random });
    const layers: Layer[] = [shrink(inputChannels, half)];
    if (factor === 4) layers.push(shrink(half, hiddenSize));
    const last = factor === 4 ? hiddenSize : half;
    layers.push(new Conv2d({ ...SAME, inputChannels: last, outputChannels: hiddenSize, random }));
    layers.push(stackOf(options));
    this.#layers = this.addModule('layers', new Sequential(layers));
  }

  /** @param x float32 `[batch, height, width, inputChannels]`; returns `[batch, height / factor, width / factor, hiddenSize]` */
  forward(x: tf.Tensor): tf.Tensor {
    return this.#layers.forward(x);
  }
}

/** Turns a map of features into images. */
export class ImageDecoder extends Module {
  readonly #layers: Sequential;

  constructor(options: ImageCoderOptions) {
    super();
    const { inputChannels, outputChannels, hiddenSize, factor, random } = options;
    const half = Math.ceil(hiddenSize / 2);
    const layers: Layer[] = [
      new Conv2d({ ...SAME, inputChannels, outputChannels: hiddenSize, random }),
      stackOf(options),
    ];
    if (factor === 4) {
      layers.push(
        new ConvTranspose2d({ ...HALF, inputChannels: hiddenSize, outputChannels: half, activation: 'relu', random }),
      );
    }
    const last = factor === 4 ? half : hiddenSize;
    layers.push(new ConvTranspose2d({ ...HALF, inputChannels: last, outputChannels, random }));
    this.#layers = this.addModule('layers', new Sequential(layers));
  }

  /** @param x float32 `[batch, height, width, inputChannels]`; returns `[batch, height · factor, width · factor, outputChannels]` */
  forward(x: tf.Tensor): tf.Tensor {
    return this.#layers.forward(x);
  }
}

function stackOf(options: Omit<ImageCoderOptions, 'outputChannels'>): ResidualStack {
  const { hiddenSize, residualSize, residualBlocks, residualBias, random } = options;
  return new ResidualStack({
    ...{ channels: hiddenSize, residualChannels: residualSize, blocks: residualBlocks },
    ...{ bias: residualBias, random },
  });
}
