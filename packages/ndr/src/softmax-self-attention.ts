/**
 * Softmax attention of universal Transformers (Dehghani et al., 2019), with the ways to know positions that the Neural Data
 * Router is compared with (Csordás, Irie and Schmidhuber, 2022, section 4):
 *
 *     none        z_ij = q_i · k_j / √headSize                                   positions are in the columns already
 *     relative    z_ij = s [ (q_i + u) · k_j + (q_i + w) · r_{j−i} ]               Dai et al., 2019, equation 5
 *     gated       z_ij = s [ (q_i + u) · k_j + α_i (q_i + w) · r_{j−i} + (1 − α_i) (q_i + w) · r_j ],  α_i = σ(W_α h_i + b_α)
 *
 *     y_i = W_o Σ_j dropout(softmax_j(z_ij)) v_j        r_δ = W_p e_δ, e the sinusoids of `sinusoidalPositions`
 *
 * No projection has a bias; all matrices are Xavier uniform with the fan-out of one head at first, u and w 0, the learned scale
 * s 1 / √headSize.
 */

import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  attention,
  Dropout,
  Linear,
  linear,
  Module,
  type RandomStream,
  relativeScores,
  selfAttention,
  uniformInitializer,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { ColumnAttention } from './column-attention.ts';
import { sinusoidalPositions } from './sinusoidal-positions.ts';

/** How {@link SoftmaxSelfAttention} knows positions. */
export const SOFTMAX_POSITIONS = ['none', 'relative', 'gated'] as const;

/** Name of a way to know positions. */
export type SoftmaxPositions = (typeof SOFTMAX_POSITIONS)[number];

/** Options of {@link SoftmaxSelfAttention}. */
export interface SoftmaxSelfAttentionOptions {
  /** Size of a column. */
  size: number;
  /** Number of heads; they divide the size. Default 1. */
  heads?: number | undefined;
  /** Default `'none'`. */
  positions?: SoftmaxPositions | undefined;
  /** Dropout rate of the weights. Default 0. */
  attentionDropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Multi-head softmax attention. */
export class SoftmaxSelfAttention extends Module implements ColumnAttention {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly positions: SoftmaxPositions;
  /** W_q, W_k and W_v, `[size, 3 · size]`. */
  readonly projection: tf.Variable & tf.Tensor2D;
  /** W_o, `[size, size]`. */
  readonly output: tf.Variable & tf.Tensor2D;
  /** u and w, `[2, heads, headSize]`; with positions only, as all that follow. */
  readonly queryBiases: (tf.Variable & tf.Tensor3D) | undefined;
  /** s. */
  readonly scale: (tf.Variable & tf.Scalar) | undefined;
  /** W_p, `[size, size]`. */
  readonly positionProjection: (tf.Variable & tf.Tensor2D) | undefined;
  /** W_α and b_α; with `'gated'` positions only. */
  readonly positionGate: Linear | undefined;
  readonly #dropout: Dropout;

  constructor(options: SoftmaxSelfAttentionOptions) {
    super();
    const { size, heads = 1, positions = 'none', attentionDropout = 0, random } = options;
    assertCount('SoftmaxSelfAttention: size', size);
    assertCount('SoftmaxSelfAttention: heads', heads);
    assertOneOf('SoftmaxSelfAttention: positions', positions, SOFTMAX_POSITIONS);
    assertNumber('SoftmaxSelfAttention: attentionDropout', attentionDropout, 0, 1 - 2 ** -32);
    const headSize = size / heads;
    if (!Number.isInteger(headSize)) {
      throw new RangeError(`SoftmaxSelfAttention: size ${size} cannot be divided among ${heads} heads.`);
    }
    this.size = size;
    this.heads = heads;
    this.headSize = headSize;
    this.positions = positions;
    const xavier = uniformInitializer(Math.sqrt(6 / (size + headSize)));
    this.projection = this.addParameter('projection', xavier([size, 3 * size], random) as tf.Tensor2D);
    this.output = this.addParameter('output', xavier([size, size], random) as tf.Tensor2D);
    if (positions !== 'none') {
      this.queryBiases = this.addParameter('queryBiases', tf.zeros([2, heads, headSize]) as tf.Tensor3D);
      this.scale = this.addParameter('scale', tf.scalar(1 / Math.sqrt(headSize)));
      const projected = xavier([size, size], random) as tf.Tensor2D;
      this.positionProjection = this.addParameter('positionProjection', projected);
    }
    if (positions === 'gated') {
      this.positionGate = this.addModule('positionGate', new Linear({ inputSize: size, outputSize: heads, random }));
    }
    this.#dropout = this.addModule('dropout', new Dropout({ rate: attentionDropout, random }));
  }

