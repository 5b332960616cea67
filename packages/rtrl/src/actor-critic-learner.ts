/**
 * Gradients of an actor-critic (R2AC: Irie, Gopalakrishnan and Schmidhuber 2023, section 4.2): those of `actorCriticLoss`. How
 * the gradient gets through time is the learner's: with `'rtrl'` all the way back to the beginning of the episode, however short
 * rollouts are; with `'tbptt'` to the beginning of the rollout; `'memoryless'` has a network that forgets before every step.
 */

import { assertOneOf } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { ActorCritic } from './actor-critic.ts';
import { type ActorCriticCosts, actorCriticLoss, checkedCosts } from './actor-critic-loss.ts';
import type { ElstmLearner, SegmentResult } from './elstm-learner.ts';
import { ElstmRtrl } from './elstm-rtrl.ts';
import { ElstmTbptt } from './elstm-tbptt.ts';
import type { Rollout } from './rollout.ts';

/** How the gradient gets through time. */
export type ActorCriticGradient = 'rtrl' | 'tbptt' | 'memoryless';

/** All of them. */
export const ACTOR_CRITIC_GRADIENTS: readonly ActorCriticGradient[] = ['rtrl', 'tbptt', 'memoryless'];

/** Options of {@link ActorCriticLearner}. */
export interface ActorCriticLearnerOptions extends ActorCriticCosts {
  /** Environments side by side. */
  batchSize: number;
  /** How the gradient gets through time. Default `'rtrl'`. */
  gradient?: ActorCriticGradient;
}

/** Learns from rollouts. Its state, c and with `'rtrl'` S, goes from one rollout to the next. */
export class ActorCriticLearner {
  readonly network: ActorCritic;
  readonly gradient: ActorCriticGradient;
  /** Holds the state; belongs into checkpoints. */
  readonly learner: ElstmLearner;
  readonly #costs: ActorCriticCosts;

  constructor(network: ActorCritic, options: ActorCriticLearnerOptions) {
    const { batchSize, gradient = 'rtrl' } = options;
    assertOneOf('ActorCriticLearner: gradient', gradient, ACTOR_CRITIC_GRADIENTS);
    this.network = network;
    this.gradient = gradient;
    this.#costs = checkedCosts('ActorCriticLearner', options);
    this.learner = new (gradient === 'rtrl' ? ElstmRtrl : ElstmTbptt)({
      layer: network.layer,
      model: network,
      batchSize,
    });
  }

  /**
   * Loss and gradients of a rollout, which began where the last one ended.
   *
   * @returns the caller disposes of it; its gradients are what `Optimizer.step` takes
   */
  learn(steps: Rollout): SegmentResult {
    const { batchSize, steps: time, next } = steps;
    const memoryless = this.gradient === 'memoryless';
    const { network } = this;
    return tf.tidy(() => {
      const x = tf.tensor3d(steps.inputs, [batchSize, time, network.inputSize]);
      const begins = memoryless ? new Uint8Array(batchSize * time).fill(1) : steps.begins;
      const resetMask = tf.tensor2d(begins, [batchSize, time], 'bool');
      const loss = (hidden: tf.Tensor3D, finalState: tf.Tensor2D): tf.Scalar => {
        const observed = tf.tensor2d(next.inputs, [batchSize, network.inputSize]);
        const remembered = network.forget(finalState, memoryless ? undefined : next.begins);
        const bootstrapValue = network.step(observed, remembered).values;
        return actorCriticLoss({ rollout: steps, ...network.heads(hidden), bootstrapValue }, this.#costs);
      };
      return this.learner.segment(x, loss, { resetMask }) as unknown as tf.TensorContainerObject;
    }) as unknown as SegmentResult;
  }

  /** Frees the state. */
  dispose(): void {
    this.learner.dispose();
  }
}
