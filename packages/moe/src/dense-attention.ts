/**
 * What dense attention blocks have in common: for inputs x and sources z = [memory; x],
 *
 *     y = attend(x W_q, z W_k, z W_v) W_o        x, y [batch, length, size]   W_q, W_k, W_v [size, heads · headSize]
 *
 * without biases. How heads attend, and know positions, is each block's own. Weights as in `initialization.ts`.
 */

import { assertCount, Linear, type RandomStream } from '@fwp/core';
import { reshape, type Tensor2D, type Tensor3D, type Tensor4D, tidy } from '@tensorflow/tfjs-core';
import { AttentionBlock, type AttentionBlockOptions, type AttentionResult, joinSources } from './attention-block.ts';
import { denseInitializer } from './initialization.ts';

/** Options of dense attention blocks. */
export interface DenseAttentionOptions {
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

/** Maps to queries, keys and values, and from heads to outputs. */
export abstract class DenseAttention extends AttentionBlock {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly queries: Linear;
  readonly keys: Linear;
  readonly values: Linear;
  readonly output: Linear;
  readonly #name: string;

  /** @param name of the class, for messages */
  constructor(name: string, options: DenseAttentionOptions) {
    super();
    const { size, heads, headSize = size / heads, initialScale = 1, random } = options;
    assertCount(`${name}: size`, size);
    assertCount(`${name}: heads`, heads);
    if (!Number.isInteger(headSize)) {
      throw new RangeError(
        `${name}: size ${size} cannot be divided among ${heads} heads; give headSize to choose it freely.`,
      );
    }
    assertCount(`${name}: headSize`, headSize);
    this.#name = name;
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
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Heads `[batch, length, heads, headSize]` of q in that shape, and keys and values of all sources. */
  protected abstract attend(q: Tensor4D, keys: Tensor4D, values: Tensor4D, paddingMask: Tensor2D | undefined): Tensor4D;

  /** See {@link AttentionBlock.apply}. */
  apply(inputs: Tensor3D, { memory, paddingMask }: AttentionBlockOptions = {}): AttentionResult {
    return tidy(() => {
      const { batch, length, sources } = joinSources(this.#name, inputs, memory, this.size);
      const inHeads = (x: Tensor3D): Tensor4D => reshape(x, [batch, x.shape[1], this.heads, this.headSize]);
      const heads = this.attend(
        inHeads(this.queries.forward(inputs)),
        inHeads(this.keys.forward(sources)),
        inHeads(this.values.forward(sources)),
        paddingMask,
      );
      const joined = reshape(heads, [batch, length, this.heads * this.headSize]) as Tensor3D;
      return { outputs: this.output.forward(joined), selections: [] };
    });
  }
}
