/**
 * Matrix products with a long inner extent on the GPU: gradients of weights, which sum over all tokens of a batch. tfjs adds up
 * their parts atomically where there are few tiles, in an order that changes from run to run, and does not split them elsewhere.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { columnSums, SUMMED_COLUMNS } from './kernels/column-sums.ts';
import { splitProduct } from './kernels/split-product.ts';
import { TILE } from './kernels/tile-product.ts';
import { runKernel } from './program.ts';

/** tfjs's kernels of these names. */
export const productKernels: GpuKernelTable = {
  BatchMatMul: matMul,
  _FusedMatMul: fusedMatMul,
};

/** Shortest inner extent that tfjs splits, and fewer elements than which it sums without atomic additions. */
const [LONG, FEW] = [2000, 128];
/** Workgroups that keep a large card busy, and the shortest part that is worth one. */
const [WORKGROUPS, SHORTEST] = [1024, 256];

/** Sizes of a product of two matrices. */
interface Sizes {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly tiles: number;
}

/** Its sizes, if it is a product that should be in parts. */
function splitSizes({ inputs, attrs }: GpuKernelCall): Sizes | undefined {
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const batch = [a, b].map(({ shape }) => tf.util.sizeFromShape(shape.slice(0, -2)));
  if (a.dtype !== 'float32' || b.dtype !== 'float32' || batch.some((size) => size !== 1)) return undefined;
  const [inner, rows] = (transposeA ? a.shape.slice(-2) : a.shape.slice(-2).reverse()) as [number, number];
  const columns = b.shape.at(transposeB ? -2 : -1) as number;
  const tiles = Math.ceil(rows / TILE) * Math.ceil(columns / TILE);
  if (inner < LONG || rows * columns <= FEW || 2 * tiles > WORKGROUPS) return undefined;
  return { rows, columns, inner, tiles };
}

function matMul(call: GpuKernelCall): tf.TensorInfo | tf.TensorInfo[] {
  const { inputs, attrs, backend, fallback } = call;
  const sizes = splitSizes(call);
  if (sizes === undefined) return fallback();
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { rows, columns, inner, tiles } = sizes;
  const most = Math.min(Math.ceil(WORKGROUPS / tiles), Math.floor(inner / SHORTEST));
  const share = Math.ceil(inner / most);
  const splits = Math.ceil(inner / share);
  const longer = a.shape.length > b.shape.length ? a : b;
  const size = rows * columns;
  return outputsOf(backend, [[...longer.shape.slice(0, -2), rows, columns]], (y) =>
    withWorkspace(backend, [splits * size], (partial) => {
      runKernel(backend, splitProduct, {
        constants: { transposeA: attrs.transposeA, transposeB: attrs.transposeB },
        tensors: { a, b, partial },
        parameters: { rows, columns, inner, share, splits },
        groups: splits * tiles,
      });
      runKernel(backend, columnSums, {
        tensors: { x: partial, y },
        parameters: { rows: splits, columns: size, stride: size, offset: 0 },
        groups: Math.ceil(size / SUMMED_COLUMNS),
      });
    }),
  )[0] as tf.TensorInfo;
}

/** Flag of tfjs's environment, and its value for small tiles instead of atomic additions. */
const [PROGRAM, SMALL_TILES] = ['WEBGPU_MATMUL_PROGRAM_TYPE', 2];

/** With a bias or an activation a long inner extent is rare: its tiles are small then. */
function fusedMatMul(call: GpuKernelCall): tf.TensorInfo | tf.TensorInfo[] {
  if (splitSizes(call) === undefined) return call.fallback();
  const before = tf.env().getNumber(PROGRAM);
  tf.env().set(PROGRAM, SMALL_TILES);
  try {
    return call.fallback();
  } finally {
    tf.env().set(PROGRAM, before);
  }
}
