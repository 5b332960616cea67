/**
 * The network of an actor-critic with an e-LSTM (Irie, Gopalakrishnan and Schmidhuber 2023, section 4.2, without the
 * convolutions):
 *
 *     x_t = [observation, last reward, clipped to ±1]      h_t = e-LSTM(x_t)      π = softmax(h_t Wπ + bπ)      V = h_t Wv + bv
 */

import { assertCount, ElementwiseLstm, elementwiseLstmStep, Linear, Module, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Policy } from './policy.ts';

/** Options of {@link ActorCritic}. */
export interface ActorCriticOptions {
  /** Numbers in one observation. */
  observationSize: number;
  /** Number of actions. */
  actionCount: number;
  /** Units of the e-LSTM. */
  hiddenSize: number;
  /** Added to the initial bias of the forget gate. Default 0. */
  forgetBias?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Policy and value of observations in sequence. */
export class ActorCritic extends Module implements Policy<tf.Tensor2D> {
  readonly inputSize: number;
  readonly actionCount: number;
  /** Its inputs are an observation and the reward before it. */
  readonly layer: ElementwiseLstm;
  readonly policy: Linear;
  readonly value: Linear;

  constructor({ observationSize, actionCount, hiddenSize, forgetBias = 0, random }: ActorCriticOptions) {
    super();
    assertCount('ActorCritic: observationSize', observationSize);
    assertCount('ActorCritic: actionCount', actionCount, 2);
    this.actionCount = actionCount;
    const inputSize = observationSize + 1;
    this.inputSize = inputSize;
    this.layer = this.addModule('layer', new ElementwiseLstm({ inputSize, hiddenSize, forgetBias, random }));
    this.policy = this.addModule('policy', new Linear({ inputSize: hiddenSize, outputSize: actionCount, random }));
    this.value = this.addModule('value', new Linear({ inputSize: hiddenSize, outputSize: 1, random }));
  }

  /**
   * @param hidden h of the layer, float32 `[..., hiddenSize]`
   * @returns logits of the policy `[..., actionCount]` and values `[...]`
   */
  heads(hidden: tf.Tensor): { logits: tf.Tensor; values: tf.Tensor } {
    return { logits: this.policy.forward(hidden), values: tf.squeeze(this.value.forward(hidden), [-1]) };
  }

  /**
   * One step of acting.
   *
   * @param x float32 `[batch, observationSize + 1]`
   * @param state c before it, `[batch, hiddenSize]`
   * @returns logits `[batch, actionCount]`, values `[batch]` and c behind x
   */
  step(x: tf.Tensor2D, state: tf.Tensor2D): { logits: tf.Tensor2D; values: tf.Tensor1D; state: tf.Tensor2D } {
    return tf.tidy(() => {
      const next = elementwiseLstmStep(x, this.layer.cellWeights(), state);
      const { logits, values } = this.heads(this.layer.read(x, next));
      return { logits: logits as tf.Tensor2D, values: values as tf.Tensor1D, state: next };
    });
  }

  /** See {@link Policy.forget}. */
  forget(state: tf.Tensor2D, begins: Uint8Array | undefined): tf.Tensor2D {
    if (begins === undefined) return tf.zerosLike(state);
    if (!begins.includes(1)) return state;
    const mask = tf.tensor2d(begins, [begins.length, 1], 'bool');
    return tf.where(tf.broadcastTo(mask, state.shape), tf.zerosLike(state), state);
  }

  /** c before the first observation: zeros `[batch, hiddenSize]`. */
  initialState(batch: number): tf.Tensor2D {
    return this.layer.initialState(batch).cell as tf.Tensor2D;
  }
}
