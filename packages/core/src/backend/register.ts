/** Registers the backend's kernels with tfjs: our own, then the fallback for every other kernel of tfjs's CPU backend. */

import { getKernelsForBackend, type KernelFunc, registerKernel } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { BACKEND_NAME, type FwpBackend } from './backend.ts';
import { fallbackKernel } from './fallback.ts';
import type { Kernel } from './kernel-table.ts';
import { kernels } from './kernels/index.ts';
import { checkForNaN } from './nan-check.ts';

let registered = false;
let checkEveryKernel = false;

/** Whether every kernel's float outputs are searched for NaN (slow; for finding where a NaN comes from). */
export function setNaNCheck(enabled: boolean): void {
  checkEveryKernel = enabled;
}

/** Registers all kernels once; later calls do nothing. */
export function registerKernels(): void {
  if (registered) return;
  registered = true;
  for (const [name, kernel] of Object.entries(kernels)) addKernel(name, kernel);
  for (const { kernelName } of getKernelsForBackend('cpu')) {
    if (!(kernelName in kernels)) addKernel(kernelName, fallbackKernel(kernelName));
  }
}

/** Registers one kernel for the backend, with the NaN check around it. */
export function addKernel(kernelName: string, kernel: Kernel): void {
  const kernelFunc: KernelFunc = ({ inputs, attrs, backend }) => {
    const call = { inputs, attrs: attrs ?? {}, backend: backend as FwpBackend };
    call.backend.requireData(inputs);
    const outputs = kernel(call);
    if (checkEveryKernel) checkForNaN(kernelName, call, outputs);
    return outputs;
  };
  registerKernel({ kernelName, backendName: BACKEND_NAME, kernelFunc });
}
