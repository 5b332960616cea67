/**
 * The strided copy that most data movement comes down to:
 *
 *   y[toOffset + Σ i_d · to_d] = x[fromOffset + Σ i_d · from_d]   for all i_d < size_d
 *
 * A transpose permutes the strides, a slice has an offset, a broadcast has stride 0, a reversal a negative one.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { bytesPerElement, type FwpBackend } from './backend.ts';

/** Number of axes that the C kernel takes, after merging. */
const MAX_AXES = 8;

/** Axes of a copy from slowest to fastest in the target; neighbours are merged where both sides allow it. */
export class CopyAxes {
  readonly sizes: number[] = [];
  /** Distance in the source between neighbours along each axis, in elements. */
  readonly from: number[] = [];
  /** The same in the target. */
  readonly to: number[] = [];

  /** Appends a faster axis. */
  add(size: number, from: number, to: number): void {
    if (size === 1) return;
    const last = this.sizes.length - 1;
    if (last >= 0 && this.from[last] === from * size && this.to[last] === to * size) {
      this.sizes[last] = (this.sizes[last] as number) * size;
      this.from[last] = from;
      this.to[last] = to;
    } else {
      this.sizes.push(size);
      this.from.push(from);
      this.to.push(to);
    }
  }

  /** Whether the C kernel takes that many axes. */
  get supported(): boolean {
    return this.sizes.length <= MAX_AXES;
  }

  /** Whether source and target hold the same elements in the same order, without gaps. */
  get isContiguous(): boolean {
    return this.sizes.length === 0 || (this.sizes.length === 1 && this.from[0] === 1 && this.to[0] === 1);
  }
}

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= shape[d] as number;
  }
  return strides;
}

/**
 * Runs the copy.
 *
 * @param fromOffset position of the first element in `x`, in elements
 * @param toOffset position of the first element in `y`, in elements
 */
export function stridedCopy(
  backend: FwpBackend,
  x: TensorInfo,
  y: TensorInfo,
  axes: CopyAxes,
  fromOffset = 0,
  toOffset = 0,
): void {
  const element = bytesPerElement(x.dtype);
  const padding = new Array<number>(MAX_AXES - axes.sizes.length);
  backend.engine.run(
    'strided_copy',
    backend.offsetOf(x) + fromOffset * element,
    backend.offsetOf(y) + toOffset * element,
    element,
    ...padding.fill(1),
    ...axes.sizes,
    ...padding.fill(0),
    ...axes.from,
    ...padding,
    ...axes.to,
  );
}

/** A new tensor of shape `shape` filled by the copy; shares the data of `x` where the copy would change nothing. */
export function copyOf(
  backend: FwpBackend,
  x: TensorInfo,
  shape: number[],
  axes: CopyAxes,
  fromOffset = 0,
): TensorInfo {
  if (axes.isContiguous && fromOffset === 0 && sizeOf(shape) === sizeOf(x.shape)) return backend.alias(x, shape);
  const y = backend.makeOutput(shape, x.dtype);
  stridedCopy(backend, x, y, axes, fromOffset);
  return y;
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}
