/**
 * A sequence layer whose inputs have seen the last few elements,
 *
 *     y = mixer(h)        h_t = [x_t; x_{t−1}; …; x_{t−width+1}] W        W [width · size, size]
 *
 * so that a name and the value behind it meet in one layer (a causal convolution). The same for every memory that is
 * compared.
 */

import { Linear, type MixerOptions, Module, type RandomStream, type SequenceMixer } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** The last inputs `[batch, width − 1, size]`, and the mixer's own state. */
type WindowedState = { history: tf.Tensor3D; mixer: tf.TensorContainer };

/** Options of {@link WindowedMixer}. */
export interface WindowedMixerOptions {
  readonly mixer: SequenceMixer;
  /** Size of an input vector. */
  readonly size: number;
  /** Number of elements that an input of the mixer has seen. */
  readonly width: number;
  readonly random: RandomStream;
}

/** A mixer behind a window over the last elements. */
export class WindowedMixer extends Module implements SequenceMixer<WindowedState> {
  readonly outputSize: number;
  readonly #size: number;
  readonly #width: number;
  readonly #window: Linear;
  readonly #mixer: SequenceMixer;

  constructor({ mixer, size, width, random }: WindowedMixerOptions) {
    super();
    this.outputSize = mixer.outputSize;
    this.#size = size;
    this.#width = width;
    this.#window = this.addModule(
      'window',
      new Linear({ inputSize: width * size, outputSize: size, bias: false, random }),
    );
    this.#mixer = this.addModule('mixer', mixer);
  }

  apply(x: tf.Tensor3D, options?: MixerOptions): tf.Tensor3D {
    return tf.tidy(() => this.#mixer.apply(this.#seen(x, this.#noHistory(x.shape[0])).seen, options));
  }

  forward(
    x: tf.Tensor3D,
    state?: WindowedState,
    options?: MixerOptions,
  ): { output: tf.Tensor3D; state: WindowedState } {
    const { seen, history } = this.#seen(x, state?.history ?? this.#noHistory(x.shape[0]));
    const mixed = this.#mixer.forward(seen, state?.mixer, options);
    return { output: mixed.output, state: { history, mixer: mixed.state } };
  }

  step(x: tf.Tensor2D, state: WindowedState): { output: tf.Tensor2D; state: WindowedState } {
    const { seen, history } = this.#seen(tf.expandDims(x, 1), state.history);
    const mixed = this.#mixer.step(tf.squeeze(seen, [1]), state.mixer);
    return { output: mixed.output, state: { history, mixer: mixed.state } };
  }

  initialState(batch: number): WindowedState {
    return { history: this.#noHistory(batch), mixer: this.#mixer.initialState(batch) };
  }

  #noHistory(batch: number): tf.Tensor3D {
    return tf.zeros([batch, this.#width - 1, this.#size]);
  }

  #seen(x: tf.Tensor3D, history: tf.Tensor3D): { seen: tf.Tensor3D; history: tf.Tensor3D } {
    const length = x.shape[1];
    const inputs = tf.concat([history, x], 1);
    const shifted = Array.from({ length: this.#width }, (_, back) =>
      tf.slice(inputs, [0, this.#width - 1 - back, 0], [-1, length, -1]),
    );
    return { seen: this.#window.forward(tf.concat(shifted, 2)), history: tf.slice(inputs, [0, length, 0]) };
  }
}
