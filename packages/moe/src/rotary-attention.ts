/**
 * Dense attention with rotary positions, what SwitchHead is compared with where these are used (Csordás, Piękos, Irie &
 * Schmidhuber, 2023, section 3.6): for inputs x and sources z = [memory; x]
 *
 *     y = attention(x W_q, z W_k, z W_v) W_o
 *
 * x [batch, length, size]   W_q, W_k, W_v [size, heads · headSize]   W_o [heads · headSize, size]; no biases. The first channels of
 * queries and keys are turned, as in `positioned-heads.ts`. Weights as in `initialization.ts`.
 */

import { assertCount, assertFloatShape, Linear, type RandomStream } from '@fwp/core';
import { concat, reshape, type Tensor3D, type Tensor4D, tidy } from '@tensorflow/tfjs-core';
import { AttentionBlock, type AttentionBlockOptions, type AttentionResult } from './attention-block.ts';
import { denseInitializer } from './initialization.ts';
import { attendMultiplyAdds, PositionedHeads } from './positioned-heads.ts';

/** Options of {@link RotaryAttention}. */
export interface RotaryAttentionOptions {
  /** Size of input and output. */
  size: number;
  /** Number of heads. */
  heads: number;
  /** Size of queries, keys and values of one head. Default size / heads. */
  headSize?: number;
  /** Share of the channels that are turned. Default 0.5. */
  rotaryFraction?: number;
  /** Scale of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Multi-head attention with rotary positions, over a segment and what precedes it. */
export class RotaryAttention extends AttentionBlock {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly queries: Linear;
  readonly keys: Linear;
  readonly values: Linear;
  readonly output: Linear;
  readonly attention: PositionedHeads;

  constructor(options: RotaryAttentionOptions) {
    super();
    const { size, heads, headSize = size / heads, rotaryFraction = 0.5, initialScale = 1, random } = options;
    assertCount('RotaryAttention: size', size);
    assertCount('RotaryAttention: heads', heads);
    if (!Number.isInteger(headSize)) {
      throw new RangeError(
        `RotaryAttention: size ${size} cannot be divided among ${heads} heads; give headSize to choose it freely.`,
      );
    }
    assertCount('RotaryAttention: headSize', headSize);
    this.size = size;
    this.heads = heads;
    this.headSize = headSize;
    const width = heads * headSize;
    const common = { bias: false, weightInitializer: denseInitializer(initialScale), random };
    const inward = { ...common, inputSize: size, outputSize: width };
    try {
      this.queries = this.addModule('queries', new Linear(inward));
      this.keys = this.addModule('keys', new Linear(inward));
      this.values = this.addModule('values', new Linear(inward));
      this.output = this.addModule('output', new Linear({ ...common, inputSize: width, outputSize: size }));
      const shared = { size, heads, headSize, rotaryFraction, random };
      this.attention = this.addModule('attention', new PositionedHeads({ ...shared, positions: 'rotary' }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link AttentionBlock.apply}. */
  apply(inputs: Tensor3D, { memory, paddingMask }: AttentionBlockOptions = {}): AttentionResult {
    const { batch, length } = assertFloatShape('RotaryAttention: inputs', inputs, ['batch', 'length', this.size]) as {
      batch: number;
      length: number;
    };
    if (memory !== undefined) {
      assertFloatShape('RotaryAttention: memory', memory, ['batch', 'memoryLength', this.size], { batch });
    }
    return tidy(() => {
      const sources = memory === undefined ? inputs : concat([memory, inputs], 1);
      const inHeads = (x: Tensor3D): Tensor4D => reshape(x, [batch, x.shape[1], this.heads, this.headSize]);
      const heads = this.attention.attend(
        inHeads(this.queries.forward(inputs)),
        inHeads(this.keys.forward(sources)),
        inHeads(this.values.forward(sources)),
        paddingMask,
      );
      const joined = reshape(heads, [batch, length, this.heads * this.headSize]) as Tensor3D;
      return { outputs: this.output.forward(joined), selections: [] };
    });
  }

  /** See {@link AttentionBlock.multiplyAdds}. */
  multiplyAdds(length: number, memoryLength: number): number {
    const sources = memoryLength + length;
    const width = this.heads * this.headSize;
    const maps = 2 * this.size * width * (length + sources);
    return maps + attendMultiplyAdds(this.attention, width, length, sources);
  }
}
