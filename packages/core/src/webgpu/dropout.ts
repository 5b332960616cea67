/** Dropout on the GPU, in the place of the engine's `backend/kernels/dropout.ts`; forward and backward are the same kernel. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { DropoutAttributes } from '../ops/dropout.ts';
import { type GpuKernelTable, outputsOf } from './kernel-table.ts';
import { DROPOUT_GRAIN, dropout } from './kernels/dropout.ts';
import { runKernel } from './program.ts';

/** Kernel as the operation calls it: see the engine's. */
export const dropoutKernels: GpuKernelTable = {
  FwpDropout: ({ inputs, attrs, backend }) => {
    const { x } = inputs as { x: TensorInfo };
    const { threshold, scale, state } = attrs as DropoutAttributes;
    const { position, stream, key } = state;
    const size = util.sizeFromShape(x.shape);
    const numbers = {
      ...{ size, threshold, scale, block_low: position % 2 ** 32, block_high: Math.floor(position / 2 ** 32) },
      ...{ stream_low: stream[0], stream_high: stream[1], key_low: key[0], key_high: key[1] },
    };
    const [y] = outputsOf(backend, [x.shape], (filled) =>
      runKernel(backend, dropout, {
        tensors: { x, y: filled },
        parameters: numbers,
        isVolatile: true,
        groups: Math.ceil(size / DROPOUT_GRAIN),
      }),
    );
    return y as TensorInfo;
  },
};
