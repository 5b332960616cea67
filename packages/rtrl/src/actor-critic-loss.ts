/**
 * The loss of an actor-critic (IMPALA: Espeholt et al. 2018, section 4.2; Irie, Gopalakrishnan and Schmidhuber 2023, section
 * 4.2). Over the steps of a rollout in all environments,
 *
 *     L = Σ −log π(a_t) A_t + baselineCost · ½ Σ (v_t − V_t)² + entropyCost · Σ π log π
 *
 * with V-trace's targets v and advantages A as constants (`vTrace` in @fwp/core). Sums, not means.
 *
 *     logits [batch, steps, actionCount], V [batch, steps]; v and A [batch, steps]
 */

import { assertNumber, softmaxCrossEntropy, vTrace } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Rollout } from './rollout.ts';

/** What the loss is computed from. */
export interface ActorCriticLossInputs {
  /** The steps. */
  rollout: Rollout;
  /** Of the policy that learns, float32 `[batch, steps, actionCount]`. */
  logits: tf.Tensor;
  /** V, float32 `[batch, steps]`. */
  values: tf.Tensor;
  /** V of what is observed behind the last step, float32 `[batch]`. */
  bootstrapValue: tf.Tensor;
  /** `[batch, steps]` in a row: 1 for the steps that count. Default: all. */
  counts?: Float32Array | undefined;
}

/** What parts of the loss count. */
export interface ActorCriticCosts {
  /** γ. Default 0.99. */
  discount?: number | undefined;
  /** What the critic's loss counts. Default 0.5. */
  baselineCost?: number | undefined;
  /** What the entropy counts. Default 0.01. */
  entropyCost?: number | undefined;
}

/** Costs that were checked, with defaults in the place of what is missing. */
export function checkedCosts(
  name: string,
  { discount = 0.99, baselineCost = 0.5, entropyCost = 0.01 }: ActorCriticCosts,
): { discount: number; baselineCost: number; entropyCost: number } {
  assertNumber(`${name}: discount`, discount, 0, 1);
  assertNumber(`${name}: baselineCost`, baselineCost, 0);
  assertNumber(`${name}: entropyCost`, entropyCost, 0);
  return { discount, baselineCost, entropyCost };
}

/**
 * Computes the loss.
 *
 * @param inputs a rollout, and what the network that learns says to its observations
 * @param costs of the parts
 * @throws TypeError or RangeError if an argument has another dtype or shape, or is out of range
 */
export function actorCriticLoss(inputs: ActorCriticLossInputs, costs: ActorCriticCosts = {}): tf.Scalar {
  const { rollout, logits, values, bootstrapValue, counts } = inputs;
  const { batchSize, steps } = rollout;
  const { discount, baselineCost, entropyCost } = checkedCosts('actorCriticLoss', costs);
  if (counts !== undefined && counts.length !== batchSize * steps) {
    throw new RangeError(
      `actorCriticLoss: counts must have a number for each of ${batchSize} × ${steps} steps, but has ${counts.length}.`,
    );
  }
  return tf.tidy(() => {
    const matrix = (numbers: Float32Array) => tf.tensor2d(numbers, [batchSize, steps]);
    const actions = tf.tensor2d(rollout.actions, [batchSize, steps], 'int32');
    const surprise = softmaxCrossEntropy(logits, actions, { reduction: 'none' });
    const { targets, advantages } = vTrace({
      logRhos: tf.sub(tf.neg(surprise), matrix(rollout.logProbabilities)),
      discounts: matrix(Float32Array.from(rollout.ended, (ended) => (ended ? 0 : discount))),
      rewards: matrix(rollout.rewards),
      values,
      bootstrapValue,
    });
    const logPolicy = tf.logSoftmax(logits);
    const negativeEntropy = tf.mul(tf.exp(logPolicy), logPolicy);
    const sum = (terms: tf.Tensor) => {
      if (counts === undefined) return tf.sum(terms);
      const mask = matrix(counts);
      return tf.sum(tf.mul(terms, terms.rank === 2 ? mask : tf.expandDims(mask, 2)));
    };
    return tf.addN([
      sum(tf.mul(surprise, advantages)),
      tf.mul(sum(tf.squaredDifference(values, targets)), 0.5 * baselineCost),
      tf.mul(sum(negativeEntropy), entropyCost),
    ]) as tf.Scalar;
  });
}
