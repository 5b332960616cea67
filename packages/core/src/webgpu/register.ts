/** Registers our WGSL kernels with tfjs, for its backend `webgpu`: operations that have one then run as one kernel there. */

import { getKernel, registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core';
import { affineScanKernels } from './affine-scan.ts';
import { attentionKernels } from './attention.ts';
import type { WebGpuBackend } from './backend.ts';
import { dropoutKernels } from './dropout.ts';
import { elementwiseLstmKernels } from './elementwise-lstm.ts';
import { expertKernels } from './experts.ts';
import { fastWeightScans } from './fast-weight-scans.ts';
import { geometricAttentionKernels } from './geometric-attention.ts';
import type { GpuKernelTable } from './kernel-table.ts';
import { lossKernels } from './loss.ts';
import { lstmKernels } from './lstm.ts';
import { normalizationKernels } from './normalization.ts';
import { productKernels } from './products.ts';
import { recurrentScans } from './recurrent-scans.ts';
import { runningKernels } from './running.ts';
import { segmentKernels } from './segments.ts';
import { selectionKernels } from './selection.ts';
import { selfReferentialScan } from './self-referential.ts';
import { repairTfjsKernels } from './tfjs-repairs.ts';
import { vectorQuantizationKernels } from './vector-quantization.ts';

const TABLES: readonly GpuKernelTable[] = [
  affineScanKernels,
  attentionKernels,
  dropoutKernels,
  elementwiseLstmKernels,
  expertKernels,
  fastWeightScans,
  geometricAttentionKernels,
  lossKernels,
  lstmKernels,
  normalizationKernels,
  productKernels,
  recurrentScans,
  runningKernels,
  segmentKernels,
  selectionKernels,
  selfReferentialScan,
  vectorQuantizationKernels,
];

let registered = false;

/** Registers all kernels once; later calls do nothing. */
export function registerGpuKernels(): void {
  if (registered) return;
  registered = true;
  repairTfjsKernels();
  for (const [kernelName, kernel] of TABLES.flatMap((table) => Object.entries(table))) {
    const tfjs = getKernel(kernelName, 'webgpu');
    if (tfjs !== undefined) unregisterKernel(kernelName, 'webgpu');
    registerKernel({
      kernelName,
      backendName: 'webgpu',
      kernelFunc: (call) =>
        kernel({
          inputs: call.inputs,
          attrs: call.attrs ?? {},
          backend: call.backend as WebGpuBackend,
          fallback: () => tfjs?.kernelFunc(call) as TensorInfo | TensorInfo[],
        }),
    });
  }
}
