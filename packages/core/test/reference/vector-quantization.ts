/** Vector quantisation in float64, written as its equations. Matrices are arrays of rows. */

import type { Row } from './rows.ts';

/** ‖z − w‖² */
export function squaredDistance(z: Row, w: Row): number {
  return z.reduce((sum, value, i) => sum + (value - (w[i] as number)) ** 2, 0);
}

/** argmin_k ‖z − w_k‖², the first of several. */
export function nearestCode(z: Row, codebook: readonly Row[]): number {
  const distances = codebook.map((w) => squaredDistance(z, w));
  return distances.indexOf(Math.min(...distances));
}

/** Σ over n with ids[n] = s of values[n], flat [segments · size]. */
export function segmentSums(
  values: ArrayLike<number>,
  ids: ArrayLike<number>,
  segments: number,
  size: number,
): Float64Array {
  const sums = new Float64Array(segments * size);
  for (let n = 0; n < ids.length; n++) {
    for (let i = 0; i < size; i++) sums[(ids[n] as number) * size + i]! += values[n * size + i] as number;
  }
  return sums;
}

/** Coordinates of a cell: the first axis varies fastest. */
export function coordinatesOf(cell: number, gridShape: readonly number[]): number[] {
  return gridShape.map((size, axis) => {
    const stride = gridShape.slice(0, axis).reduce((product, extent) => product * extent, 1);
    return Math.floor(cell / stride) % size;
  });
}

/** Euclidean distance of two cells. */
export function gridDistance(i: number, j: number, gridShape: readonly number[]): number {
  return Math.sqrt(squaredDistance(coordinatesOf(i, gridShape), coordinatesOf(j, gridShape)));
}

/** H x with H = 1 on the diagonal and `weight` where the distance is below 1.5, flat [cells · size]. */
export function neighborSums(x: ArrayLike<number>, gridShape: readonly number[], weight: number): Float64Array {
  const cells = gridShape.reduce((product, size) => product * size, 1);
  const size = x.length / cells;
  const y = new Float64Array(x.length);
  for (let i = 0; i < cells; i++) {
    for (let j = 0; j < cells; j++) {
      const h = i === j ? 1 : gridDistance(i, j, gridShape) < 1.5 ? weight : 0;
      for (let c = 0; c < size; c++) y[i * size + c]! += h * (x[j * size + c] as number);
    }
  }
  return y;
}

/** What {@link averagedCodebook} takes and gives, as arrays. */
export interface CodebookArrays {
  readonly counts: number[];
  readonly sums: number[][];
  readonly codebook: number[][];
}

/** One step of the moving average, code by code. */
export function averagedCodebook(
  { counts, sums, codebook }: CodebookArrays,
  batchCounts: Row,
  batchSums: readonly Row[],
  options: { decay: number; epsilon: number; smoothing: 'none' | 'stored' | 'divisor'; keepUnused: boolean },
): CodebookArrays {
  const { decay: b, epsilon, smoothing, keepUnused } = options;
  const keeps = (k: number) => keepUnused && batchCounts[k] === 0;
  const c = counts.map((count, k) => (keeps(k) ? count : b * count + (1 - b) * (batchCounts[k] as number)));
  const total = c.reduce((sum, count) => sum + count, 0);
  const smoothed = c.map((count) => ((count + epsilon) / (total + c.length * epsilon)) * total);
  const m = sums.map((row, k) =>
    keeps(k) ? row : row.map((value, i) => b * value + (1 - b) * (batchSums[k]?.[i] as number)),
  );
  const divisors = smoothing === 'none' ? c : smoothed;
  const w = codebook.map((row, k) =>
    keeps(k) ? row : row.map((_, i) => (m[k]?.[i] as number) / (divisors[k] as number)),
  );
  return { counts: smoothing === 'stored' ? smoothed : c, sums: m, codebook: w };
}
