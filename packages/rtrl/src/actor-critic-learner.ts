/**
 * Gradients of an actor-critic (R2AC: Irie, Gopalakrishnan and Schmidhuber 2023, section 4.2; IMPALA: Espeholt et al. 2018). Over
 * the steps of a rollout in all environments,
 *
 *     L = Σ −log π(a_t) A_t + baselineCost · ½ Σ (v_t − V_t)² + entropyCost · Σ π log π
 *
 * with V-trace's targets v and advantages A as constants (`vTrace` in @fwp/core). Sums, not means. How the gradient gets
 * through time is the learner's: with `'rtrl'` all the way back to the beginning of the episode, however short rollouts are;
 * with `'tbptt'` to the beginning of the rollout; `'memoryless'` has a network that forgets before every step.
 */

import { assertNumber, assertOneOf, softmaxCrossEntropy, vTrace } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { ActorCritic } from './actor-critic.ts';
import type { ElstmLearner, SegmentResult } from './elstm-learner.ts';
import { ElstmRtrl } from './elstm-rtrl.ts';
import { ElstmTbptt } from './elstm-tbptt.ts';
import { type Rollout, remembered } from './rollout.ts';

/** How the gradient gets through time. */
export type ActorCriticGradient = 'rtrl' | 'tbptt' | 'memoryless';

/** All of them. */
export const ACTOR_CRITIC_GRADIENTS: readonly ActorCriticGradient[] = ['rtrl', 'tbptt', 'memoryless'];

/** Options of {@link ActorCriticLearner}. */
export interface ActorCriticLearnerOptions {
  /** Environments side by side. */
  batchSize: number;
  /** How the gradient gets through time. Default `'rtrl'`. */
  gradient?: ActorCriticGradient;
  /** γ. Default 0.99. */
  discount?: number;
  /** What the critic's loss counts. Default 0.5. */
  baselineCost?: number;
  /** What the entropy counts. Default 0.01. */
  entropyCost?: number;
}

/** Learns from rollouts. Its state, c and with `'rtrl'` S, goes from one rollout to the next. */
export class ActorCriticLearner {
  readonly network: ActorCritic;
  readonly gradient: ActorCriticGradient;
  /** Holds the state; belongs into checkpoints. */
  readonly learner: ElstmLearner;
  readonly #discount: number;
  readonly #baselineCost: number;
  readonly #entropyCost: number;

  constructor(network: ActorCritic, options: ActorCriticLearnerOptions) {
    const { batchSize, gradient = 'rtrl', discount = 0.99, baselineCost = 0.5, entropyCost = 0.01 } = options;
    assertOneOf('ActorCriticLearner: gradient', gradient, ACTOR_CRITIC_GRADIENTS);
    assertNumber('ActorCriticLearner: discount', discount, 0, 1);
    assertNumber('ActorCriticLearner: baselineCost', baselineCost, 0);
    assertNumber('ActorCriticLearner: entropyCost', entropyCost, 0);
    this.network = network;
    this.gradient = gradient;
    this.#discount = discount;
    this.#baselineCost = baselineCost;
    this.#entropyCost = entropyCost;
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
    return tf.tidy(() => {
      const matrix = (values: Float32Array) => tf.tensor2d(values, [batchSize, time]);
      const x = tf.tensor3d(steps.inputs, [batchSize, time, this.network.layer.inputSize]);
      const begins = memoryless ? new Uint8Array(batchSize * time).fill(1) : steps.begins;
      const resetMask = tf.tensor2d(begins, [batchSize, time], 'bool');
      const actions = tf.tensor2d(steps.actions, [batchSize, time], 'int32');
      const discounts = matrix(Float32Array.from(steps.ended, (ended) => (ended ? 0 : this.#discount)));
      const bootstrap = (state: tf.Tensor2D) => {
        const observed = tf.tensor2d(next.inputs, [batchSize, this.network.layer.inputSize]);
        return this.network.step(observed, remembered(state, memoryless ? undefined : next.begins)).values;
      };
      const loss = (hidden: tf.Tensor3D, finalState: tf.Tensor2D): tf.Scalar => {
        const { logits, values } = this.network.heads(hidden);
        const surprise = softmaxCrossEntropy(logits, actions, { reduction: 'none' });
        const { targets, advantages } = vTrace({
          logRhos: tf.sub(tf.neg(surprise), matrix(steps.logProbabilities)),
          discounts,
          rewards: matrix(steps.rewards),
          values,
          bootstrapValue: bootstrap(finalState),
        });
        const policyLoss = tf.sum(tf.mul(surprise, advantages));
        const baselineLoss = tf.mul(tf.sum(tf.squaredDifference(values, targets)), 0.5 * this.#baselineCost);
        const logPolicy = tf.logSoftmax(logits);
        const negativeEntropy = tf.mul(tf.sum(tf.mul(tf.exp(logPolicy), logPolicy)), this.#entropyCost);
        return tf.addN([policyLoss, baselineLoss, negativeEntropy]) as tf.Scalar;
      };
      return this.learner.segment(x, loss, { resetMask }) as unknown as tf.TensorContainerObject;
    }) as unknown as SegmentResult;
  }

  /** Frees the state. */
  dispose(): void {
    this.learner.dispose();
  }
}
