/**
 * From a router's logits l [tokens, experts] to the experts of each token and their weights w (Csordás, Irie & Schmidhuber, 2023,
 * sections 4 and 5):
 *
 *     sigmoid              s = σ(l)          I = topK(s ∘ m)      w = (s ∘ m)_I                 σ-MoE
 *     softmaxBeforeTopK    s = softmax(l)    I = topK(s ∘ m)      w = (s ∘ m)_I                 Switch; Shazeer et al. unnormalised
 *     softmaxAfterTopK     I = topK(l where m)                    w = softmax(l_I)              renormalised
 *     sinkhorn             I = topK(sinkhorn(l) ∘ m) in training, topK(l) else     w = σ(l)_I   S-BASE
 *     literalSinkhorn      the same with the authors' form of it, each sequence on its own
 *
 * m ∈ {0, 1} drops whole experts in training; what is left is not scaled up. Of equal scores the first expert is taken.
 */

import { assertFloatShape, assertOneOf, stopGradient } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { assertActive, best } from './choices.ts';
import { literalSinkhorn, sinkhorn } from './sinkhorn.ts';

/** How a router chooses and weights experts. */
export const ROUTINGS = ['sigmoid', 'softmaxBeforeTopK', 'softmaxAfterTopK', 'sinkhorn', 'literalSinkhorn'] as const;

/** Name of a way to choose experts. */
export type Routing = (typeof ROUTINGS)[number];

/** What {@link route} needs to know. */
export interface RouteOptions {
  /** Number of experts for each token. */
  readonly active: number;
  /** Whether S-BASE balances. */
  readonly training: boolean;
  /** float32 in the shape of the logits: 1 for experts that may be chosen, 0 for those that are dropped. Default: all may. */
  readonly mask?: tf.Tensor | undefined;
}

/** Experts and weights, `[..., active]`. */
export interface Route {
  readonly indices: tf.Tensor;
  readonly weights: tf.Tensor;
}

/** In the place of a dropped expert's logit: its softmax weight is 0 beside any other. */
const DROPPED = -1e9;

/**
 * Chooses experts.
 *
 * @param routing how
 * @param logits float32 `[..., tokens, experts]`
 * @param options number of experts, mask
 * @returns int32 indices and float32 weights, `[..., tokens, active]`; gradients pass through the weights
 * @throws RangeError for another routing or more active experts than there are
 */
export function route(routing: Routing, logits: tf.Tensor, { active, training, mask }: RouteOptions): Route {
  assertOneOf('route: routing', routing, ROUTINGS);
  const { experts } = assertFloatShape('route: logits', logits, ['...', 'tokens', 'experts']);
  assertActive('route: active', active, experts as number, 'experts');
  const masked = (scores: tf.Tensor): tf.Tensor => (mask === undefined ? scores : tf.mul(scores, mask));
  switch (routing) {
    case 'sigmoid':
      return weighted(masked(tf.sigmoid(logits)), active);
    case 'softmaxBeforeTopK':
      return weighted(masked(tf.softmax(logits)), active);
    case 'softmaxAfterTopK': {
      const allowed = mask === undefined ? logits : tf.add(logits, tf.mul(tf.sub(1, mask), DROPPED));
      const { indices, values } = best(allowed, active);
      return { indices, weights: tf.softmax(values) };
    }
    default: {
      if (!training) {
        const { indices, values } = best(logits, active);
        return { indices, weights: tf.sigmoid(values) };
      }
      const constant = stopGradient(logits);
      const balanced = masked(routing === 'sinkhorn' ? inOneSequence(constant) : literalSinkhorn(constant));
      const { indices } = best(balanced, active);
      const weights = tf.sigmoid(tf.gather(logits, indices, logits.rank - 1, logits.rank - 1));
      return { indices, weights };
    }
  }
}

/** The best scores, which are weights themselves. */
function weighted(scores: tf.Tensor, active: number): Route {
  const { indices, values } = best(scores, active);
  return { indices, weights: values };
}

/** Sinkhorn's algorithm over all tokens at once. */
function inOneSequence(logits: tf.Tensor): tf.Tensor {
  const experts = logits.shape.at(-1) as number;
  return tf.reshape(sinkhorn(tf.reshape(logits, [logits.size / experts, experts])), logits.shape);
}
