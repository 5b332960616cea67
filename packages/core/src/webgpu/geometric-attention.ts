/**
 * Geometric attention on the GPU, in the place of the engine's `backend/kernels/geometric-attention.ts`: one workgroup for each query
 * of each head. Dropped keys come as such in the projections.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { GeometricAttentionAttributes } from '../backend/kernels/geometric-attention.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { geometricForward } from './kernels/geometric-forward.ts';
import { geometricKeyGradients } from './kernels/geometric-key-gradients.ts';
import { geometricQueryGradients } from './kernels/geometric-query-gradients.ts';
import { rowSums } from './kernels/row-sums.ts';
import { runKernel } from './program.ts';

/** Kernels as the operation calls them: see the engine's. */
export const geometricAttentionKernels: GpuKernelTable = {
  FwpGeometricAttention: forward,
  FwpGeometricAttentionGradient: gradient,
};

interface Inputs {
  readonly projections: TensorInfo;
  readonly coefficients: TensorInfo;
  /** P, kept for the gradient. */
  readonly matches?: TensorInfo;
  readonly keyMask?: TensorInfo;
}

function forward({ inputs, attrs, backend }: GpuKernelCall): TensorInfo {
  const { projections: x, coefficients, matches, keyMask } = inputs as Inputs;
  const { batch, time, heads, dim, normalize } = attrs as GeometricAttentionAttributes;
  return outputsOf(backend, [[batch, time, heads * dim]], (output) =>
    runKernel(backend, geometricForward, {
      constants: { normalize },
      tensors: { x, coefficients, key_mask: keyMask, matches, output },
      parameters: { batch, heads, time, dim },
      groups: batch * heads * time,
    }),
  )[0] as TensorInfo;
}

/** dProjections and dCoefficients. */
function gradient({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const { projections: x, coefficients, matches, keyMask, dy } = inputs as Inputs & { dy: TensorInfo };
  const { batch, time, heads, dim, normalize } = attrs as GeometricAttentionAttributes;
  const parameters = { batch, heads, time, dim };
  const groups = batch * heads * time;
  return outputsOf(backend, [x.shape, [3]], (dx, dCoefficients) => {
    if (groups === 0) {
      clear(backend, [dx, dCoefficients] as TensorInfo[]);
      return;
    }
    withWorkspace(backend, [groups * (2 * time + 3)], (work) => {
      const tensors = { x, coefficients, dy, dx };
      runKernel(backend, geometricQueryGradients, {
        constants: { normalize },
        tensors: { ...tensors, key_mask: keyMask, matches, work },
        parameters,
        groups,
      });
      runKernel(backend, geometricKeyGradients, { tensors: { ...tensors, work }, parameters, groups });
      runKernel(backend, rowSums, {
        tensors: { x: work, y: dCoefficients },
        parameters: { rows: 3, columns: groups, offset: 2 * groups * time },
        groups: 3,
      });
    });
  });
}
