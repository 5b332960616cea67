/**
 * What acts with a memory of sequence layers: the values of actions after all that was observed in an episode,
 *
 *     f_c = relu(W_c (c − floor) + b_c)                         for each cell c of the observation
 *     e_t = W [all f_c; last reward] + b + W_Σ Σ f_c
 *     h = norm(blocks(e))             Q = h W_Q + b_Q             π = softmax(Q / τ)
 *
 * An observation has rows, columns and channels; W_c is the same for all cells. Most of them are floor, so that e_t is mostly what
 * stands out, and a colour looks alike wherever it is seen: that two of them are the same is learned far sooner like this. Blocks
 * are those of the language models: pre-norm with RMSNorm and SwiGLU around the sequence layer that is compared. In training
 * whole episodes are read at once, in acting one observation after the other.
 */

import {
  constantInitializer,
  Linear,
  Module,
  normalInitializer,
  type RandomStream,
  RmsNorm,
  TransformerBlock,
} from '@fwp/core';
import type { Policy } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';
import { type ModelConfig, type ModelName, makeLayer } from './models.ts';

/** What an agent has to know of its environment. */
export interface MemoryAgentEnvironment {
  /** Rows, columns and channels. */
  readonly observationShape: readonly number[];
  readonly actionCount: number;
  /** What most cells look like, a number for each channel. */
  readonly floor: readonly number[];
}

/** Features of a cell. */
const CELL_FEATURES = 16;

/** States of all blocks. */
export type MemoryAgentState = tf.TensorContainer[];

/** Values of actions with a memory, and a policy that prefers what it values. */
export class MemoryAgent extends Module implements Policy<MemoryAgentState> {
  readonly inputSize: number;
  readonly actionCount: number;
  readonly floor: readonly number[];
  /** W_c and b_c. */
  readonly cell: Linear;
  /** W_Σ. */
  readonly sum: Linear;
  /** W and b. */
  readonly input: Linear;
  readonly blocks: readonly TransformerBlock[];
  readonly norm: RmsNorm;
  /** W_Q and b_Q. */
  readonly values: Linear;
  /** τ: how large differences of values must be to matter to the policy. */
  temperature = 1;

  /**
   * @param name of the sequence layer
   * @param config of the model
   * @param environment that it acts in
   * @param random draws the initial values
   */
  constructor(name: ModelName, config: ModelConfig, environment: MemoryAgentEnvironment, random: RandomStream) {
    super();
    const { size, layers, initializerRange } = config;
    const { observationShape, actionCount, floor } = environment;
    const [rows, columns, channels] = observationShape as [number, number, number];
    const cells = rows * columns;
    this.inputSize = cells * channels + 1;
    this.actionCount = actionCount;
    this.floor = floor;
    const weightInitializer = normalInitializer(initializerRange);
    const feedForward = { activation: 'swiglu', hiddenSize: 2 * size, bias: false, weightInitializer } as const;
    const block = () =>
      new TransformerBlock({ size, mixer: makeLayer(name, config, random), feedForward, normalization: 'rms', random });
    const scaled = (deviation: number) => ({
      weightInitializer: normalInitializer(deviation),
      biasInitializer: constantInitializer(0),
      random,
    });
    const ofSum = { inputSize: CELL_FEATURES, outputSize: size, bias: false } as const;
    const ofCell = { inputSize: channels, outputSize: CELL_FEATURES, activation: 'relu' } as const;
    const inputSize = cells * CELL_FEATURES + 1;
    try {
      this.cell = this.addModule('cell', new Linear({ ...ofCell, ...scaled(1) }));
      this.sum = this.addModule('sum', new Linear({ ...ofSum, ...scaled(1 / Math.sqrt(CELL_FEATURES)) }));
      const ofInput = { inputSize, outputSize: size, ...scaled(1 / Math.sqrt(cells)) };
      this.input = this.addModule('input', new Linear(ofInput));
      this.blocks = this.addModules('blocks', Array.from({ length: layers }, block));
      this.norm = this.addModule('norm', new RmsNorm({ size }));
      // Nearly 0: what begins with a low value would not be tried.
      this.values = this.addModule(
        'values',
        new Linear({ inputSize: size, outputSize: actionCount, ...scaled(0.001) }),
      );
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * Whole episodes.
   *
   * @param x float32 `[batch, time, inputSize]`
   * @returns Q `[batch, time, actionCount]`
   */
  apply(x: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const hidden = this.blocks.reduce((y, block) => block.apply(y), this.#encode(x));
      return this.values.forward(this.norm.forward(hidden)) as tf.Tensor3D;
    });
  }

  /** See {@link Policy.step}. */
  step(x: tf.Tensor2D, state: MemoryAgentState): { logits: tf.Tensor2D; state: MemoryAgentState } {
    return tf.tidy(() => {
      let y = this.#encode(x);
      const next = this.blocks.map((block, i) => {
        const result = block.step(y, state[i] as tf.TensorContainer);
        y = result.output;
        return result.state;
      });
      const values = this.values.forward(this.norm.forward(y)) as tf.Tensor2D;
      return { logits: tf.div(values, this.temperature), state: next };
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

  /** `[..., inputSize]` → `[..., size]` */
  #encode<T extends tf.Tensor>(x: T): T {
    const outer = x.shape.slice(0, -1);
    const [observation, reward] = tf.split(x as tf.Tensor, [this.inputSize - 1, 1], -1) as [tf.Tensor, tf.Tensor];
    const { inputSize: channels, outputSize: features } = this.cell;
    const cells = (this.inputSize - 1) / channels;
    const colours = tf.sub(tf.reshape(observation, [...outer, cells, channels]), this.floor as number[]);
    const seen = this.cell.forward(colours);
    const where = this.input.forward(tf.concat([tf.reshape(seen, [...outer, cells * features]), reward], -1));
    return tf.add(where, this.sum.forward(tf.sum(seen, -2))) as T;
  }
}
