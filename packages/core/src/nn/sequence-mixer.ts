/**
 * What all sequence layers have in common, so that one can take another's place: softmax attention, linear attention,
 * delta rule, LSTM, …
 */

import type { Tensor, Tensor2D, Tensor3D, TensorContainer } from '@tensorflow/tfjs-core';
import { canReadIndices } from '../index-checks.ts';
import { assertShape, assertTensor } from '../shape-checks.ts';
import type { Module } from './module.ts';

/** What a mixer may be told about a batch. */
export interface MixerOptions {
  /**
   * bool `[batch, length]`: true for elements of the sequence, false for padding, which has no influence on the others;
   * outputs at padding are undefined. Default: no padding.
   */
  paddingMask?: Tensor | undefined;
}

/**
 * A layer from sequences to sequences of vectors.
 *
 * `forward` on a whole sequence, `forward` on its pieces with the state passed on, and `step` on its elements one by one
 * give the same outputs, up to rounding. States are made of tensors: `tf.dispose(state)` frees one, `tf.keep` and
 * `tf.tidy` work as for tensors. No method disposes of its arguments.
 */
export interface SequenceMixer<State extends TensorContainer = TensorContainer> extends Module {
  /** Size of an output vector. */
  readonly outputSize: number;

  /**
   * The outputs alone, for training: `forward(x).output` without the cost of a state.
   *
   * @param x float32 `[batch, length, size]`
   * @returns float32 `[batch, length, outputSize]`
   */
  apply(x: Tensor3D, options?: MixerOptions): Tensor3D;

  /**
   * Outputs, and the state behind the last element.
   *
   * @param x float32 `[batch, length, size]`
   * @param state what came before; default: nothing
   */
  forward(x: Tensor3D, state?: State, options?: MixerOptions): { output: Tensor3D; state: State };

  /**
   * One element of a stream.
   *
   * @param x float32 `[batch, size]`
   * @param state what came before
   * @returns float32 `[batch, outputSize]` and the state behind x
   */
  step(x: Tensor2D, state: State): { output: Tensor2D; state: State };

  /** The state before the first element. */
  initialState(batch: number): State;
}

/**
 * Checks a padding mask, if there is one.
 *
 * @param layer what messages begin with
 * @param sizes `batch` and `length` of the sequences
 * @throws TypeError or RangeError if it is not bool `[batch, length]`
 */
export function assertPaddingMask(
  layer: string,
  { paddingMask }: MixerOptions,
  sizes: Readonly<Record<string, number>>,
): void {
  if (paddingMask === undefined) return;
  assertTensor(`${layer}: paddingMask`, paddingMask, 'bool');
  assertShape(`${layer}: paddingMask`, paddingMask, ['batch', 'length'], sizes);
}

/**
 * {@link assertPaddingMask} for layers in which padding before an element would have an influence on it. Where the padding stands is
 * not checked on devices whose tensors must be waited for.
 *
 * @param layer what messages begin with
 * @param options of the call
 * @param sizes `batch` and `length` of the sequences
 * @throws TypeError or RangeError if it is not bool `[batch, length]`
 * @throws RangeError naming the first element that stands behind padding
 */
export function assertPaddingAtEnd(
  layer: string,
  options: MixerOptions,
  sizes: Readonly<Record<string, number>>,
): void {
  assertPaddingMask(layer, options, sizes);
  if (options.paddingMask === undefined || !canReadIndices()) return;
  const length = sizes['length'] as number;
  const values = options.paddingMask.dataSync();
  for (let i = 0; i < values.length; i++) {
    if (i % length === 0 || !values[i] || values[i - 1]) continue;
    throw new RangeError(
      `${layer}: padding may only stand at the end of a sequence, but sequence ${Math.floor(i / length)} has an element ` +
        `behind padding, at ${i % length}. Move the padding behind the elements.`,
    );
  }
}

/**
 * For `forward` of layers whose state knows nothing of padding.
 *
 * @param layer what messages begin with
 * @param why there may be none
 * @throws Error if there is a padding mask
 */
export function assertNoPadding(
  layer: string,
  { paddingMask }: MixerOptions,
  why = 'the final state would include the padding',
): void {
  if (paddingMask === undefined) return;
  throw new Error(`${layer}: forward() takes no paddingMask, as ${why}; use apply().`);
}
