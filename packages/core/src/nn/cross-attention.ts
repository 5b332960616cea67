/**
 * Multi-head attention of one sequence over another (Vaswani et al., 2017, section 3.2.3): for each head h,
 *
 *     q = x W_q + b_q    k = s W_k + b_k    v = s W_v + b_v        head_h = softmax(scale q_h k_hᵀ) v_h
 *     y = [head_1 … head_H] W_o + b_o
 *
 * x [batch, length, size], source s [batch, sourceLength, sourceSize]; W_k and W_v lie side by side in one matrix.
 * Initially each matrix is Xavier uniform and each bias 0.
 *
 * `prepare(source)` computes keys and values once for a decoder that asks step by step.
 */

import {
  expandDims,
  reshape,
  squeeze,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
  unstack,
} from '@tensorflow/tfjs-core';
import { attention } from '../ops/attention.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape, assertNumber, assertShape, assertTensor } from '../shape-checks.ts';
import { constantInitializer, type Initializer, uniformInitializer } from './initializers.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';

/** Options of {@link CrossAttention}. */
export interface CrossAttentionOptions {
  /** Size of a vector that asks. */
  size: number;
  /** Size of a vector of the source. Default size. */
  sourceSize?: number;
  /** Number of heads. */
  heads: number;
  /** Size of queries, keys and values of one head. Default size / heads. */
  headSize?: number;
  /** Size of an output vector. Default size. */
  outputSize?: number;
  /** Factor of the scores. Default 1 / √headSize. */
  scale?: number;
  /** Whether the projections have biases. Default true. */
  bias?: boolean;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of the projections. Default: Xavier uniform for each of the four matrices. */
  weightInitializer?: Initializer;
}

/** Keys and values of a source. */
export type CrossAttentionState = {
  /** `[batch, sourceLength, heads, headSize]` */
  keys: Tensor4D;
  /** `[batch, sourceLength, heads, headSize]` */
  values: Tensor4D;
  /** bool `[batch, sourceLength]`: true where the source is no padding. */
  sourceMask?: Tensor | undefined;
};

/** Attention over another sequence. */
export class CrossAttention extends Module {
  readonly size: number;
  readonly sourceSize: number;
  readonly outputSize: number;
  readonly heads: number;
  readonly headSize: number;
  /** x → queries. */
  readonly query: Linear;
  /** Source → keys and values. */
  readonly keyValue: Linear;
  /** Heads → y. */
  readonly output: Linear;
  readonly #scale: number;

  constructor(options: CrossAttentionOptions) {
    super();
    const { size, sourceSize = size, heads, outputSize = size, bias = true, random } = options;
    assertCount('CrossAttention: size', size);
    assertCount('CrossAttention: sourceSize', sourceSize);
    assertCount('CrossAttention: heads', heads);
    assertCount('CrossAttention: outputSize', outputSize);
    const { headSize = size / heads } = options;
    if (options.headSize === undefined && !Number.isInteger(headSize)) {
      throw new RangeError(
        `CrossAttention: size ${size} cannot be divided among ${heads} heads; give headSize to choose it freely.`,
      );
    }
    assertCount('CrossAttention: headSize', headSize);
    const { scale = 1 / Math.sqrt(headSize) } = options;
    assertNumber('CrossAttention: scale', scale);
    this.size = size;
    this.sourceSize = sourceSize;
    this.outputSize = outputSize;
    this.heads = heads;
    this.headSize = headSize;
    this.#scale = scale;
    const width = heads * headSize;
    const linear = (inputSize: number, outputSize: number, matrices: number): Linear => {
      const xavier = uniformInitializer(Math.sqrt(6 / (inputSize + outputSize)));
      const { weightInitializer = xavier } = options;
      const biasInitializer = constantInitializer(0);
      return new Linear({
        inputSize,
        outputSize: matrices * outputSize,
        bias,
        random,
        weightInitializer,
        biasInitializer,
      });
    };
    try {
      this.query = this.addModule('query', linear(size, width, 1));
      this.keyValue = this.addModule('keyValue', linear(sourceSize, width, 2));
      this.output = this.addModule('output', linear(width, outputSize, 1));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param source float32 `[batch, sourceLength, sourceSize]`
   * @param sourceMask bool `[batch, sourceLength]`: true where the source is no padding. Default: no padding
   * @returns float32 `[batch, length, outputSize]`
   */
  forward(x: Tensor3D, source: Tensor3D, sourceMask?: Tensor): Tensor3D {
    return tidy(() => this.attend(x, this.prepare(source, sourceMask)));
  }

  /** Keys and values of a source; arguments as for {@link forward}. */
  prepare(source: Tensor3D, sourceMask?: Tensor): CrossAttentionState {
    const sizes = assertFloatShape('CrossAttention: source', source, ['batch', 'sourceLength', this.sourceSize]);
    if (sourceMask !== undefined) {
      assertTensor('CrossAttention: sourceMask', sourceMask, 'bool');
      assertShape('CrossAttention: sourceMask', sourceMask, ['batch', 'sourceLength'], sizes);
    }
    const shape = [sizes['batch'] as number, sizes['sourceLength'] as number, 2, this.heads, this.headSize];
    return tidy(() => {
      const [keys, values] = unstack(reshape(this.keyValue.forward(source), shape), 2) as [Tensor4D, Tensor4D];
      return sourceMask === undefined ? { keys, values } : { keys, values, sourceMask: sourceMask.clone() };
    });
  }

  /** Attention over a prepared source: x as for {@link forward}. */
  attend(x: Tensor3D, state: CrossAttentionState): Tensor3D {
    const { keys, values, sourceMask } = state;
    const sizes = assertFloatShape('CrossAttention: x', x, ['batch', 'length', this.size]);
    assertFloatShape('CrossAttention: keys', keys, ['batch', 'sourceLength', this.heads, this.headSize], sizes);
    const { batch, length } = sizes as { batch: number; length: number };
    return tidy(() => {
      const q = reshape(this.query.forward(x), [batch, length, this.heads, this.headSize]);
      const heads = attention(q, keys, values, { layout: 'BTHD', scale: this.#scale, keyMask: sourceMask });
      return this.output.forward(reshape(heads, [batch, length, this.heads * this.headSize]) as Tensor3D);
    });
  }

  /** One element of a stream over a prepared source: `[batch, size]` → `[batch, outputSize]`. */
  step(x: Tensor2D, state: CrossAttentionState): Tensor2D {
    assertFloatShape('CrossAttention: x', x, ['batch', this.size]);
    return tidy(() => squeeze(this.attend(expandDims(x, 1) as Tensor3D, state), [1]) as Tensor2D);
  }
}
