/**
 * A sum over the neighbours on a grid, the hard neighbourhood of a self-organising map as a stencil:
 *
 *     y[i] = x[i] + weight · Σ_{j : 0 < d(i, j) < 1.5} x[j]         x, y [cells, ...]
 *
 * where d is the Euclidean distance of cells on the grid: two neighbours in one dimension, eight in two. Cell i of a grid
 * [s₀, s₁, …] has the coordinates (i mod s₀, ⌊i / s₀⌋ mod s₁, …), as in Irie, Csordás, Schmidhuber (2023). The same as H x
 * with the matrix H of the neighbourhood, which is symmetric: so dx is this sum over dy.
 */

import * as tf from '@tensorflow/tfjs-core';
import { assertCount, assertFloatShape, assertNumber } from '../shape-checks.ts';
import { canFuse } from './fused.ts';
import { type Gradient, runKernel } from './gradients/support.ts';

/** Attributes of kernel `FwpGridNeighborSum`. */
export interface NeighborSumAttributes {
  readonly gridShape: readonly number[];
  readonly weight: number;
}

/** Most axes of a grid: `GRID_AXES` of `csrc/codebook.c`. */
const MAX_AXES = 4;

/**
 * Adds to each cell its neighbours on a grid, times `weight`.
 *
 * @param x float32 [cells, ...]
 * @param gridShape sizes of the grid's axes, one to four, whose product is the number of cells; the first varies fastest
 * @param weight of a neighbour; the cell itself counts once
 * @returns the shape of x
 * @throws RangeError if the grid has another number of cells, or too many axes
 */
export function gridNeighborSum<T extends tf.Tensor>(x: T, gridShape: readonly number[], weight: number): T {
  const cells = checkGridShape('gridNeighborSum: gridShape', gridShape);
  assertFloatShape('gridNeighborSum: x', x, [cells, ...x.shape.slice(1)]);
  assertNumber('gridNeighborSum: weight', weight);
  if (canFuse('FwpGridNeighborSum')) return runKernel('FwpGridNeighborSum', { x }, { gridShape, weight }) as T;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [cells, x.size / cells]) as tf.Tensor2D;
    return tf.reshape(tf.add(rows, tf.mul(weight, tf.matMul(adjacency(gridShape), rows))), x.shape) as T;
  });
}

/**
 * Makes sure that a list is the shape of a grid.
 *
 * @returns the number of its cells
 */
function checkGridShape(name: string, gridShape: readonly number[]): number {
  if (!Array.isArray(gridShape) || gridShape.length < 1 || gridShape.length > MAX_AXES) {
    throw new RangeError(`${name} must be a list of one to ${MAX_AXES} sizes, but is ${JSON.stringify(gridShape)}.`);
  }
  gridShape.forEach((size, axis) => {
    assertCount(`${name}[${axis}]`, size);
  });
  return gridShape.reduce((product, size) => product * size, 1);
}

/** [cells, cells]: 1 where two cells are neighbours. */
function adjacency(gridShape: readonly number[]): tf.Tensor2D {
  const cells = gridShape.reduce((product, size) => product * size, 1);
  const matrix = new Float32Array(cells * cells);
  for (let i = 0; i < cells; i++) {
    for (let j = 0; j < cells; j++) {
      let [a, b, squares] = [i, j, 0];
      for (const size of gridShape) {
        squares += ((a % size) - (b % size)) ** 2;
        [a, b] = [Math.floor(a / size), Math.floor(b / size)];
      }
      if (squares === 1 || squares === 2) matrix[i * cells + j] = 1;
    }
  }
  return tf.tensor2d(matrix, [cells, cells]);
}

/** Gradient of the kernel, for `registerGradients`. */
export const gridNeighborSumGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpGridNeighborSum',
    gradFunc: (dy, _saved, attrs) => ({
      x: () => {
        const { gridShape, weight } = attrs as unknown as NeighborSumAttributes;
        return gridNeighborSum(dy as tf.Tensor, gridShape, weight);
      },
    }),
  },
];
