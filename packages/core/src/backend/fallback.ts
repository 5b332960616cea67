/**
 * The way out for everything that has no C kernel: tfjs's own CPU implementation on a copy of the data. It makes
 * the backend complete; `FwpBackend.fallbackCalls()` counts the calls, so that a profile shows what deserves a
 * kernel.
 */

import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { getKernel, type NamedAttrMap, type TensorInfo, type TypedArray } from '@tensorflow/tfjs-core';
import type { FwpBackend } from './backend.ts';
import type { Kernel, KernelCall } from './kernel-table.ts';

let cpuBackend: MathBackendCPU | undefined;

/** Brings tensors of a backend to tfjs's CPU backend and back. */
export interface CpuFerry {
  copyToCpu(tensor: TensorInfo, cpu: MathBackendCPU): TensorInfo;
  copyFromCpu(tensor: TensorInfo, cpu: MathBackendCPU): TensorInfo;
  /** Frees what `copyFromCpu` made. */
  release(tensor: TensorInfo): void;
}

/** Runs tfjs's CPU kernel `kernelName` on copies of the inputs and brings its outputs into the heap. */
export function fallback(kernelName: string, call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  backend.countFallback(kernelName);
  return runOnCpu(kernelName, inputs as Inputs, attrs, {
    copyToCpu: (tensor, cpu) => copyToCpu(tensor, backend, cpu),
    copyFromCpu: (tensor, cpu) => copyFromCpu(tensor, backend, cpu),
    release: (tensor) => backend.release(tensor),
  });
}

/** Runs tfjs's CPU kernel `kernelName` on copies of the inputs; the results are copied back, and nothing else is left. */
export function runOnCpu(
  kernelName: string,
  inputs: Inputs,
  attrs: NamedAttrMap | undefined,
  { copyToCpu, copyFromCpu, release }: CpuFerry,
): TensorInfo | TensorInfo[] {
  const config = getKernel(kernelName, 'cpu');
  if (config === undefined) {
    throw new Error(`Kernel '${kernelName}' exists neither in this backend nor in tfjs's CPU backend.`);
  }
  const cpu = sharedCpuBackend();
  const copies: TensorInfo[] = [];
  const moved: TensorInfo[] = [];
  const copyIn = (tensor: TensorInfo): TensorInfo => {
    const copy = copyToCpu(tensor, cpu);
    copies.push(copy);
    return copy;
  };
  try {
    const result = config.kernelFunc({
      inputs: mapTensors(inputs, copyIn) as never,
      attrs: attrs as never,
      backend: cpu,
    });
    const outputs = Array.isArray(result) ? result : [result];
    for (const output of outputs) moved.push(copyFromCpu(output, cpu));
    for (const output of outputs) {
      if (!copies.some((copy) => copy.dataId === output.dataId)) cpu.disposeData(output.dataId, true);
    }
    return Array.isArray(result) ? moved : (moved[0] as TensorInfo);
  } catch (error) {
    for (const tensor of moved) release(tensor);
    throw error;
  } finally {
    for (const copy of copies) cpu.disposeData(copy.dataId, true);
  }
}

/** A kernel that always takes the fallback. */
export function fallbackKernel(kernelName: string): Kernel {
  return (call) => fallback(kernelName, call);
}

type Input = TensorInfo | TensorInfo[] | null | undefined;
/** Inputs of a kernel. */
export type Inputs = TensorInfo[] | Record<string, Input>;

/** The same inputs with each tensor replaced. */
function mapTensors(inputs: Inputs, map: (tensor: TensorInfo) => TensorInfo): Inputs {
  if (Array.isArray(inputs)) return inputs.map(map);
  const mapped: Record<string, Input> = {};
  for (const [name, value] of Object.entries(inputs)) {
    mapped[name] = Array.isArray(value) ? value.map(map) : value ? map(value) : value;
  }
  return mapped;
}

function sharedCpuBackend(): MathBackendCPU {
  if (cpuBackend === undefined) {
    cpuBackend = new MathBackendCPU();
    // It would advertise another package on its first use.
    (cpuBackend as unknown as { firstUse: boolean }).firstUse = false;
  }
  return cpuBackend;
}

function copyToCpu(tensor: TensorInfo, backend: FwpBackend, cpu: MathBackendCPU): TensorInfo {
  const { shape, dtype } = tensor;
  if (dtype !== 'complex64') {
    const copy = cpu.makeTensorInfo(shape, dtype, backend.readSync(tensor.dataId));
    // Some of tfjs's kernels are given tensors rather than descriptions of them, and rely on it.
    return Object.assign(copy, { rank: shape.length });
  }
  const { real, imag } = backend.complexParts(tensor);
  const info = cpu.makeTensorInfo(shape, 'complex64');
  cpu.data.get(info.dataId).complexTensorInfos = {
    real: cpu.makeTensorInfo(shape, 'float32', backend.readSync(real.dataId)),
    imag: cpu.makeTensorInfo(shape, 'float32', backend.readSync(imag.dataId)),
  };
  return info;
}

function copyFromCpu(tensor: TensorInfo, backend: FwpBackend, cpu: MathBackendCPU): TensorInfo {
  const { shape, dtype } = tensor;
  if (dtype !== 'complex64') {
    return backend.makeTensor(cpu.data.get(tensor.dataId).values as TypedArray, shape, dtype);
  }
  const parts = cpu.data.get(tensor.dataId).complexTensorInfos as { real: TensorInfo; imag: TensorInfo };
  const real = copyFromCpu({ ...parts.real, shape }, backend, cpu);
  const imag = copyFromCpu({ ...parts.imag, shape }, backend, cpu);
  const result = backend.makeComplex(real, imag);
  backend.release(real);
  backend.release(imag);
  return result;
}
