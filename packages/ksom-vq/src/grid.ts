/**
 * The grid on which codes lie: code i of a grid [s₀, s₁, …] has the coordinates (i mod s₀, ⌊i / s₀⌋ mod s₁, …), and two codes
 * are as far apart as their coordinates are, by Euclid.
 */

import { assertCount } from '@fwp/core';

/** Most axes of a grid. */
const MAX_AXES = 4;

/**
 * Sizes of a grid's axes that are as equal as the number of codes allows, largest first: 512 codes on two axes are
 * [32, 16], 1024 are [32, 32].
 *
 * @param codes number of cells
 * @param axes number of axes, from 1 to 4
 */
export function gridShapeOf(codes: number, axes: number): number[] {
  assertCount('gridShapeOf: codes', codes);
  assertAxes('gridShapeOf: axes', axes);
  const shape: number[] = [];
  let rest = codes;
  for (let axis = axes; axis > 0; axis--) {
    // The smallest factor that is not below the root; the root may be a rounding error above or below a whole number.
    let size = Math.max(1, Math.ceil(rest ** (1 / axis) - 1e-9));
    while (rest % size !== 0) size++;
    shape.push(size);
    rest /= size;
  }
  return shape.sort((a, b) => b - a);
}

/** Coordinates of a code. */
export function gridCoordinates(code: number, gridShape: readonly number[]): number[] {
  let rest = code;
  return gridShape.map((size) => {
    const coordinate = rest % size;
    rest = Math.floor(rest / size);
    return coordinate;
  });
}

/** Distances of all pairs of codes, flat `[codes, codes]`. */
export function gridDistances(gridShape: readonly number[]): Float32Array {
  const codes = cellsOf(gridShape);
  const coordinates = Array.from({ length: codes }, (_, code) => gridCoordinates(code, gridShape));
  const distances = new Float32Array(codes * codes);
  coordinates.forEach((a, i) => {
    coordinates.forEach((b, j) => {
      distances[i * codes + j] = Math.sqrt(a.reduce((sum, x, axis) => sum + (x - (b[axis] as number)) ** 2, 0));
    });
  });
  return distances;
}

/** Number of cells of a grid. */
export function cellsOf(gridShape: readonly number[]): number {
  return gridShape.reduce((product, size) => product * size, 1);
}

/** Pairs of codes that are one step apart along an axis, each pair once. */
export function gridEdges(gridShape: readonly number[]): [number, number][] {
  const edges: [number, number][] = [];
  for (let code = 0; code < cellsOf(gridShape); code++) {
    let stride = 1;
    gridCoordinates(code, gridShape).forEach((coordinate, axis) => {
      const size = gridShape[axis] as number;
      if (coordinate + 1 < size) edges.push([code, code + stride]);
      stride *= size;
    });
  }
  return edges;
}

/**
 * Makes sure that a list is the shape of a grid.
 *
 * @throws RangeError if it isn't, or if it has another number of cells
 */
export function assertGridShape(name: string, gridShape: readonly number[], codes: number): void {
  assertAxes(`${name}.length`, gridShape.length);
  gridShape.forEach((size, axis) => {
    assertCount(`${name}[${axis}]`, size);
  });
  if (cellsOf(gridShape) !== codes) {
    throw new RangeError(
      `${name} is [${gridShape.join(', ')}], ${cellsOf(gridShape)} cells, but there are ${codes} codes. ` +
        'Leave it out to have it chosen.',
    );
  }
}

function assertAxes(name: string, axes: number): void {
  assertCount(name, axes);
  if (axes > MAX_AXES) throw new RangeError(`${name} must be from 1 to ${MAX_AXES}, but is ${axes}.`);
}
