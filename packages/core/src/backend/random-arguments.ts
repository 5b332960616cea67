/** How the C kernels that draw random numbers are told where a stream stands. */

import type { RandomStreamState } from '../random/stream.ts';

/**
 * The first eight arguments of such a kernel: where it writes, how much, and the stream's block, stream and key.
 *
 * @param output byte offset of the output, where the kernel takes it here
 * @param count number of elements, where the kernel takes it here
 * @param state the stream; absent if nothing will be drawn
 */
export function randomArguments(output: number, count: number, state: RandomStreamState | undefined): number[] {
  if (state === undefined) return [output, count, 0, 0, 0, 0, 0, 0];
  const { position, stream, key } = state;
  return [output, count, position % 2 ** 32, Math.floor(position / 2 ** 32), ...stream, ...key];
}
