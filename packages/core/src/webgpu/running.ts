/**
 * Running sums and products on the GPU. tfjs makes them in a pass for each power of two, whose code is kept without the length that is
 * written into it: from the end, they are wrong after another length was there before.
 */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type GpuKernelCall, type GpuKernelTable, outputsOf } from './kernel-table.ts';
import { RUNNING_LANES, running } from './kernels/running.ts';
import { runKernel } from './program.ts';

/** tfjs's kernels of these names. */
export const runningKernels: GpuKernelTable = {
  Cumsum: (call) => along(call, false),
  Cumprod: (call) => along(call, true),
};

/** Axes that are longer, of fewer rows than a workgroup has, are left to tfjs, from the beginning. */
const LONG = 4096;

function along({ inputs, attrs, backend, fallback }: GpuKernelCall, product: boolean): TensorInfo | TensorInfo[] {
  const { x } = inputs as { x: TensorInfo };
  const { exclusive, reverse } = attrs as { exclusive: boolean; reverse: boolean };
  const [axis] = util.parseAxisParam(attrs.axis as number, x.shape) as [number];
  const length = x.shape[axis] ?? 1;
  const [rows, inner] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)].map(util.sizeFromShape) as [number, number];
  const integers = x.dtype === 'int32';
  if (!integers && x.dtype !== 'float32') return fallback();
  if (!reverse && length > LONG && rows * inner < RUNNING_LANES) return fallback();
  return outputsOf(
    backend,
    [x.shape],
    (y) =>
      runKernel(backend, running, {
        constants: { product, exclusive, reverse, integers },
        tensors: { x, y },
        parameters: { rows, length, inner },
        groups: length === 0 ? 0 : Math.ceil((rows * inner) / RUNNING_LANES),
      }),
    [x.dtype],
  )[0] as TensorInfo;
}
