/**
 * Matrix products on the C kernel `matmul`:
 *
 *   C[…, m, n] = activation(alpha · A[…, m, k] · B[…, k, n] (+ C) (+ bias[n]))
 *
 * Leading dimensions broadcast. They are merged as far as the strides allow; a batch of row blocks that share B becomes
 * one taller matrix.
 */

import type { FwpBackend } from './backend.ts';

/** Activations that the matrix product, convolution and linear kernels apply on the way out; order as in `gemm.h`. */
export const FUSED_ACTIVATIONS = [
  'linear',
  'relu',
  'relu6',
  'elu',
  'leakyrelu',
  'sigmoid',
  'tanh',
  'gelu',
  'silu',
] as const;

/** Name of an activation that a kernel can apply to its output. */
export type FusedActivation = (typeof FUSED_ACTIVATIONS)[number];

/** Whether the kernels know an activation of that name. */
export function isFusedActivation(name: string): name is FusedActivation {
  return (FUSED_ACTIVATIONS as readonly string[]).includes(name);
}

/** A matrix product on data in the heap; offsets are in bytes, everything else in elements. */
export interface MatMul {
  /** Byte offset of A, `[...batchA, m, k]`, or `[...batchA, k, m]` with `transposeA`. */
  readonly a: number;
  /** Byte offset of B, `[...batchB, k, n]`, or `[...batchB, n, k]` with `transposeB`. */
  readonly b: number;
  /** Byte offset of C, `[...broadcast batch, m, n]`. */
  readonly c: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Leading dimensions of A and B, which broadcast against each other; default none. */
  readonly batchA?: readonly number[];
  readonly batchB?: readonly number[];
  /** Byte offset of a bias `[n]`; default 0: none. */
  readonly bias?: number;
  /** Default `'linear'`. */
  readonly activation?: FusedActivation;
  /** Slope of `'leakyrelu'` below zero; default 0.2. */
  readonly slope?: number;
  /** Factor of the product; default 1. */
  readonly alpha?: number;
  /** Adds to what C holds; default false. */
  readonly accumulate?: boolean;
}

/** Number of batch dimensions that the C kernel takes. */
const BATCH_DIMS = 3;

/** A batch dimension after merging; the strides say how far A and B advance (0: shared). */
interface BatchDim {
  size: number;
  a: number;
  b: number;
}

/** Runs a matrix product. The leading dimensions must broadcast. */
export function runMatMul(backend: FwpBackend, task: MatMul): void {
  const { n, k, transposeA = false, transposeB = false } = task;
  const dims = mergedBatch(task.batchA ?? [], task.batchB ?? [], task.m * k, k * n);
  let m = task.m;
  const inner = dims.at(-1);
  if (inner !== undefined && inner.b === 0 && inner.a === m * k && (!transposeA || k === 1)) {
    m *= inner.size;
    dims.pop();
  }
  while (dims.length < BATCH_DIMS) dims.unshift({ size: 1, a: 0, b: 0 });
  const [d0, d1, d2] = dims.slice(-BATCH_DIMS) as [BatchDim, BatchDim, BatchDim];
  const run = (a: number, b: number, c: number): void => {
    backend.engine.run(
      'matmul',
      ...[a, b, c, m, n, k],
      ...(transposeA && k > 1 ? [1, m] : [k, 1]),
      ...(transposeB ? [1, k] : [n, 1]),
      ...[d0.size, d1.size, d2.size, d0.a, d1.a, d2.a, d0.b, d1.b, d2.b],
      task.bias ?? 0,
      FUSED_ACTIVATIONS.indexOf(task.activation ?? 'linear'),
      task.slope ?? 0.2,
      task.alpha ?? 1,
      task.accumulate ? 1 : 0,
    );
  };
  const outputBytes = 4 * d0.size * d1.size * d2.size * m * n;
  forEachIndex(dims.slice(0, -BATCH_DIMS), (a, b, index) => {
    run(task.a + 4 * a, task.b + 4 * b, task.c + index * outputBytes);
  });
}

/** Broadcast batch dimensions, neighbours merged where both operands advance evenly. */
function mergedBatch(batchA: readonly number[], batchB: readonly number[], sizeA: number, sizeB: number): BatchDim[] {
  const rank = Math.max(batchA.length, batchB.length);
  const dims: BatchDim[] = [];
  let a = sizeA;
  let b = sizeB;
  for (let d = 1; d <= rank; d++) {
    const extentA = batchA[batchA.length - d] ?? 1;
    const extentB = batchB[batchB.length - d] ?? 1;
    const size = extentA === 1 ? extentB : extentA;
    if (size !== 1) {
      const dim = { size, a: extentA === 1 ? 0 : a, b: extentB === 1 ? 0 : b };
      const faster = dims[0];
      if (faster !== undefined && dim.a === faster.a * faster.size && dim.b === faster.b * faster.size) {
        faster.size *= size;
      } else {
        dims.unshift(dim);
      }
    }
    a *= extentA;
    b *= extentB;
  }
  return dims;
}

/** Calls `visit` with the offsets of A and B, in elements, for each index into `dims`, in order. */
function forEachIndex(dims: readonly BatchDim[], visit: (a: number, b: number, index: number) => void): void {
  const count = dims.reduce((product, dim) => product * dim.size, 1);
  for (let index = 0; index < count; index++) {
    let rest = index;
    let a = 0;
    let b = 0;
    for (let d = dims.length - 1; d >= 0; d--) {
      const dim = dims[d] as BatchDim;
      const i = rest % dim.size;
      rest = (rest - i) / dim.size;
      a += i * dim.a;
      b += i * dim.b;
    }
    visit(a, b, index);
  }
}
