/** All tfjs kernels with a C implementation. */

import type { KernelTable } from '../kernel-table.ts';
import { binaryKernels } from './binary.ts';
import { castKernels } from './cast.ts';
import { complexKernels } from './complex.ts';
import { indexingKernels } from './indexing.ts';
import { matmulKernels } from './matmul.ts';
import { movementKernels } from './movement.ts';
import { reductionKernels } from './reduction.ts';
import { scanKernels } from './scan.ts';
import { selectionKernels } from './selection.ts';
import { unaryKernels } from './unary.ts';

/** Kernel name → implementation; everything else that tfjs has takes the fallback. */
export const kernels: KernelTable = {
  ...complexKernels,
  ...matmulKernels,
  ...movementKernels,
  ...indexingKernels,
  ...binaryKernels,
  ...castKernels,
  ...reductionKernels,
  ...scanKernels,
  ...selectionKernels,
  ...unaryKernels,
};
