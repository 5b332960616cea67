/**
 * Matrix products with a long inner extent on the GPU: gradients of weights, which sum over all tokens of a batch. tfjs adds up
 * their parts atomically where there are few tiles, in an order that changes from run to run, and does not split them elsewhere.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import {
  type GpuKernelCall,
  type GpuKernelTable,
  ifGiven,
  outputsOf,
  withResultOf,
  withWorkspace,
} from './kernel-table.ts';
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
export interface ProductSizes {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

function tilesOf(rows: number, columns: number): number {
  return Math.ceil(rows / TILE) * Math.ceil(columns / TILE);
}

/** Its sizes, if it is a product that should be in parts. */
function splitSizes({ inputs, attrs }: GpuKernelCall): ProductSizes | undefined {
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const batch = [a, b].map(({ shape }) => tf.util.sizeFromShape(shape.slice(0, -2)));
  if (a.dtype !== 'float32' || b.dtype !== 'float32' || batch.some((size) => size !== 1)) return undefined;
  const [inner, rows] = (transposeA ? a.shape.slice(-2) : a.shape.slice(-2).reverse()) as [number, number];
  const columns = b.shape.at(transposeB ? -2 : -1) as number;
  if (inner < LONG || rows * columns <= FEW || 2 * tilesOf(rows, columns) > WORKGROUPS) return undefined;
  return { rows, columns, inner };
}

function matMul(call: GpuKernelCall): tf.TensorInfo | tf.TensorInfo[] {
  const { inputs, attrs, backend, fallback } = call;
  const sizes = splitSizes(call);
  if (sizes === undefined) return fallback();
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { rows, columns, inner } = sizes;
  const longer = a.shape.length > b.shape.length ? a : b;
  return outputsOf(backend, [[...longer.shape.slice(0, -2), rows, columns]], (y) =>
    inParts(backend, y as tf.TensorInfo, sizes, (partial, { share, splits, groups }) =>
      runKernel(backend, splitProduct, {
        constants: { transposeA: attrs.transposeA, transposeB: attrs.transposeB },
        tensors: { a, b, partial },
        parameters: { rows, columns, inner, share, splits },
        groups,
      }),
    ),
  )[0] as tf.TensorInfo;
}

/** How an inner extent is divided: numbers of a part, parts, and workgroups of all parts' tiles. */
interface Parts {
  readonly share: number;
  readonly splits: number;
  readonly groups: number;
}

/**
 * Makes a product as parts of its inner extent, so many that a large card is busy, and adds them up in order.
 *
 * @param y the product [rows, columns]
 * @param run fills `partial` [splits, rows, columns]
 */
export function inParts(
  backend: WebGpuBackend,
  y: tf.TensorInfo,
  { rows, columns, inner }: ProductSizes,
  run: (partial: tf.TensorInfo, parts: Parts) => void,
): void {
  const tiles = tilesOf(rows, columns);
  const most = Math.max(1, Math.min(Math.ceil(WORKGROUPS / tiles), Math.floor(inner / SHORTEST)));
  const share = Math.ceil(inner / most);
  const splits = Math.ceil(inner / share);
  const parts = { share, splits, groups: splits * tiles };
  if (splits === 1) run(y, parts);
  else {
    withWorkspace(backend, [splits * rows * columns], (partial) => {
      run(partial as tf.TensorInfo, parts);
      sumColumns(backend, partial as tf.TensorInfo, y, splits, rows * columns);
    });
  }
}

/** y [columns] = the sums of the columns of x [rows, columns]. */
export function sumColumns(
  backend: WebGpuBackend,
  x: tf.TensorInfo,
  y: tf.TensorInfo,
  rows: number,
  columns: number,
): void {
  runKernel(backend, columnSums, {
    tensors: { x, y },
    parameters: { rows, columns, stride: columns, offset: 0 },
    groups: Math.ceil(columns / SUMMED_COLUMNS),
  });
}

/**
 * Runs something with x W + bias [rows, columns], from the kernel of fused products.
 *
 * @param x [..., inner]
 * @param weight [inner, columns]
 * @param bias [columns], or not given, or without elements
 */
export function withLinear(
  backend: WebGpuBackend,
  { x, weight, bias }: { x: tf.TensorInfo; weight: tf.TensorInfo; bias?: tf.TensorInfo | undefined },
  use: (sums: tf.TensorInfo) => void,
): void {
  const asBatch = ({ dataId, dtype, shape }: tf.TensorInfo): tf.TensorInfo => ({
    ...{ dataId, dtype },
    shape: [1, tf.util.sizeFromShape(shape.slice(0, -1)), shape.at(-1) as number],
  });
  const added = ifGiven(bias);
  const inputs = { a: asBatch(x), b: asBatch(weight), ...(added ? { bias: added } : {}) };
  const attrs = { transposeA: false, transposeB: false, activation: 'linear' };
  withResultOf(backend, '_FusedMatMul', inputs, attrs, use);
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
