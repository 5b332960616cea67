/**
 * Embedding: one learned vector per symbol,
 *
 *     y[i, :] = W[ids[i], :]        ids int32 [...]   W [vocabularySize, size]   y [..., size]
 *
 * Default initialisation: N(0, 1), as PyTorch's `nn.Embedding`.
 */

import { matMul, reshape, type Tensor, type Tensor2D, tidy, type Variable } from '@tensorflow/tfjs-core';
import { embedding } from '../ops/embedding.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape } from '../shape-checks.ts';
import { type Initializer, normalInitializer } from './initializers.ts';
import { Module } from './module.ts';

/** Options of {@link Embedding}. */
export interface EmbeddingOptions {
  /** Number of symbols; ids are below. */
  vocabularySize: number;
  /** Size of a vector. */
  size: number;
  /** Draws the initial values. */
  random: RandomStream;
  /** Default: standard normal. */
  initializer?: Initializer;
}

/** A table of vectors, looked up by number. */
export class Embedding extends Module {
  readonly vocabularySize: number;
  readonly size: number;
  /** `[vocabularySize, size]` */
  readonly weight: Variable & Tensor2D;

  constructor(options: EmbeddingOptions) {
    super();
    const { vocabularySize, size, random, initializer = normalInitializer(1) } = options;
    assertCount('Embedding: vocabularySize', vocabularySize);
    assertCount('Embedding: size', size);
    this.vocabularySize = vocabularySize;
    this.size = size;
    this.weight = this.addParameter('weight', initializer([vocabularySize, size], random) as Tensor2D);
  }

  /**
   * @param ids int32 `[...]`, from 0 to vocabularySize − 1
   * @returns float32 `[..., size]`
   * @throws RangeError naming the first id that is out of range
   */
  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids);
  }

  /**
   * Scores of all symbols with the same table, for models that tie input and output: x Wᵀ.
   *
   * @param x float32 `[..., size]`
   * @returns `[..., vocabularySize]`
   */
  logits(x: Tensor): Tensor {
    assertFloatShape('Embedding: x', x, ['...', this.size]);
    return tidy(() => {
      const rows = reshape(x, [x.size / this.size, this.size]) as Tensor2D;
      return reshape(matMul(rows, this.weight, false, true), [...x.shape.slice(0, -1), this.vocabularySize]);
    });
  }
}
