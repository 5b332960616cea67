/** Cumulative sums and products along one axis; `csrc/scan.c` has the arithmetic. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { fallback } from '../fallback.ts';
import type { Kernel, KernelCall, KernelTable } from '../kernel-table.ts';
import { castTo } from './cast.ts';

/** bool counts as int32. */
function cumulative(kernelName: string, variants: Readonly<Record<string, string>>): Kernel {
  return (call: KernelCall) => {
    const { inputs, attrs, backend } = call;
    const x = inputs.x as TensorInfo;
    if (x.shape.length === 0) return fallback(kernelName, call);
    const [axis] = util.parseAxisParam(attrs.axis, x.shape) as [number];
    const input = x.dtype === 'bool' ? (castTo(backend, x, 'int32') as TensorInfo) : x;
    const variant = variants[input.dtype];
    if (variant === undefined) return fallback(kernelName, call);
    const y = backend.makeOutput(x.shape.slice(), input.dtype);
    backend.engine.run(
      variant,
      backend.offsetOf(input),
      backend.offsetOf(y),
      util.sizeFromShape(x.shape.slice(0, axis)),
      x.shape[axis] as number,
      util.sizeFromShape(x.shape.slice(axis + 1)),
      attrs.exclusive ? 1 : 0,
      attrs.reverse ? 1 : 0,
    );
    if (input !== x) backend.release(input);
    return y;
  };
}

/** tfjs kernels of this family. */
export const scanKernels: KernelTable = {
  Cumsum: cumulative('Cumsum', { float32: 'cumsum', int32: 'cumsum_i32' }),
  Cumprod: cumulative('Cumprod', { float32: 'cumprod', int32: 'cumprod_i32' }),
};
