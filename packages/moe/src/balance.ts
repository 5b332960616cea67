/**
 * Terms that keep a router from using a few experts only, of the router's logits l [tokens, experts]:
 *
 *     entropy   R = Σ_e p_e log p_e,  p = mean over tokens of softmax(l)      from −log experts (balanced) to 0
 *               (Csordás, Irie & Schmidhuber, 2023, equations 20 and 21)
 *     switch    R = experts · Σ_e f_e p_e,  f_e = share of the assignments that expert e got (constant)
 *               (Fedus, Zoph & Shazeer, Switch Transformers, 2022, equations 4 to 6)
 *
 * The softmax is of the raw logits, whatever weights the experts. The authors' code for Switch averages over experts and leaves
 * out the factor: its weight γ is that of this file times experts².
 */

import { assertCount, assertFloatShape, assertShape, assertTensor } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Negative entropy of the mean choice.
 *
 * @param logits l, float32 `[tokens, experts]`
 */
export function entropyRegularization(logits: tf.Tensor2D): tf.Scalar {
  const { tokens } = assertFloatShape('entropyRegularization: logits', logits, ['tokens', 'experts']) as {
    tokens: number;
  };
  return tf.tidy(() => {
    const logMean = tf.sub(tf.logSumExp(tf.logSoftmax(logits), 0), Math.log(tokens));
    return tf.sum(tf.mul(tf.exp(logMean), logMean)) as tf.Scalar;
  });
}

/**
 * The balance term of Switch Transformers: 1 if balanced.
 *
 * @param logits l, float32 `[tokens, experts]`
 * @param indices int32 `[tokens, active]`: the experts that were chosen
 */
export function switchRegularization(logits: tf.Tensor2D, indices: tf.Tensor): tf.Scalar {
  const { tokens, experts } = assertFloatShape('switchRegularization: logits', logits, ['tokens', 'experts']) as {
    tokens: number;
    experts: number;
  };
  assertTensor('switchRegularization: indices', indices, 'int32');
  assertShape('switchRegularization: indices', indices, ['tokens', 'active'], { tokens });
  assertCount('switchRegularization: number of indices', indices.size);
  return tf.tidy(() => {
    const chosen = tf.reshape(indices, [indices.size]) as tf.Tensor1D;
    const shares = tf.div(tf.unsortedSegmentSum(tf.ones([indices.size]), chosen, experts), indices.size);
    const means = tf.mean(tf.softmax(logits), 0);
    return tf.mul(experts, tf.sum(tf.mul(shares, means))) as tf.Scalar;
  });
}
