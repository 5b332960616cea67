/**
 * The dense block with the largest of its hidden units only (Csordás, Irie & Schmidhuber, 2023, section 3.1):
 *
 *     u = dropout(relu(x W₁ + b₁))        u'_i = u_i if i ∈ I, else 0        y = u' W₂ + b₂
 *
 * I [active]: the largest u_i ('activation'), or u_i ‖W₂[i]‖ ('contribution'); of equal ones the first. x, y [..., size]. The choice
 * is constant: gradients pass through the units that are kept.
 */

import {
  assertCount,
  assertFloatShape,
  assertOneOf,
  constantInitializer,
  Dropout,
  Linear,
  type RandomStream,
  stopGradient,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { assertActive, best, sumOfChosen } from './choices.ts';
import { FeedForwardBlock, type FeedForwardResult } from './feed-forward-block.ts';
import { denseInitializer } from './initialization.ts';

/** By what {@link TopKBlock} ranks hidden units. */
export const TOP_K_RANKINGS = ['activation', 'contribution'] as const;

/** Name of a ranking. */
export type TopKRanking = (typeof TOP_K_RANKINGS)[number];

/** Options of {@link TopKBlock}. */
export interface TopKBlockOptions {
  /** Size of input and output. */
  size: number;
  /** Number of hidden units. */
  hiddenSize: number;
  /** How many of them are kept for a token. */
  active: number;
  /** Default `'activation'`. */
  ranking?: TopKRanking;
  /** Dropout rate of the hidden units, before the choice. Default 0. */
  dropout?: number;
  /** Scale of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values; dropout branches off it. */
  random: RandomStream;
}

/** Two linear maps; the hidden units compete. */
export class TopKBlock extends FeedForwardBlock {
  readonly size: number;
  readonly hiddenSize: number;
  readonly active: number;
  readonly ranking: TopKRanking;
  readonly multiplyAdds: number;
  readonly input: Linear;
  readonly output: Linear;
  readonly #dropout: Dropout;

  constructor(options: TopKBlockOptions) {
    super();
    const { size, hiddenSize, active, ranking = 'activation', dropout = 0, initialScale = 1, random } = options;
    assertCount('TopKBlock: size', size);
    assertCount('TopKBlock: hiddenSize', hiddenSize);
    assertActive('TopKBlock: active', active, hiddenSize, 'hidden units');
    assertOneOf('TopKBlock: ranking', ranking, TOP_K_RANKINGS);
    this.size = size;
    this.hiddenSize = hiddenSize;
    this.active = active;
    this.ranking = ranking;
    this.multiplyAdds = size * hiddenSize + active * size;
    const initializers = { weightInitializer: denseInitializer(initialScale), biasInitializer: constantInitializer(0) };
    try {
      this.input = this.addModule(
        'input',
        new Linear({ inputSize: size, outputSize: hiddenSize, activation: 'relu', random, ...initializers }),
      );
      this.output = this.addModule(
        'output',
        new Linear({ inputSize: hiddenSize, outputSize: size, random, ...initializers }),
      );
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link FeedForwardBlock.apply}. Selections are of hidden `units`, weighted by their activations. */
  apply<T extends tf.Tensor>(inputs: T): FeedForwardResult<T> {
    assertFloatShape('TopKBlock: inputs', inputs, ['...', this.size]);
    const tokens = inputs.size / this.size;
    return tf.tidy(() => {
      const hidden = this.#dropout.forward(this.input.forward(tf.reshape(inputs, [tokens, this.size]) as tf.Tensor2D));
      const indices = this.#best(stopGradient(hidden));
      const kept = tf.mul(hidden, sumOfChosen(tf.ones(indices.shape), indices, this.hiddenSize));
      const threeD = (x: tf.Tensor) => tf.reshape(x, [tokens, 1, this.active]) as tf.Tensor3D;
      return {
        outputs: tf.reshape(this.output.forward(kept), inputs.shape) as T,
        selections: [
          {
            of: 'units',
            choices: this.hiddenSize,
            indices: threeD(indices),
            weights: threeD(tf.gather(stopGradient(hidden), indices, 1, 1)),
          },
        ],
      };
    });
  }

  #best(hidden: tf.Tensor): tf.Tensor2D {
    const scores =
      this.ranking === 'activation' ? hidden : tf.mul(hidden, tf.norm(stopGradient(this.output.weight), 2, 1));
    return best(scores, this.active).indices as tf.Tensor2D;
  }
}
