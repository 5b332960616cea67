/** Conversions between dtypes. */

import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';

/** C kernel from the first to the second dtype. */
const CASTS: Readonly<Record<string, string>> = {
  'float32 int32': 'cast_f32_i32',
  'float32 bool': 'cast_f32_bool',
  'int32 float32': 'cast_i32_f32',
  'int32 bool': 'cast_i32_bool',
  'bool float32': 'cast_bool_f32',
  'bool int32': 'cast_bool_i32',
};

/**
 * `x` as another dtype; the caller owns the result. Floats are truncated modulo 2³² to int32, with 0 for NaN and
 * infinities (JavaScript's rule, and tfjs's); everything but zero is true. Undefined for complex64 and string.
 */
export function castTo(backend: FwpBackend, x: TensorInfo, dtype: DataType): TensorInfo | undefined {
  if (x.dtype === dtype) return backend.alias(x, x.shape);
  const variant = CASTS[`${x.dtype} ${dtype}`];
  if (variant === undefined) return undefined;
  const y = backend.makeOutput(x.shape.slice(), dtype);
  backend.engine.run(variant, backend.offsetOf(x), backend.offsetOf(y), util.sizeFromShape(x.shape));
  return y;
}

function cast(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const dtype = attrs.dtype as DataType;
  const direct = castTo(backend, x, dtype);
  if (direct !== undefined) return direct;
  if (x.dtype === 'complex64') {
    const real = backend.complexParts(x).real;
    return castTo(backend, { ...real, shape: x.shape }, dtype) ?? fallback('Cast', call);
  }
  if (dtype === 'complex64') {
    const real = castTo(backend, x, 'float32');
    if (real !== undefined) {
      const imag = backend.makeOutput(x.shape.slice(), 'float32');
      backend.engine.run('fill', backend.offsetOf(imag), util.sizeFromShape(x.shape), 0);
      const complex = backend.makeComplex(real, imag);
      backend.release(real);
      backend.release(imag);
      return complex;
    }
  }
  return fallback('Cast', call);
}

/** tfjs kernels of this family. */
export const castKernels: KernelTable = { Cast: cast };