  apply(h: tf.Tensor3D, paddingMask?: tf.Tensor): tf.Tensor3D {
    const { batch, length } = this.#sizes(h);
    return tf.tidy(() => {
      const drops = this.training && this.#dropout.rate > 0;
      const attended = drops ? this.#attendWithDropout(h, paddingMask) : this.#attend(h, paddingMask);
      return linear(tf.reshape(attended, [batch, length, this.size]), this.output) as tf.Tensor3D;
    });
  }

  attentionWeights(h: tf.Tensor3D, paddingMask?: tf.Tensor): tf.Tensor4D {
    this.#sizes(h);
    return tf.tidy(() => this.#weights(h, paddingMask).weights);
  }

  #sizes(h: tf.Tensor3D): { batch: number; length: number } {
    const shape = ['batch', 'length', this.size];
    return assertFloatShape('SoftmaxSelfAttention: h', h, shape) as { batch: number; length: number };
  }

  /** Queries, keys and values side by side, `[batch, length, 3, heads, headSize]`. */
  #projected(h: tf.Tensor3D): tf.Tensor {
    const [batch, length] = h.shape;
    return tf.reshape(linear(h, this.projection), [batch, length, 3, this.heads, this.headSize]);
  }

  #attend(h: tf.Tensor3D, keyMask: tf.Tensor | undefined): tf.Tensor {
    const projected = this.#projected(h);
    if (this.positions === 'none') return selfAttention(projected, { keyMask });
    const [q, k, v] = tf.unstack(projected, 2) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    const { content, bias } = this.#terms(h, q);
    return attention(content, k, v, { layout: 'BTHD', scale: 1, keyMask, bias });
  }

  #attendWithDropout(h: tf.Tensor3D, paddingMask: tf.Tensor | undefined): tf.Tensor {
    const { weights, values } = this.#weights(h, paddingMask);
    return tf.transpose(tf.matMul(this.#dropout.forward(weights), values), [0, 2, 1, 3]);
  }

  /** The weights in full, and the values `[batch, heads, length, headSize]`. */
  #weights(h: tf.Tensor3D, paddingMask: tf.Tensor | undefined): { weights: tf.Tensor4D; values: tf.Tensor } {
    const [batch, length] = h.shape;
    const [q, k, v] = tf.unstack(this.#projected(h), 2) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    const byHead = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, 2, 1, 3]);
    const { content, bias } =
      this.positions === 'none'
        ? { content: tf.mul(q, 1 / Math.sqrt(this.headSize)), bias: undefined }
        : this.#terms(h, q);
    const scores = tf.matMul(byHead(content), byHead(k), false, true);
    let z = bias === undefined ? scores : tf.add(scores, bias);
    if (paddingMask !== undefined) {
      const present = tf.reshape(paddingMask, [batch, 1, 1, length]);
      z = tf.where(tf.broadcastTo(present, z.shape), z, tf.fill(z.shape, -1e30));
    }
    return { weights: tf.softmax(z) as tf.Tensor4D, values: byHead(v) };
  }

  /** s (q + u), and what is added to the scores for positions. */
  #terms(h: tf.Tensor3D, q: tf.Tensor4D): { content: tf.Tensor; bias: tf.Tensor } {
    const length = q.shape[1];
    const [u, w] = tf.unstack(this.queryBiases as tf.Tensor) as [tf.Tensor, tf.Tensor];
    const scale = this.scale as tf.Tensor;
    const vectors = (from: number, count: number): tf.Tensor => {
      const positions = Array.from({ length: count }, (_, i) => from + i);
      const table = sinusoidalPositions(positions, this.size);
      const projected = linear(table, this.positionProjection as tf.Tensor);
      return tf.reshape(projected, [count, this.heads, this.headSize]);
    };
    const content = tf.mul(tf.add(q, u), scale);
    const asking = tf.mul(tf.add(q, w), scale);
    const distances = vectors(1 - length, 2 * length - 1);
    if (this.positionGate === undefined) return { content, bias: relativeScores(asking, distances, { keys: length }) };
    const alpha = tf.expandDims(tf.sigmoid(this.positionGate.forward(h)), 3);
    const relative = relativeScores(tf.mul(asking, alpha), distances, { keys: length });
    const byHead = tf.transpose(tf.mul(asking, tf.sub(1, alpha)), [0, 2, 1, 3]);
    const absolute = tf.matMul(byHead, tf.expandDims(tf.transpose(vectors(0, length), [1, 2, 0]), 0));
    return { content, bias: tf.add(relative, absolute) };
  }
}
