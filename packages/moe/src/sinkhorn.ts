/**
 * Sinkhorn's algorithm, which balances a matrix of scores: for logits l [tokens, experts] it looks for
 *
 *     π_te = exp(l_te + a_e + b_t)        Σ_e π_te = 1 for each token,  Σ_t π_te = tokens / experts for each expert
 *
 * by satisfying one condition after the other, in log space:  a_e = log(tokens / experts) − log Σ_t exp(l_te + b_t),
 * b_t = − log Σ_e exp(l_te + a_e).
 *
 * The authors' code (moe, `MoE.sinkhorn`) subtracts a and b within the sums instead of adding them, so that it does not get
 * there, and takes each sequence on its own. {@link literalSinkhorn} is that form, for comparison.
 */

import { assertCount, assertFloatShape } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Balanced scores.
 *
 * @param logits l, float32 `[..., tokens, experts]`; leading dimensions are balanced on their own
 * @param iterations how often both conditions are satisfied. Default 3
 * @returns π in the shape of l: rows have the sum 1, columns almost the sum tokens / experts
 */
export function sinkhorn<T extends tf.Tensor>(logits: T, iterations = 3): T {
  const { tokens, experts } = assertLogits('sinkhorn', logits, iterations);
  return tf.tidy(() => {
    let ofTokens: tf.Tensor = tf.zeros([...logits.shape.slice(0, -1), 1]);
    let ofExperts: tf.Tensor = tf.zeros([...logits.shape.slice(0, -2), 1, experts]);
    for (let i = 0; i < iterations; i++) {
      ofExperts = tf.sub(Math.log(tokens / experts), tf.logSumExp(tf.add(logits, ofTokens), -2, true));
      ofTokens = tf.neg(tf.logSumExp(tf.add(logits, ofExperts), -1, true));
    }
    return tf.exp(tf.add(tf.add(logits, ofExperts), ofTokens)) as T;
  });
}

/**
 * The authors' form, which does not balance.
 *
 * @param logits l, float32 `[..., tokens, experts]`
 * @param iterations default 3
 * @returns scores in the shape of l
 */
export function literalSinkhorn<T extends tf.Tensor>(logits: T, iterations = 3): T {
  const { tokens, experts } = assertLogits('literalSinkhorn', logits, iterations);
  return tf.tidy(() => {
    let ofTokens: tf.Tensor = tf.zeros([...logits.shape.slice(0, -1), 1]);
    let ofExperts: tf.Tensor = tf.zeros([...logits.shape.slice(0, -2), 1, experts]);
    for (let i = 0; i < iterations; i++) {
      ofTokens = tf.sub(Math.log(tokens), tf.logSumExp(tf.sub(logits, ofExperts), -1, true));
      ofExperts = tf.sub(Math.log(experts), tf.logSumExp(tf.sub(logits, ofTokens), -2, true));
    }
    return tf.exp(tf.add(tf.add(logits, ofExperts), ofTokens)) as T;
  });
}

function assertLogits(name: string, logits: tf.Tensor, iterations: number): { tokens: number; experts: number } {
  assertCount(`${name}: iterations`, iterations);
  const sizes = assertFloatShape(`${name}: logits`, logits, ['...', 'tokens', 'experts']);
  return sizes as { tokens: number; experts: number };
}
