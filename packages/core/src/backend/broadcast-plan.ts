/**
 * Broadcasting of two shapes, with neighbouring dimensions merged wherever both operands allow it, so that most
 * operations turn out to be contiguous, or contiguous with a scalar.
 */

import { backend_util } from '@tensorflow/tfjs-core';

/** Number of dimensions that the C kernels take, after merging. */
export const BROADCAST_RANK = 6;

/** How two operands are walked through. */
export interface BroadcastPlan {
  /** Shape of the result. */
  readonly shape: number[];
  /** Number of elements of the result. */
  readonly size: number;
  /** 0: equal layouts; 1: `a` is a single element; 2: `b` is; undefined: use the dimensions below. */
  readonly scalar?: 0 | 1 | 2;
  /** Merged dimensions, slowest first, with each operand's stride in elements (0 along a broadcast dimension). */
  readonly dims: number[];
  readonly aStrides: number[];
  readonly bStrides: number[];
}

/** Plans an elementwise operation. Throws tfjs's error if the shapes cannot be broadcast together. */
export function planBroadcast(aShape: readonly number[], bShape: readonly number[]): BroadcastPlan {
  if (sameShape(aShape, bShape)) {
    return { shape: aShape.slice(), size: sizeOf(aShape), scalar: 0, dims: [], aStrides: [], bStrides: [] };
  }
  const shape = backend_util.assertAndGetBroadcastShape(aShape as number[], bShape as number[]);
  const dims: number[] = [];
  const aStrides: number[] = [];
  const bStrides: number[] = [];
  let size = 1;
  let aSize = 1;
  let bSize = 1;
  // From the fastest dimension to the slowest; the lists grow in that order and are reversed at the end.
  for (let d = shape.length - 1; d >= 0; d--) {
    const extent = shape[d] as number;
    size *= extent;
    if (extent === 1) continue;
    const aExtent = aShape[d - shape.length + aShape.length] ?? 1;
    const bExtent = bShape[d - shape.length + bShape.length] ?? 1;
    const aStride = aExtent === 1 ? 0 : aSize;
    const bStride = bExtent === 1 ? 0 : bSize;
    aSize *= aExtent;
    bSize *= bExtent;
    const last = dims.length - 1;
    if (
      last >= 0 &&
      aStride === (aStrides[last] as number) * (dims[last] as number) &&
      bStride === (bStrides[last] as number) * (dims[last] as number)
    ) {
      dims[last] = (dims[last] as number) * extent;
    } else {
      dims.push(extent);
      aStrides.push(aStride);
      bStrides.push(bStride);
    }
  }
  dims.reverse();
  aStrides.reverse();
  bStrides.reverse();
  const plan = { shape, size, dims, aStrides, bStrides };
  if (dims.length === 0) return { ...plan, scalar: 0 };
  if (dims.length === 1) return { ...plan, scalar: aStrides[0] === 0 ? 1 : bStrides[0] === 0 ? 2 : 0 };
  return plan;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let d = 0; d < a.length; d++) if (a[d] !== b[d]) return false;
  return true;
}

function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}
