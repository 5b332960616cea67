/** The largest numbers of rows on the GPU. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf } from './kernel-table.ts';
import { topK } from './kernels/top-k.ts';
import { topKGradient } from './kernels/top-k-gradient.ts';
import { runKernel } from './program.ts';

/** Numbers that are looked for one after another; more of them are left to tfjs's sort, which may take equal ones in any order. */
const MOST_PASSES = 64;

/** tfjs's kernel of this name, and the kernel of its gradient. */
export const selectionKernels: GpuKernelTable = {
  TopK: largest,
  FwpTopKGradient: ({ inputs, attrs, backend }) => {
    const { dy, indices } = inputs as { dy: TensorInfo; indices: TensorInfo };
    const { columns } = attrs as { columns: number };
    const k = dy.shape.at(-1) as number;
    const rows = util.sizeFromShape(dy.shape.slice(0, -1));
    const fill = (dx: TensorInfo) => {
      if (k === 0) clear(backend, [dx]);
      else {
        runKernel(backend, topKGradient, {
          tensors: { dy, indices, dx },
          parameters: { rows, columns, k },
          groups: Math.ceil((rows * columns) / 64),
        });
      }
    };
    const shape = [...dy.shape.slice(0, -1), columns];
    return outputsOf(backend, [shape], (dx) => fill(dx as TensorInfo))[0] as TensorInfo;
  },
};

function largest({ inputs, attrs, backend, fallback }: GpuKernelCall): TensorInfo | TensorInfo[] {
  const { x } = inputs as { x: TensorInfo };
  const { k } = attrs as { k: number };
  if (k > MOST_PASSES || !['float32', 'int32'].includes(x.dtype)) return fallback();
  const columns = x.shape.at(-1) as number;
  const rows = util.sizeFromShape(x.shape.slice(0, -1));
  const shape = [...x.shape.slice(0, -1), k];
  const fill = (values?: TensorInfo, indices?: TensorInfo) => {
    if (k === 0) return;
    runKernel(backend, topK, {
      constants: { integers: x.dtype === 'int32' },
      tensors: { x, values, indices },
      parameters: { rows, columns, k },
      groups: rows,
    });
  };
  return outputsOf(backend, [shape, shape.slice()], fill, [x.dtype, 'int32']);
}
