/**
 * The attention of the Neural Data Router (Csordás, Irie and Schmidhuber, 2022, section 3.2), direction sensitive:
 *
 *     q_i = W_q h_i + b_q    k_j = dropout(W_k h_j)    v_j = W_v h_j    (left_i, right_i) = W_p h_i + b_p
 *     z_ij = s q_i · k_j + s_p (left_i or right_i) + β    a = geometricAttention(z, v)    y = W_o a
 *
 * h [batch, length, size]. W_q, W_k, W_v and W_p lie side by side in one matrix, so that one product makes all of them. The
 * scalars s, s_p, β are learned, 1 / √headSize, 1 and 0 at first; so is b_q, at first 0. W_q, W_k, W_v are Xavier uniform with the
 * fan-out of one head, W_o with the fan-in of one head.
 *
 * `projectionBiases: true` is the variant of CTL++ (2022): queries, keys and values have biases of the usual kind, and W_v, W_o
 * are Xavier uniform.
 */

import {
  assertCount,
  assertFloatShape,
  assertNumber,
  branch,
  type GeometricAttentionOptions,
  geometricAttention,
  geometricAttentionWeights,
  linear,
  Module,
  type RandomStream,
  randomUniform,
} from '@fwp/core';
import {
  concat,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tensor1d,
  tidy,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import type { ColumnAttention } from './column-attention.ts';

/** Options of {@link GeometricSelfAttention}. */
export interface GeometricSelfAttentionOptions {
  /** Size of a column. */
  size: number;
  /** Number of heads. Default 1. */
  heads?: number | undefined;
  /** Size of queries, keys and values of one head. Default size / heads. */
  headSize?: number | undefined;
  /** Whether each query's weights are divided by their sum. Default false. */
  normalize?: boolean | undefined;
  /** Whether queries, keys and values all have biases. Default false: queries alone. */
  projectionBiases?: boolean | undefined;
  /** Dropout rate of keys. Default 0. */
  keyDropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Attention to the nearest matches. */
export class GeometricSelfAttention extends Module implements ColumnAttention {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  /** W_q, W_k, W_v and W_p, `[size, 3 · heads · headSize + 2 · heads]`. */
  readonly projection: Variable & Tensor2D;
  /** b_q, `[heads · headSize]`, or with `projectionBiases` the biases of q, k and v. */
  readonly contentBias: Variable & Tensor1D;
  /** b_p, `[2 · heads]`: left of all heads, then right. */
  readonly directionBias: Variable & Tensor1D;
  /** s, s_p and β. */
  readonly coefficients: Variable & Tensor1D;
  /** W_o, `[heads · headSize, size]`. */
  readonly output: Variable & Tensor2D;
  readonly #normalize: boolean;
  readonly #keyDropout: number;
  readonly #random: RandomStream;

  constructor(options: GeometricSelfAttentionOptions) {
    super();
    const { size, heads = 1, normalize = false, projectionBiases = false, keyDropout = 0, random } = options;
    assertCount('GeometricSelfAttention: size', size);
    assertCount('GeometricSelfAttention: heads', heads);
    const { headSize = size / heads } = options;
    if (options.headSize === undefined && !Number.isInteger(headSize)) {
      throw new RangeError(
        `GeometricSelfAttention: size ${size} cannot be divided among ${heads} heads; give headSize to choose it freely.`,
      );
    }
    assertCount('GeometricSelfAttention: headSize', headSize);
    assertNumber('GeometricSelfAttention: keyDropout', keyDropout, 0, 1 - 2 ** -32);
    this.size = size;
    this.heads = heads;
    this.headSize = headSize;
    this.#normalize = normalize;
    this.#keyDropout = keyDropout;
    const width = heads * headSize;
    const uniform = (shape: number[], bound: number): Tensor =>
      randomUniform(random, shape, { low: -bound, high: bound });
    const byHead = Math.sqrt(6 / (size + headSize));
    const valueBound = projectionBiases ? Math.sqrt(6 / (size + width)) : byHead;
    const initial = tidy(() =>
      concat(
        [
          uniform([size, 2 * width], byHead),
          uniform([size, width], valueBound),
          uniform([size, 2 * heads], 1 / Math.sqrt(size)),
        ] as Tensor2D[],
        1,
      ),
    );
    this.projection = this.addParameter('projection', initial);
    const biases = projectionBiases ? uniform([3 * width], 1 / Math.sqrt(size)) : zeros([width]);
    this.contentBias = this.addParameter('contentBias', biases as Tensor1D);
    this.directionBias = this.addParameter('directionBias', uniform([2 * heads], 1 / Math.sqrt(size)) as Tensor1D);
    this.coefficients = this.addParameter('coefficients', tensor1d([1 / Math.sqrt(headSize), 1, 0]));
    this.output = this.addParameter('output', uniform([width, size], valueBound) as Tensor2D);
    this.#random = this.addRandomStream('random', branch(random));
  }

  apply(h: Tensor3D, paddingMask?: Tensor): Tensor3D {
    assertFloatShape('GeometricSelfAttention: h', h, ['batch', 'length', this.size]);
    return tidy(() => {
      const attended = geometricAttention(this.#projections(h), this.coefficients, this.#options(paddingMask));
      return linear(attended, this.output) as Tensor3D;
    });
  }

  attentionWeights(h: Tensor3D, paddingMask?: Tensor): Tensor4D {
    assertFloatShape('GeometricSelfAttention: h', h, ['batch', 'length', this.size]);
    return tidy(() => geometricAttentionWeights(this.#projections(h), this.coefficients, this.#options(paddingMask)));
  }

  #projections(h: Tensor3D): Tensor {
    const width = this.heads * this.headSize;
    const none = 3 * width - this.contentBias.size;
    const parts =
      none === 0 ? [this.contentBias, this.directionBias] : [this.contentBias, zeros([none]), this.directionBias];
    return linear(h, this.projection, { bias: concat(parts as Tensor1D[]) });
  }

  #options(keyMask: Tensor | undefined): GeometricAttentionOptions {
    const drops = this.training && this.#keyDropout > 0;
    return {
      heads: this.heads,
      normalize: this.#normalize,
      keyMask,
      keyDropout: drops ? { rate: this.#keyDropout, random: this.#random } : undefined,
    };
  }
}
