/**
 * The loss of action values that are learned from what a policy did (expected Sarsa with λ-returns; Sutton and Barto,
 * "Reinforcement Learning", 2018, sections 6.6 and 12.1). The policy prefers what it values,
 *
 *     π(a | s) = softmax(Q(s, ·) / τ)_a               V(s) = Σ_a π(a | s) Q(s, a)
 *     G_t = r_t + γ_t ((1 − λ) V(s_{t+1}) + λ G_{t+1})                 L = ½ mean_t (Q(s_t, a_t) − G_t)²
 *
 *     Q [batch, steps, actionCount]; r, γ and G [batch, steps], G as constants; γ_t is 0 where step t ended an episode
 *
 * A regression: what an action is worth is learned from every time it was taken, however rarely, and however sure the policy is.
 */

import { vTrace } from '@fwp/core';
import type { Rollout } from '@fwp/rtrl';
import * as tf from '@tensorflow/tfjs-core';

/** What the loss is computed from. */
export interface ActionValueLossInputs {
  /** The steps. */
  readonly rollout: Pick<Rollout, 'batchSize' | 'steps' | 'actions' | 'rewards' | 'ended'>;
  /** Q, float32 `[batch, steps, actionCount]`. */
  readonly values: tf.Tensor3D;
  /** `[batch, steps]` in a row: 1 for the steps that count. */
  readonly counts: Float32Array;
}

/** What returns are made of. */
export interface ActionValueReturns {
  /** γ. */
  readonly discount: number;
  /** λ: 0 asks the next step's values, 1 waits for all rewards. */
  readonly lambda: number;
  /** τ of the policy that acts. */
  readonly temperature: number;
}

/** Computes the loss. Episodes end within the steps: nothing follows the last. */
export function actionValueLoss(
  { rollout, values, counts }: ActionValueLossInputs,
  { discount, lambda, temperature }: ActionValueReturns,
): tf.Scalar {
  const { batchSize, steps } = rollout;
  return tf.tidy(() => {
    const matrix = (numbers: Float32Array) => tf.tensor2d(numbers, [batchSize, steps]);
    const policy = tf.softmax(tf.div(values, temperature));
    // V-trace of a policy that learns from itself, its ratios clipped to λ on the way back: λ-returns.
    const { targets } = vTrace(
      {
        logRhos: tf.zeros([batchSize, steps]),
        discounts: matrix(Float32Array.from(rollout.ended, (ended) => (ended ? 0 : discount))),
        rewards: matrix(rollout.rewards),
        values: tf.sum(tf.mul(policy, values), -1),
        bootstrapValue: tf.zeros([batchSize]),
      },
      { cClip: lambda },
    );
    const actions = tf.tensor2d(rollout.actions, [batchSize, steps], 'int32');
    const taken = tf.sum(tf.mul(values, tf.oneHot(actions, values.shape[2], 1, 0, 'float32')), -1);
    const mask = matrix(counts);
    const errors = tf.sum(tf.mul(tf.squaredDifference(taken, targets), mask));
    return tf.div(tf.mul(errors, 0.5), tf.sum(mask)) as tf.Scalar;
  });
}
