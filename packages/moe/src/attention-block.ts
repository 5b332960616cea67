/**
 * The contract of all attention blocks, so that a Transformer takes any of them. Queries come from the inputs; keys and values
 * from memory and inputs, one after the other:
 *
 *     sources = [memory; inputs]        outputs = attention(queries(inputs), keys(sources), values(sources))
 *
 * The memory is what Transformer-XL keeps of the segment before (Dai et al., 2019, section 3.2): inputs of this layer then. The
 * host stores it, stops its gradient, and passes it as this layer's normalisation leaves it. Inputs see all of the memory.
 *
 * A block is a `Module`. It reads `training`, draws from random streams of its own, and must not keep tensors between calls.
 */

import { assertFloatShape, Module } from '@fwp/core';
import { concat, type Tensor2D, type Tensor3D } from '@tensorflow/tfjs-core';
import type { Selection } from './selection.ts';

/** What a call of an {@link AttentionBlock} may bring along. */
export interface AttentionBlockOptions {
  /** float32 `[batch, memoryLength, size]`: what precedes the inputs. Default: nothing. */
  readonly memory?: Tensor3D | undefined;
  /** bool `[batch, memoryLength + length]`: false for padding, which nobody sees. Default: no padding. */
  readonly paddingMask?: Tensor2D | undefined;
}

/** Outputs of a block and what else the call had to say. */
export interface AttentionResult {
  /** float32 `[batch, length, size]` */
  readonly outputs: Tensor3D;
  /** What was chosen; empty where nothing is. */
  readonly selections: readonly Selection[];
}

/** Attention of a segment over itself and over what precedes it. */
export abstract class AttentionBlock extends Module {
  /** Size of an input and of an output vector. */
  abstract readonly size: number;

  /**
   * @param inputs float32 `[batch, length, size]`
   * @param options memory and padding
   * @returns outputs and selections; the caller disposes of them, or runs in `tf.tidy`
   */
  abstract apply(inputs: Tensor3D, options?: AttentionBlockOptions): AttentionResult;

  /**
   * Multiply-adds of a segment, forward, for one row of a batch.
   *
   * @param length of the segment
   * @param memoryLength of what precedes it
   */
  abstract multiplyAdds(length: number, memoryLength: number): number;
}

/**
 * Checks inputs and memory, and joins them.
 *
 * @param name of the block, for messages
 * @param size of a vector
 * @returns sizes of the inputs, and what attention sees, `[batch, memoryLength + length, size]`
 */
export function joinSources(
  name: string,
  inputs: Tensor3D,
  memory: Tensor3D | undefined,
  size: number,
): { batch: number; length: number; sources: Tensor3D } {
  const { batch, length } = assertFloatShape(`${name}: inputs`, inputs, ['batch', 'length', size]) as {
    batch: number;
    length: number;
  };
  if (memory === undefined) return { batch, length, sources: inputs };
  assertFloatShape(`${name}: memory`, memory, ['batch', 'memoryLength', size], { batch });
  return { batch, length, sources: concat([memory, inputs], 1) };
}
