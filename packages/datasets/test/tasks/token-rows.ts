import type { TokenBatch } from '../../src/index.ts';

/** One sequence of a batch. */
export interface Sequence {
  readonly inputs: number[];
  readonly targets: number[];
  /** Places whose target counts. */
  readonly asked: number[];
}

/** The sequences of a batch as plain arrays. */
export function sequencesOf({ batchSize, length, inputs, targets, mask }: TokenBatch): Sequence[] {
  return Array.from({ length: batchSize }, (_, row) => {
    const part = (array: Int32Array | Float32Array) => Array.from(array.subarray(row * length, (row + 1) * length));
    return {
      inputs: part(inputs),
      targets: part(targets),
      asked: part(mask).flatMap((weight, i) => (weight ? [i] : [])),
    };
  });
}
