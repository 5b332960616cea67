/**
 * The residual blocks of VQ-VAE and VQ-VAE-2:
 *
 *     x ← x + conv1×1(relu(conv3×3(relu x)))        n times, then relu x
 */

import { Conv2d, Module, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link ResidualStack}. */
export interface ResidualStackOptions {
  /** Channels of the input and the output. */
  readonly channels: number;
  /** Channels between the two convolutions of a block. */
  readonly residualChannels: number;
  /** Number of blocks. */
  readonly blocks: number;
  /** Whether the convolutions add something. */
  readonly bias: boolean;
  readonly random: RandomStream;
}

/** Residual blocks, and a rectifier behind the last one. */
export class ResidualStack extends Module {
  readonly #blocks: readonly (readonly [Conv2d, Conv2d])[];

  constructor({ channels, residualChannels, blocks, bias, random }: ResidualStackOptions) {
    super();
    this.#blocks = Array.from({ length: blocks }, (_, i) => {
      const inner = new Conv2d({
        ...{ inputChannels: channels, outputChannels: residualChannels, kernelSize: 3, padding: 1 },
        ...{ bias, activation: 'relu' as const, random },
      });
      const outer = new Conv2d({
        inputChannels: residualChannels,
        outputChannels: channels,
        kernelSize: 1,
        bias,
        random,
      });
      return [this.addModule(`inner${i}`, inner), this.addModule(`outer${i}`, outer)] as const;
    });
  }

  /** @param x float32 `[batch, height, width, channels]`; returns the same shape */
  forward(x: tf.Tensor): tf.Tensor {
    return tf.tidy(() =>
      tf.relu(this.#blocks.reduce((y, [inner, outer]) => tf.add(y, outer.forward(inner.forward(tf.relu(y)))), x)),
    );
  }
}
