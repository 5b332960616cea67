/**
 * Short causal convolution of every channel with a filter of its own,
 *
 *     y_t = SiLU(Σ_{i < width} w_i ∘ x_{t − i})        x, y [batch, length, channels]   w [width, channels]
 *
 * which lets queries, keys and values see the last few elements (Yang et al., 2024, "Parallelizing linear Transformers with
 * the delta rule over sequence length", section 3.4); or without the SiLU. Initially w is uniform within ±1/√width.
 */

import { type Initializer, Module, type RandomStream, uniformInitializer } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { lastElements } from './last-elements.ts';

/** Options of {@link ShortConvolution}. */
export interface ShortConvolutionOptions {
  /** Size of an input vector. */
  channels: number;
  /** Number of elements that an output sees. */
  width: number;
  /** Default `'silu'`. */
  activation?: 'silu' | 'none' | undefined;
  /** Draws the initial values. */
  random: RandomStream;
  /** Default: uniform within ±1/√width. */
  weightInitializer?: Initializer | undefined;
}

/** A convolution in time with its activation. Its state is the last `width` − 1 inputs. */
export class ShortConvolution extends Module {
  readonly channels: number;
  readonly width: number;
  /** `[width, channels]`; the first row belongs to the present element. */
  readonly weight: tf.Variable & tf.Tensor2D;
  readonly #activation: 'silu' | 'none';

  constructor({ channels, width, activation = 'silu', random, weightInitializer }: ShortConvolutionOptions) {
    super();
    this.#activation = activation;
    this.channels = channels;
    this.width = width;
    const make = weightInitializer ?? uniformInitializer(1 / Math.sqrt(width));
    this.weight = this.addParameter('weight', make([width, channels], random) as tf.Tensor2D);
  }

  /**
   * @param x float32 `[batch, length, channels]`; zero at padding
   * @param history inputs before x, `[batch, width − 1, channels]`; default: zeros
   * @param presence 1 for elements, 0 for padding behind them, `[batch, 1, length]`; default: no padding
   * @returns the outputs `[batch, length, channels]`, and the last inputs that are no padding
   */
  forward(
    x: tf.Tensor3D,
    history: tf.Tensor3D = this.initialHistory(x.shape[0]),
    presence?: tf.Tensor3D,
  ): { output: tf.Tensor3D; history: tf.Tensor3D } {
    const [batch, length, channels] = x.shape;
    const inputs = tf.concat([history, x], 1);
    const image = tf.reshape(inputs, [batch, this.width - 1 + length, 1, channels]) as tf.Tensor4D;
    const filter = tf.reshape(tf.reverse(this.weight as tf.Tensor, 0), [this.width, 1, channels, 1]) as tf.Tensor4D;
    const sum = tf.reshape(tf.depthwiseConv2d(image, filter, 1, 'valid'), x.shape) as tf.Tensor3D;
    const output = this.#activation === 'none' ? sum : tf.mul<tf.Tensor3D>(sum, tf.sigmoid(sum));
    return { output, history: lastElements(this.width - 1 + length, this.width - 1, presence)(inputs) };
  }

  /** Zeros. */
  initialHistory(batch: number): tf.Tensor3D {
    return tf.zeros(this.historyShape(batch));
  }

  /** Shape of a history: `[batch, width − 1, channels]`. */
  historyShape(batch: number): [number, number, number] {
    return [batch, this.width - 1, this.channels];
  }
}
