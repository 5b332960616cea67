/**
 * Indices that are moved to a neighbour on the grid: what a map still recognises, and a codebook without order doesn't.
 */

import type { RandomStream } from '@fwp/core';
import { gridCoordinates } from '@fwp/ksom-vq';

/**
 * Moves every index by one step along a random axis, in a random direction; at the border back into the grid.
 *
 * @param indices of codes
 * @param gridShape sizes of the grid's axes
 */
export function perturbed(indices: ArrayLike<number>, gridShape: readonly number[], random: RandomStream): Int32Array {
  const movable = gridShape.map((size, axis) => ({ size, axis })).filter(({ size }) => size > 1);
  const choices = random.integers(2 * indices.length, 0, 2 * Math.max(1, movable.length));
  return Int32Array.from(indices, (index, i) => {
    const choice = choices[i] as number;
    const chosen = movable[choice >> 1];
    if (chosen === undefined) return index;
    const stride = gridShape.slice(0, chosen.axis).reduce((product, size) => product * size, 1);
    const place = gridCoordinates(index, gridShape)[chosen.axis] as number;
    const forward = (choice & 1) === 1;
    const step = place === 0 ? 1 : place === chosen.size - 1 ? -1 : forward ? 1 : -1;
    return index + step * stride;
  });
}
