/**
 * Learned absolute positions as GPT-2 has them, as the first layer of a stack: y_t = x_t + P_t, P [maximumLength, size] ~ N(0, 0.3²).
 * What lies beyond the lengths of the training stays as it was drawn. (GPT-2's 0.02 belongs to embeddings of 0.02; those here are
 * N(0, 1).)
 */

import { assertCount, Module, normalInitializer, type RandomStream, type SequenceMixer } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** How many elements there were. */
type PositionState = { position: number };

/** Options of {@link LearnedPositions}. */
export interface LearnedPositionsOptions {
  readonly size: number;
  /** Longest sequence. */
  readonly maximumLength: number;
  readonly random: RandomStream;
}

/** Adds a learned vector for each position. */
export class LearnedPositions extends Module implements SequenceMixer<PositionState> {
  readonly outputSize: number;
  readonly maximumLength: number;
  /** P. */
  readonly table: tf.Variable & tf.Tensor2D;

  constructor({ size, maximumLength, random }: LearnedPositionsOptions) {
    super();
    assertCount('LearnedPositions: maximumLength', maximumLength);
    this.outputSize = size;
    this.maximumLength = maximumLength;
    this.table = this.addParameter('table', normalInitializer(0.3)([maximumLength, size], random) as tf.Tensor2D);
  }

  apply(x: tf.Tensor3D): tf.Tensor3D {
    return this.#add(x, 0);
  }

  forward(x: tf.Tensor3D, state: PositionState = { position: 0 }): { output: tf.Tensor3D; state: PositionState } {
    return { output: this.#add(x, state.position), state: { position: state.position + x.shape[1] } };
  }

  step(x: tf.Tensor2D, { position }: PositionState): { output: tf.Tensor2D; state: PositionState } {
    const output = tf.tidy(
      () => tf.squeeze(this.#add(tf.expandDims(x, 1) as tf.Tensor3D, position), [1]) as tf.Tensor2D,
    );
    return { output, state: { position: position + 1 } };
  }

  initialState(): PositionState {
    return { position: 0 };
  }

  #add(x: tf.Tensor3D, position: number): tf.Tensor3D {
    const end = position + x.shape[1];
    if (end > this.maximumLength) {
      throw new RangeError(`LearnedPositions: there are ${this.maximumLength} positions, but the sequence has ${end}.`);
    }
    return tf.tidy(() => tf.add(x, tf.slice(this.table, [position, 0], [x.shape[1], this.outputSize])) as tf.Tensor3D);
  }
}
