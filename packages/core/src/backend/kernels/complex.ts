/** Complex numbers: a complex64 tensor refers to two float32 tensors. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelTable } from '../kernel-table.ts';

/** Complex, Real and Imag without copies; arithmetic on complex tensors takes the fallback. */
export const complexKernels: KernelTable = {
  Complex: ({ inputs, backend }) => {
    const { real, imag } = inputs as { real: TensorInfo; imag: TensorInfo };
    return backend.makeComplex(real, imag);
  },
  Real: ({ inputs, backend }) => {
    const { input } = inputs as { input: TensorInfo };
    return { ...backend.share(backend.complexParts(input).real), shape: input.shape };
  },
  Imag: ({ inputs, backend }) => {
    const { input } = inputs as { input: TensorInfo };
    return { ...backend.share(backend.complexParts(input).imag), shape: input.shape };
  },
};
