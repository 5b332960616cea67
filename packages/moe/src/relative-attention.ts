/**
 * Dense attention with relative positions, the baseline of both papers (Dai et al., Transformer-XL, 2019, section 3.3, with the
 * scale of Csordás, Irie & Schmidhuber, 2023): for inputs x, sources z = [memory; x] and each head h,
 *
 *     q = x W_q   k = z W_k   v = z W_v   r_δ = p_δ W_p
 *     a_ts = scale · ((q_t + u_h) · k_s + (q_t + w_h) · r_{t−s})     y_t = [Σ_s softmax_s(a_t)_s v_s]_h W_o
 *
 * x [batch, length, size], z [batch, memoryLength + length, size]; t and s count from the first source on, and s ≤ t. p_δ are
 * sinusoids of the distance. No map has a bias; u and w are 0 at first, the learned scale 1 / √headSize.
 */

import { assertCount, assertFloatShape, attention, Linear, type RandomStream, RelativePositions } from '@fwp/core';
import {
  concat,
  mul,
  reshape,
  type Scalar,
  scalar,
  type Tensor3D,
  type Tensor4D,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { AttentionBlock, type AttentionBlockOptions, type AttentionResult } from './attention-block.ts';
import { denseInitializer } from './initialization.ts';

/** Options of {@link RelativeAttention}. */
export interface RelativeAttentionOptions {
  /** Size of input and output. */
  size: number;
  /** Number of heads. */
  heads: number;
  /** Size of queries, keys and values of one head. Default size / heads. */
  headSize?: number;
  /** Scale of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Multi-head attention that sees distances, over a segment and what precedes it. */
export class RelativeAttention extends AttentionBlock {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly queries: Linear;
  readonly keys: Linear;
  readonly values: Linear;
  readonly output: Linear;
  readonly positions: RelativePositions;
  /** Factor of the scores, learned. */
  readonly scale: Variable & Scalar;

  constructor(options: RelativeAttentionOptions) {
    super();
    const { size, heads, headSize = size / heads, initialScale = 1, random } = options;
    assertCount('RelativeAttention: size', size);
    assertCount('RelativeAttention: heads', heads);
    if (!Number.isInteger(headSize)) {
      throw new RangeError(
        `RelativeAttention: size ${size} cannot be divided among ${heads} heads; give headSize to choose it freely.`,
      );
    }
    assertCount('RelativeAttention: headSize', headSize);
    this.size = size;
    this.heads = heads;
    this.headSize = headSize;
    const width = heads * headSize;
    const weightInitializer = denseInitializer(initialScale);
    const map = (inputSize: number, outputSize: number) =>
      new Linear({ inputSize, outputSize, bias: false, random, weightInitializer });
    try {
      this.queries = this.addModule('queries', map(size, width));
      this.keys = this.addModule('keys', map(size, width));
      this.values = this.addModule('values', map(size, width));
      this.output = this.addModule('output', map(width, size));
      const positions = {
        size,
        heads,
        headSize,
        kind: 'sinusoidal',
        maxDistance: 1,
        random,
        weightInitializer,
      } as const;
      this.positions = this.addModule('positions', new RelativePositions(positions));
      this.scale = this.addParameter('scale', scalar(1 / Math.sqrt(headSize)));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link AttentionBlock.apply}. */
  apply(inputs: Tensor3D, { memory, paddingMask }: AttentionBlockOptions = {}): AttentionResult {
    const { batch, length } = assertFloatShape('RelativeAttention: inputs', inputs, ['batch', 'length', this.size]) as {
      batch: number;
      length: number;
    };
    if (memory !== undefined) {
      assertFloatShape('RelativeAttention: memory', memory, ['batch', 'memoryLength', this.size], { batch });
    }
    return tidy(() => {
      const sources = memory === undefined ? inputs : concat([memory, inputs], 1);
      const count = sources.shape[1];
      const inHeads = (x: Tensor3D, elements: number) =>
        reshape(x, [batch, elements, this.heads, this.headSize]) as Tensor4D;
      const keys = inHeads(this.keys.forward(sources), count);
      const values = inHeads(this.values.forward(sources), count);
      const { q, bias } = this.positions.terms(inHeads(this.queries.forward(inputs), length), count, true, this.scale);
      const heads = attention(mul<Tensor4D>(q, this.scale), keys, values, {
        layout: 'BTHD',
        causal: true,
        scale: 1,
        bias,
        keyMask: paddingMask,
      });
      const joined = reshape(heads, [batch, length, this.heads * this.headSize]) as Tensor3D;
      return { outputs: this.output.forward(joined), selections: [] };
    });
  }

  /**
   * See {@link AttentionBlock.multiplyAdds}: the maps, those of the sources again for the memory; scores with keys and with
   * distances, and the sum of values. The map of the distances counts as for a batch of one row.
   */
  multiplyAdds(length: number, memoryLength: number): number {
    const sources = memoryLength + length;
    const width = this.heads * this.headSize;
    return width * (2 * length * this.size + 3 * sources * this.size + 3 * length * sources);
  }
}
