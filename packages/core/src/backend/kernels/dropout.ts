/** Dropout from a counter-based random stream; forward and backward are the same kernel. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { DropoutAttributes } from '../../ops/dropout.ts';
import type { KernelTable } from '../kernel-table.ts';
import { filled } from '../outputs.ts';
import { randomArguments } from '../random-arguments.ts';

/** Kernel of `dropout`. */
export const dropoutKernels: KernelTable = {
  FwpDropout: ({ inputs, attrs, backend }) => {
    const { x } = inputs as { x: TensorInfo };
    const { threshold, scale, state } = attrs as DropoutAttributes;
    const output = backend.makeOutput(x.shape);
    const count = x.shape.reduce((product, extent) => product * extent, 1);
    return filled(backend, output, () => {
      backend.engine.run(
        'dropout',
        ...randomArguments(backend.offsetOf(output), count, state),
        backend.offsetOf(x),
        threshold,
        scale,
      );
    });
  },
};
