/** Registers our WGSL kernels with tfjs, for its backend `webgpu`: operations that have one then run as one kernel there. */

import { registerKernel } from '@tensorflow/tfjs-core';
import { attentionKernels } from './attention.ts';
import type { WebGpuBackend } from './backend.ts';
import { fastWeightScans } from './fast-weight-scans.ts';
import type { GpuKernelTable } from './kernel-table.ts';
import { lossKernels } from './loss.ts';
import { normalizationKernels } from './normalization.ts';
import { repairTfjsKernels } from './tfjs-repairs.ts';

const TABLES: readonly GpuKernelTable[] = [attentionKernels, fastWeightScans, lossKernels, normalizationKernels];

let registered = false;

/** Registers all kernels once; later calls do nothing. */
export function registerGpuKernels(): void {
  if (registered) return;
  registered = true;
  repairTfjsKernels();
  for (const [kernelName, kernel] of TABLES.flatMap((table) => Object.entries(table))) {
    registerKernel({
      kernelName,
      backendName: 'webgpu',
      kernelFunc: ({ inputs, attrs, backend }) =>
        kernel({ inputs, attrs: attrs ?? {}, backend: backend as WebGpuBackend }),
    });
  }
}
