/**
 * Conv-4, which makes vectors of pictures for few-shot learning (Vinyals et al., 2016), with the order of its parts that Irie et
 * al., 2022, have: four times
 *
 *     x ← ReLU(dropout(maxPool 2×2 (norm(conv 3×3 (x)))))        norm(x) = (x − mean) / √(variance + ε) ∘ gain + shift
 *
 * x [pictures, rows, columns, channels] → [pictures, outputSize], outputSize = ⌊rows/16⌋ ⌊columns/16⌋ filters. The
 * normalisation is over pictures and pixels ('batch', with running means for evaluation), or over the pixels of each picture
 * ('instance', as in the follow-up paper), so that a prediction depends on nothing outside its sequence. A bias of the
 * convolution would be taken out by it, so there is none.
 */

import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  Dropout,
  Module,
  type RandomStream,
  uniformInitializer,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link ConvolutionalStem}. */
export interface ConvolutionalStemOptions {
  /** Rows, columns and channels of a picture. */
  shape: readonly number[];
  /** Channels of each convolution. Default 32. */
  filters?: number | undefined;
  /** Number of convolutions. Default 4. */
  layers?: number | undefined;
  /** Default `'instance'`. */
  normalization?: 'instance' | 'batch' | undefined;
  /** Dropout rate. Default 0. */
  dropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** How fast running means follow. */
const MOMENTUM = 0.1;
const EPSILON = 1e-5;

/** Pictures to vectors. */
export class ConvolutionalStem extends Module {
  readonly outputSize: number;
  readonly #shape: readonly [number, number, number];
  readonly #layers: readonly ConvolutionLayer[];

  constructor(options: ConvolutionalStemOptions) {
    super();
    const { shape, filters = 32, layers = 4, normalization = 'instance', dropout = 0, random } = options;
    assertCount('ConvolutionalStem: filters', filters);
    assertCount('ConvolutionalStem: layers', layers);
    assertOneOf('ConvolutionalStem: normalization', normalization, ['instance', 'batch']);
    assertNumber('ConvolutionalStem: dropout', dropout, 0, 1);
    for (const [axis, extent] of shape.entries()) assertCount(`ConvolutionalStem: shape[${axis}]`, extent);
    const [rows = 0, columns = 0, channels = 0] = shape;
    const [height, width] = [rows, columns].map((extent) => Math.floor(extent / 2 ** layers)) as [number, number];
    if (shape.length !== 3 || height < 1 || width < 1) {
      throw new RangeError(
        `ConvolutionalStem: shape must be [rows, columns, channels] with at least ${2 ** layers} rows and columns, so that ` +
          `something is left after ${layers} halvings, but is [${shape.join(', ')}].`,
      );
    }
    this.#shape = [rows, columns, channels];
    this.outputSize = height * width * filters;
    try {
      this.#layers = this.addModules(
        'layers',
        Array.from(
          { length: layers },
          (_, i) => new ConvolutionLayer(i === 0 ? channels : filters, filters, normalization, dropout, random),
        ),
      );
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[..., rows, columns, channels]`
   * @returns `[..., outputSize]`
   */
  forward<T extends tf.Tensor>(x: tf.Tensor): T {
    assertFloatShape('ConvolutionalStem: x', x, ['...', ...this.#shape]);
    const leading = x.shape.slice(0, -3);
    return tf.tidy(() => {
      let pictures = tf.reshape(x, [-1, ...this.#shape]) as tf.Tensor4D;
      for (const layer of this.#layers) pictures = layer.forward(pictures);
      return tf.reshape(pictures, [...leading, this.outputSize]) as T;
    });
  }
}

/** One convolution with what follows it. */
class ConvolutionLayer extends Module {
  readonly filter: tf.Variable & tf.Tensor4D;
  readonly gain: tf.Variable & tf.Tensor1D;
  readonly shift: tf.Variable & tf.Tensor1D;
  readonly #running: { readonly mean: tf.Variable; readonly variance: tf.Variable } | undefined;
  readonly #dropout: Dropout;

  constructor(
    inputs: number,
    filters: number,
    normalization: 'instance' | 'batch',
    dropout: number,
    random: RandomStream,
  ) {
    super();
    // PyTorch's default: the fan-in of a 3 × 3 convolution.
    const draw = uniformInitializer(1 / Math.sqrt(9 * inputs));
    this.filter = this.addParameter('filter', draw([3, 3, inputs, filters], random) as tf.Tensor4D);
    this.gain = this.addParameter('gain', tf.ones([filters]) as tf.Tensor1D);
    this.shift = this.addParameter('shift', tf.zeros([filters]) as tf.Tensor1D);
    if (normalization === 'batch') {
      const mean = this.addBuffer('runningMean', tf.zeros([filters]));
      this.#running = { mean, variance: this.addBuffer('runningVariance', tf.ones([filters])) };
    }
    this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const convolved = tf.conv2d(x, this.filter, 1, 'same');
    const { mean, variance } = this.#statistics(convolved);
    // Two passes over the pictures: what is small is put together first.
    const scale = tf.mul(this.gain, tf.rsqrt(tf.add(variance, EPSILON)));
    const offset = tf.sub(this.shift, tf.mul(mean, scale));
    const normalized = tf.add<tf.Tensor4D>(tf.mul(convolved, scale), offset);
    return tf.relu(this.#dropout.forward(tf.maxPool(normalized, 2, 2, 'valid')));
  }

  /** What to normalise with, `[pictures or 1, 1, 1, filters]`. */
  #statistics(x: tf.Tensor4D): { readonly mean: tf.Tensor; readonly variance: tf.Tensor } {
    const running = this.#running;
    if (running !== undefined && !this.training) return running;
    const axes = running === undefined ? [1, 2] : [0, 1, 2];
    const mean = tf.mean(x, axes, true);
    const variance = tf.sub(tf.mean(tf.square(x), axes, true), tf.square(mean));
    if (running !== undefined) {
      const count = x.size / x.shape[3];
      follow(running.mean, tf.reshape(mean, [-1]));
      // The unbiased estimate, as in PyTorch.
      follow(running.variance, tf.mul(tf.reshape(variance, [-1]), count / Math.max(1, count - 1)));
    }
    return { mean, variance };
  }
}

function follow(running: tf.Variable, observed: tf.Tensor): void {
  running.assign(tf.add(tf.mul(running, 1 - MOMENTUM), tf.mul(observed, MOMENTUM)));
}
