/** Affine scans on the GPU, in the place of the engine's `backend/kernels/affine-scan.ts`: one invocation through all steps. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type GpuKernelCall, type GpuKernelTable, ifGiven, outputsOf, passState } from './kernel-table.ts';
import { AFFINE_LANES, affineScan } from './kernels/affine-scan.ts';
import { AFFINE_MATRIX_ROWS, affineScanMatrix } from './kernels/affine-scan-matrix.ts';
import { runKernel } from './program.ts';

/** Kernels as the operation calls them: see the engine's. */
export const affineScanKernels: GpuKernelTable = {
  FwpAffineScan: scan(false),
  FwpAffineScanGradient: scan(true),
};

/** Those of the engine's kernels. */
interface Inputs {
  readonly transition: TensorInfo;
  /** [batch, steps, rows, columns]. */
  readonly input: TensorInfo;
  readonly edge: TensorInfo;
  readonly resetMask: TensorInfo;
}

/** All states and the last one; backward the gradients of what the steps add, and of the first state. */
function scan(backward: boolean) {
  return ({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] => {
    const { transition, input, edge, resetMask } = inputs as Inputs;
    const [batch, steps, rows, columns] = input.shape as [number, number, number, number];
    return outputsOf(backend, [input.shape, [batch, rows, columns]], (...outputs) => {
      const [states, final] = outputs as [TensorInfo, TensorInfo];
      if (util.sizeFromShape(input.shape) === 0) {
        passState(backend, edge, final, [states]);
        return;
      }
      const tensors = {
        ...{ transition, input, edge: ifGiven(edge), resets: ifGiven(resetMask) },
        ...{ states, final_state: final },
      };
      if (attrs.kind === 'matrix') {
        runKernel(backend, affineScanMatrix, {
          constants: { columns, backward },
          tensors,
          parameters: { batch, steps, rows },
          groups: batch * Math.ceil(rows / AFFINE_MATRIX_ROWS),
        });
      } else {
        runKernel(backend, affineScan, {
          constants: { kind: attrs.kind, backward },
          tensors,
          parameters: { batch, steps, rows, columns },
          groups: Math.ceil((batch * rows * columns) / AFFINE_LANES),
        });
      }
    });
  };
}
