/**
 * A convolution of every channel over the last few elements, as the first layer of a stack: y_t = Σ_{i < width} w_i ∘ x_{t−i}, w [width,
 * channels] at first uniform within ±1/√width. What stands behind a name knows the name; attention alone has to learn that from
 * positions in one block before it can look anything up in the next. (The DeltaNet has such convolutions in its blocks.)
 */

import { Module, type RandomStream, type SequenceMixer } from '@fwp/core';
import { ShortConvolution } from '@fwp/deltanet';
import * as tf from '@tensorflow/tfjs-core';

/** The last `width` − 1 inputs. */
type ConvolutionState = { history: tf.Tensor3D };

/** Options of {@link EmbeddingConvolution}. */
export interface EmbeddingConvolutionOptions {
  readonly size: number;
  /** Number of elements that an output sees. */
  readonly width: number;
  readonly random: RandomStream;
}

/** Mixes each vector with the few before it. */
export class EmbeddingConvolution extends Module implements SequenceMixer<ConvolutionState> {
  readonly outputSize: number;
  /** w. */
  readonly convolution: ShortConvolution;

  constructor({ size, width, random }: EmbeddingConvolutionOptions) {
    super();
    this.outputSize = size;
    const convolution = new ShortConvolution({ channels: size, width, activation: 'none', random });
    this.convolution = this.addModule('convolution', convolution);
  }

  /** Padding behind the elements has no influence on them, so that no mask is needed. */
  apply(x: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => this.convolution.forward(x).output);
  }

  forward(x: tf.Tensor3D, state?: ConvolutionState): { output: tf.Tensor3D; state: ConvolutionState } {
    return tf.tidy(() => {
      const { output, history } = this.convolution.forward(x, state?.history);
      return { output, state: { history } };
    });
  }

  step(x: tf.Tensor2D, state: ConvolutionState): { output: tf.Tensor2D; state: ConvolutionState } {
    return tf.tidy(() => {
      const next = this.forward(tf.expandDims(x, 1) as tf.Tensor3D, state);
      return { output: tf.squeeze(next.output, [1]) as tf.Tensor2D, state: next.state };
    });
  }

  initialState(batch: number): ConvolutionState {
    return { history: this.convolution.initialHistory(batch) };
  }
}
