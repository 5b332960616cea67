/** All tfjs kernels with a C implementation. */

import type { KernelTable } from '../kernel-table.ts';
import { complexKernels } from './complex.ts';
import { movementKernels } from './movement.ts';

/** Kernel name → implementation; everything else that tfjs has takes the fallback. */
export const kernels: KernelTable = {
  ...complexKernels,
  ...movementKernels,
};
