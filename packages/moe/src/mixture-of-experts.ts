/**
 * A feed-forward block of experts, σ-MoE with its defaults (Csordás, Irie & Schmidhuber, 2023, section 5): a router chooses `active` of
 * `experts` for each token,
 *
 *     l = x W₃        I, w = route(l)        y = Σ_{e ∈ I} w_e dropout(relu(x W₁[e])) W₂[e]
 *
 * x, y [..., size]   W₁ [experts, size, expertSize]   W₂ [experts, expertSize, size]   W₃ [size, experts]; no biases. The choice,
 * its ablations and expert dropout are in `routing.ts`, the terms that balance in `balance.ts`.
 *
 * Dense-equivalent initialisation: deviations s / √size of W₁, and s / √(experts · expertSize) of W₂, as if all experts were one
 * dense layer; the standard one divides by √expertSize. The router is in `router.ts`.
 */

import {
  assertCount,
  assertFloatShape,
  assertOneOf,
  Dropout,
  expertFeedForward,
  expertMatMul,
  normalInitializer,
  type RandomStream,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { entropyRegularization, switchRegularization } from './balance.ts';
import { assertActive } from './choices.ts';
import { FeedForwardBlock, type FeedForwardResult } from './feed-forward-block.ts';
import { Router } from './router.ts';
import { ROUTINGS, type Route, type Routing, route } from './routing.ts';

/** Terms that balance a {@link MixtureOfExperts}. */
export const REGULARIZATIONS = ['entropy', 'switch', 'none'] as const;

/** Name of a term that balances experts. */
export type Regularization = (typeof REGULARIZATIONS)[number];

/** How the values W₂ of experts are initialised. */
export const EXPERT_INITIALIZATIONS = ['denseEquivalent', 'standard'] as const;

/** Name of an initialisation of experts. */
export type ExpertInitialization = (typeof EXPERT_INITIALIZATIONS)[number];

/** Options of {@link MixtureOfExperts}. */
export interface MixtureOfExpertsOptions {
  /** Size of input and output. */
  size: number;
  /** Number of experts. */
  experts: number;
  /** Hidden units of one expert. */
  expertSize: number;
  /** Experts for each token. */
  active: number;
  /** How they are chosen and weighted. Default `'sigmoid'`. */
  routing?: Routing;
  /** What the result's regularisation is. Default `'entropy'`. */
  regularization?: Regularization;
  /** Probability that an expert is dropped for a token in training. Default 0. */
  expertDropout?: number;
  /** Dropout rate of the experts' hidden units, as Switch Transformers have it. Default 0. */
  dropout?: number;
  /** Default `'denseEquivalent'`. */
  initialization?: ExpertInitialization;
  /** Scale s of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values; dropout branches off it. */
  random: RandomStream;
}

/** Experts and their router. */
export class MixtureOfExperts extends FeedForwardBlock {
  readonly size: number;
  readonly experts: number;
  readonly expertSize: number;
  readonly active: number;
  readonly routing: Routing;
  readonly regularization: Regularization;
  readonly multiplyAdds: number;
  readonly router: Router;
  /** W₁ `[experts, size, expertSize]` */
  readonly keys: tf.Variable & tf.Tensor3D;
  /** W₂ `[experts, expertSize, size]` */
  readonly values: tf.Variable & tf.Tensor3D;
  readonly #dropout: Dropout;

  constructor(options: MixtureOfExpertsOptions) {
    super();
    const { size, experts, expertSize, active, routing = 'sigmoid', regularization = 'entropy', random } = options;
    const { expertDropout = 0, dropout = 0, initialization = 'denseEquivalent', initialScale = 1 } = options;
    assertCount('MixtureOfExperts: size', size);
    assertCount('MixtureOfExperts: experts', experts);
    assertCount('MixtureOfExperts: expertSize', expertSize);
    assertActive('MixtureOfExperts: active', active, experts, 'experts');
    assertOneOf('MixtureOfExperts: routing', routing, ROUTINGS);
    assertOneOf('MixtureOfExperts: regularization', regularization, REGULARIZATIONS);
    assertOneOf('MixtureOfExperts: initialization', initialization, EXPERT_INITIALIZATIONS);
    this.size = size;
    this.experts = experts;
    this.expertSize = expertSize;
    this.active = active;
    this.routing = routing;
    this.regularization = regularization;
    this.multiplyAdds = size * experts + 2 * active * size * expertSize;
    const values = initialization === 'denseEquivalent' ? experts * expertSize : expertSize;
    const normal = (shape: number[], fanIn: number) =>
      normalInitializer(initialScale / Math.sqrt(fanIn))(shape, random) as tf.Tensor3D;
    try {
      this.keys = this.addParameter('keys', normal([experts, size, expertSize], size));
      this.values = this.addParameter('values', normal([experts, expertSize, size], values));
      this.router = this.addModule(
        'router',
        new Router({ size, experts, dropout: expertDropout, initialScale, random }),
      );
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link FeedForwardBlock.apply}. S-BASE balances the tokens of a call, or, in its literal form, those of the last but one axis. */
  apply<T extends tf.Tensor>(inputs: T): FeedForwardResult<T> {
    assertFloatShape('MixtureOfExperts: inputs', inputs, ['...', this.size]);
    const tokens = inputs.size / this.size;
    return tf.tidy(() => {
      const x = tf.reshape(inputs, [tokens, this.size]) as tf.Tensor2D;
      const logits = this.router.forward(x);
      const shape = [...inputs.shape.slice(0, -1), this.experts];
      const chosen = route(this.routing, inputs.rank > 1 ? tf.reshape(logits, shape) : logits, {
        active: this.active,
        training: this.training,
        mask: this.router.mask(inputs.rank > 1 ? shape : logits.shape),
      });
      const indices = tf.reshape(chosen.indices, [tokens, this.active]) as tf.Tensor2D;
      const weights = tf.reshape(chosen.weights, [tokens, this.active]) as tf.Tensor2D;
      const regularization = this.#regularization(logits, indices);
      return {
        outputs: tf.reshape(this.#experts(x, { indices, weights }), inputs.shape) as T,
        ...(regularization === undefined ? {} : { regularization }),
        selections: [
          {
            of: 'experts',
            choices: this.experts,
            indices: tf.reshape(indices, [tokens, 1, this.active]) as tf.Tensor3D,
            weights: tf.reshape(weights, [tokens, 1, this.active]) as tf.Tensor3D,
          },
        ],
      };
    });
  }

  #experts(x: tf.Tensor2D, { indices, weights }: Route): tf.Tensor2D {
    if (this.#dropout.rate === 0 || !this.training) {
      return expertFeedForward(x, this.keys, this.values, indices as tf.Tensor2D, weights as tf.Tensor2D);
    }
    const hidden = tf.relu(expertMatMul(x, this.keys, indices, { outputRows: indices.size }));
    return expertMatMul(this.#dropout.forward(hidden), this.values, indices, {
      gates: weights,
      outputRows: x.shape[0],
    });
  }

  #regularization(logits: tf.Tensor2D, indices: tf.Tensor): tf.Scalar | undefined {
    if (this.regularization === 'none' || indices.size === 0) return undefined;
    return this.regularization === 'entropy' ? entropyRegularization(logits) : switchRegularization(logits, indices);
  }
}
