/**
 * Relative positions for attention (Dai et al., Transformer-XL, 2019, section 3.3). With query i at position t_i and key
 * j at position t_j, the score before scaling is
 *
 *     (q_i + u) · k_j + (q_i + w) · r_{t_i − t_j}
 *
 * u, w [heads, headSize]: learned biases, initially 0.   r_δ [heads, headSize]: one vector per distance δ, either
 *
 *     sinusoidal    r_δ = p_δ W,  p_δ = (sin δθ_0, …, sin δθ_n, cos δθ_0, …, cos δθ_n),  θ_i = 10000^(−2i / size)
 *     learned       r_δ = row of a table, for |δ| ≤ maxDistance; longer distances share the last row
 *
 * W [size, heads · headSize] and the table [2 maxDistance + 1, heads · headSize] are Xavier uniform at first.
 *
 * The second term reads the vectors by distance (`ops/relative-scores.ts`): nothing is shifted.
 */

import {
  add,
  gather,
  matMul,
  mul,
  reshape,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
  tensor1d,
  tensor2d,
  tidy,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { relativeScores } from '../ops/relative-scores.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount } from '../shape-checks.ts';
import { type Initializer, uniformInitializer } from './initializers.ts';
import { Module } from './module.ts';

/** Options of {@link RelativePositions}. */
export interface RelativePositionsOptions {
  /** Size of the sinusoidal vectors. */
  size: number;
  heads: number;
  headSize: number;
  kind: 'sinusoidal' | 'learned';
  /** Largest distance with a row of its own, for learned ones. */
  maxDistance: number;
  random: RandomStream;
  /** Whether there are u and w. Default true. */
  biases?: boolean;
  /** Of W, or the table. Default: Xavier uniform. */
  weightInitializer?: Initializer | undefined;
}

/** The position term of relative attention. */
export class RelativePositions extends Module {
  /** u */
  readonly contentBias: (Variable & Tensor2D) | undefined;
  /** w */
  readonly positionBias: (Variable & Tensor2D) | undefined;
  /** W, or the table. */
  readonly weight: Variable & Tensor2D;
  readonly #options: RelativePositionsOptions;

  constructor(options: RelativePositionsOptions) {
    super();
    const { size, heads, headSize, kind, maxDistance, random, biases = true, weightInitializer } = options;
    if (kind === 'learned') assertCount('maxDistance', maxDistance);
    this.#options = options;
    const width = heads * headSize;
    const initializer = weightInitializer ?? uniformInitializer(Math.sqrt(6 / (size + width)));
    const rows = kind === 'learned' ? 2 * maxDistance + 1 : size;
    this.weight = this.addParameter('weight', initializer([rows, width], random) as Tensor2D);
    if (!biases) return;
    this.contentBias = this.addParameter('contentBias', zeros([heads, headSize]) as Tensor2D);
    this.positionBias = this.addParameter('positionBias', zeros([heads, headSize]) as Tensor2D);
  }

  /**
   * What attention has to use instead of the queries, and to add to its scaled scores.
   *
   * @param q `[batch, queries, heads, headSize]`: the last ones of the keys' positions
   * @param keys number of keys
   * @param causal whether later keys are excluded anyway; their scores are 0 then
   * @param scale factor of the scores; a tensor if it is learned
   */
  terms(q: Tensor4D, keys: number, causal: boolean, scale: number | Scalar): { q: Tensor4D; bias: Tensor4D } {
    const [, queries, heads, headSize] = q.shape;
    return tidy(() => {
      const columns = causal ? keys : Math.max(0, keys + queries - 1);
      // Row c belongs to distance keys − 1 − c; query i is at position keys − queries + i.
      const r = reshape(this.#vectors(keys - 1, columns), [columns, heads, headSize]);
      const positioned = mul(withBias(q, this.positionBias), scale);
      const bias = relativeScores(positioned, r, { keys, offset: queries - 1 });
      return { q: withBias(q, this.contentBias), bias };
    });
  }

  /** r_δ for δ = first, first − 1, …: `[count, heads · headSize]`. */
  #vectors(first: number, count: number): Tensor {
    const { size, kind, maxDistance } = this.#options;
    if (kind === 'learned') {
      const row = (_: unknown, c: number): number => Math.max(0, Math.min(2 * maxDistance, first - c + maxDistance));
      return gather(this.weight, tensor1d(Int32Array.from({ length: count }, row), 'int32'));
    }
    const half = Math.ceil(size / 2);
    const table = new Float32Array(count * size);
    for (let c = 0; c < count; c++) {
      for (let i = 0; i < half; i++) {
        const angle = (first - c) * 10_000 ** ((-2 * i) / size);
        table[c * size + i] = Math.sin(angle);
        if (half + i < size) table[c * size + half + i] = Math.cos(angle);
      }
    }
    return matMul(tensor2d(table, [count, size]), this.weight);
  }
}

function withBias(q: Tensor4D, bias: Tensor2D | undefined): Tensor4D {
  return bias === undefined ? q : add<Tensor4D>(q, bias);
}
