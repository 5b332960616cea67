/** What a language model remembers of the batch before, as part of checkpoints: streams go on where they were. */

import { Module } from '@fwp/core';
import type { TransformerXlState } from '@fwp/moe';
import * as tf from '@tensorflow/tfjs-core';

/** Sizes of {@link CarriedMemory}. */
export interface CarriedMemoryOptions {
  readonly layers: number;
  readonly batchSize: number;
  readonly memoryLength: number;
  readonly size: number;
}

/** A memory of fixed size for each layer, of which the last elements count. */
export class CarriedMemory extends Module {
  readonly #memories: readonly (tf.Variable & tf.Tensor3D)[];
  readonly #length: number;

  constructor({ layers, batchSize, memoryLength, size }: CarriedMemoryOptions) {
    super();
    this.#length = memoryLength;
    this.#memories = Array.from({ length: layers }, (_, layer) =>
      this.addBuffer(`layer${layer}`, tf.zeros([batchSize, memoryLength, size]) as tf.Tensor3D),
    );
  }

  /** The state of which `count` elements were remembered; `undefined` if none were. The caller disposes it. */
  state(count: number): TransformerXlState | undefined {
    if (count === 0) return undefined;
    const lastOf = (memory: tf.Tensor3D) => tf.slice(memory, [0, this.#length - count, 0]);
    return { memories: this.#memories.map(lastOf) };
  }

  /** Remembers a state and disposes it; returns its number of elements. */
  remember({ memories }: TransformerXlState): number {
    const count = memories[0]?.shape[1] ?? 0;
    tf.tidy(() => {
      for (const [layer, memory] of memories.entries()) {
        this.#memories[layer]?.assign(
          tf.pad(memory, [
            [0, 0],
            [this.#length - count, 0],
            [0, 0],
          ]),
        );
      }
    });
    tf.dispose(memories);
    return count;
  }
}
