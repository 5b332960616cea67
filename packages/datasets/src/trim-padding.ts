/** Batches without the positions that no sequence uses. */

import type { TokenBatch } from './task.ts';

/**
 * The batch without the last positions at which all inputs are 0 and no target counts: as long as its longest sequence. For
 * tasks whose sequences have very different lengths this saves most of the work.
 *
 * ```ts
 * const { length, inputs } = trimPadding(listOps().batch(0, 32)); // length <= 300
 * ```
 */
export function trimPadding(batch: TokenBatch): TokenBatch {
  const { batchSize, length, inputs, mask } = batch;
  let used = 0;
  for (let row = 0; row < batchSize; row++) {
    const begin = row * length;
    let end = length;
    while (end > used && inputs[begin + end - 1] === 0 && mask[begin + end - 1] === 0) end--;
    used = Math.max(used, end);
  }
  const trim = <T extends Int32Array | Float32Array>(array: T, trimmed: T): T => {
    for (let row = 0; row < batchSize; row++) {
      trimmed.set(array.subarray(row * length, row * length + used), row * used);
    }
    return trimmed;
  };
  const size = batchSize * used;
  return {
    batchSize,
    length: used,
    inputs: trim(inputs, new Int32Array(size)),
    targets: trim(batch.targets, new Int32Array(size)),
    mask: trim(mask, new Float32Array(size)),
  };
}
