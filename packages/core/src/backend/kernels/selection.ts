/** Selection by a condition, and constant tensors. */

import { type DataType, type TensorInfo, upcastType, util } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { castTo } from './cast.ts';

const FILLS: Readonly<Record<string, string>> = { float32: 'fill', int32: 'fill_i32', bool: 'fill_bool' };

/** A tensor whose elements all are `value`; undefined for complex64 and string. */
function constant(backend: FwpBackend, shape: number[], dtype: DataType, value: number): TensorInfo | undefined {
  const variant = FILLS[dtype];
  if (variant === undefined) return undefined;
  const y = backend.makeOutput(shape.slice(), dtype);
  backend.engine.run(variant, backend.offsetOf(y), util.sizeFromShape(shape), value);
  return y;
}

/** condition ? t : e, elementwise. */
function select(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, backend } = call;
  const condition = inputs.condition as TensorInfo;
  const t = inputs.t as TensorInfo;
  const e = inputs.e as TensorInfo;
  const size = util.sizeFromShape(t.shape);
  // A condition that chooses whole rows has fewer elements; tf.where() never asks for that.
  const isElementwise = util.sizeFromShape(condition.shape) === size && util.sizeFromShape(e.shape) === size;
  if (!isElementwise || condition.dtype !== 'bool') return fallback('Select', call);
  const dtype = upcastType(t.dtype, e.dtype);
  const first = castTo(backend, t, dtype);
  const second = first && castTo(backend, e, dtype);
  if (first === undefined || second === undefined || FILLS[dtype] === undefined) {
    if (first !== undefined) backend.release(first);
    if (second !== undefined) backend.release(second);
    return fallback('Select', call);
  }
  const out = backend.makeOutput(t.shape.slice(), dtype);
  backend.engine.run(
    dtype === 'bool' ? 'select_bool' : 'select',
    backend.offsetOf(condition),
    backend.offsetOf(first),
    backend.offsetOf(second),
    backend.offsetOf(out),
    size,
  );
  backend.release(first);
  backend.release(second);
  return out;
}

function fill(call: KernelCall): TensorInfo | TensorInfo[] {
  const { attrs, backend } = call;
  const value = attrs.value as number | string;
  const dtype = (attrs.dtype as DataType | undefined) || util.inferDtype(value);
  const filled = typeof value === 'string' ? undefined : constant(backend, attrs.shape, dtype, Number(value));
  return filled ?? fallback('Fill', call);
}

function like(kernelName: string, value: number): (call: KernelCall) => TensorInfo | TensorInfo[] {
  return (call) => {
    const x = call.inputs.x as TensorInfo;
    return constant(call.backend, x.shape, x.dtype, value) ?? fallback(kernelName, call);
  };
}

/** tfjs kernels of this family. */
export const selectionKernels: KernelTable = {
  Select: select,
  Fill: fill,
  ZerosLike: like('ZerosLike', 0),
  OnesLike: like('OnesLike', 1),
};
