/**
 * What acts with a memory of sequence layers: policy and value of all that was observed in an episode,
 *
 *     h = norm(blocks(W x + b))       π = softmax(h W_π + b_π)      V = h W_v + b_v       x_t = [observation, last reward]
 *
 * x [batch, time, inputSize]. Blocks are those of the language models: pre-norm with RMSNorm and SwiGLU around the sequence layer
 * that is compared. In training whole episodes are read at once, in acting one observation after the other.
 */

import { Linear, Module, normalInitializer, type RandomStream, RmsNorm, TransformerBlock } from '@fwp/core';
import type { Policy } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { type ModelConfig, type ModelName, makeLayer } from './models.ts';

/** Numbers and actions of an environment. */
export interface MemoryAgentSizes {
  readonly observationSize: number;
  readonly actionCount: number;
}

/** States of all blocks. */
export type MemoryAgentState = tf.TensorContainer[];

/** Policy and value with a memory. */
export class MemoryAgent extends Module implements Policy<MemoryAgentState> {
  readonly inputSize: number;
  readonly actionCount: number;
  readonly input: Linear;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: RmsNorm;
  readonly policy: Linear;
  readonly value: Linear;

  /**
   * @param name of the sequence layer
   * @param config of the model
   * @param sizes of the environment
   * @param random draws the initial values
   */
  constructor(name: ModelName, config: ModelConfig, sizes: MemoryAgentSizes, random: RandomStream) {
    super();
    const { size, layers, initializerRange } = config;
    this.inputSize = sizes.observationSize + 1;
    this.actionCount = sizes.actionCount;
    const weightInitializer = normalInitializer(initializerRange);
    const feedForward = { activation: 'swiglu', hiddenSize: 2 * size, bias: false, weightInitializer } as const;
    const block = () =>
      new TransformerBlock({ size, mixer: makeLayer(name, config, random), feedForward, normalization: 'rms', random });
    this.input = this.addModule('input', new Linear({ inputSize: this.inputSize, outputSize: size, random }));
    this.blocks = this.addModules('blocks', Array.from({ length: layers }, block));
    this.norm = this.addModule('norm', new RmsNorm({ size }));
    const head = (outputSize: number) => new Linear({ inputSize: size, outputSize, weightInitializer, random });
    this.policy = this.addModule('policy', head(this.actionCount));
    this.value = this.addModule('value', head(1));
  }

  /**
   * Whole episodes.
   *
   * @param x float32 `[batch, time, inputSize]`
   * @returns logits `[batch, time, actionCount]`, values `[batch, time]`
   */
  apply(x: tf.Tensor3D): { logits: tf.Tensor3D; values: tf.Tensor2D } {
    return tf.tidy(() => {
      const first = this.input.forward(x) as tf.Tensor3D;
      const hidden = this.norm.forward(this.blocks.reduce((y, block) => block.apply(y), first));
      const values = tf.squeeze(this.value.forward(hidden), [-1]);
      return { logits: this.policy.forward(hidden) as tf.Tensor3D, values: values as tf.Tensor2D };
    });
  }

  /** See {@link Policy.step}. */
  step(x: tf.Tensor2D, state: MemoryAgentState): { logits: tf.Tensor2D; state: MemoryAgentState } {
    return tf.tidy(() => {
      let y = this.input.forward(x) as tf.Tensor2D;
      const next = this.blocks.map((block, i) => {
        const result = block.step(y, state[i] as tf.TensorContainer);
        y = result.output;
        return result.state;
      });
      return { logits: this.policy.forward(this.norm.forward(y)) as tf.Tensor2D, state: next };
    });
  }

  /**
   * All rows at once, or none: sequence layers do not forget row by row. Episodes side by side begin together, and what comes in a
   * row behind an episode that was shorter than the others does not count.
   */
  forget(state: MemoryAgentState, begins: Uint8Array | undefined): MemoryAgentState {
    if (begins === undefined)
      throw new RangeError('MemoryAgent: an agent that forgets before every step needs no memory.');
    return state;
  }

  /** See {@link Policy.initialState}. */
  initialState(batch: number): MemoryAgentState {
    return this.blocks.map((block) => block.initialState(batch));
  }
}
