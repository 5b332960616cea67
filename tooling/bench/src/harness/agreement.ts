/** Whether peers computed the same thing: a benchmark speaks only after correctness. */

import type { Digest } from './protocol.ts';

/** The largest difference between two digests, as a fraction of their scale. Infinite if they cannot be compared. */
export function difference(a: Digest, b: Digest): number {
  if (a.values.length !== b.values.length) return Number.POSITIVE_INFINITY;
  const scale = Math.max(a.scale, b.scale, Number.MIN_VALUE);
  let largest = Math.abs(a.scale - b.scale) / scale;
  a.values.forEach((value, i) => {
    const distance = Math.abs(value - (b.values[i] as number)) / scale;
    // A NaN on either side is a disagreement, unless the other has it too.
    if (Number.isNaN(distance)) {
      if (!(Number.isNaN(value) && Number.isNaN(b.values[i]))) largest = Number.POSITIVE_INFINITY;
    } else if (distance > largest) {
      largest = distance;
    }
  });
  return Number.isNaN(largest) ? Number.POSITIVE_INFINITY : largest;
}

/** One peer's deviation from the reference. */
export interface Disagreement {
  readonly peer: string;
  readonly reference: string;
  readonly difference: number;
}

/**
 * Compares every digest with the first one.
 *
 * @param digests by peer, the most trusted first
 * @param toleranceOf allowed difference of a peer as a fraction of the scale
 */
export function disagreements(
  digests: ReadonlyMap<string, Digest>,
  toleranceOf: (peer: string) => number,
): Disagreement[] {
  const [reference, ...others] = [...digests];
  if (reference === undefined) return [];
  return others
    .map(([peer, digest]) => ({ peer, reference: reference[0], difference: difference(reference[1], digest) }))
    .filter((row) => !(row.difference <= toleranceOf(row.peer)));
}
