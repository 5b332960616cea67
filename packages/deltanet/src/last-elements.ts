/** The last elements of sequences, which is what windows and convolutions need of the past. */

import { add, cast, gather, max, mul, range, slice, squeeze, type Tensor, type Tensor3D } from '@tensorflow/tfjs-core';

/**
 * Takes the last `count` of `total` elements, up to the last one that is no padding.
 *
 * @param total elements on axis 1 of what they are taken from, the `length` of a passage last
 * @param count how many, at most `total − length` if there is padding, so that there are as many before the passage
 * @param presence 1 for elements of the passage, 0 for padding behind them, `[batch, 1, length]`; absent: no padding
 * @returns a function from `[batch, total, …]` to `[batch, count, …]`
 */
export function lastElements(
  total: number,
  count: number,
  presence: Tensor3D | undefined,
): <T extends Tensor>(x: T) => T {
  const length = presence?.shape[2] ?? 0;
  if (presence === undefined || length === 0 || count === 0) {
    return <T extends Tensor>(x: T) => slice(x, [0, total - count], [x.shape[0] as number, count]) as T;
  }
  // Number of the last element within the passage, counted from 1; 0 where all is padding.
  const last = cast(max(mul(squeeze(presence, [1]), range(1, length + 1)), 1, true), 'int32');
  const first = total - length - count;
  const positions = add(last, range(first, first + count, 1, 'int32'));
  return <T extends Tensor>(x: T) => gather(x, positions, 1, 1) as T;
}
