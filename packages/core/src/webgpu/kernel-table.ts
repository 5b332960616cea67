/** The form in which the files of this folder offer tfjs kernels made of WGSL kernels. */

import * as tf from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';

/** What a kernel is called with; `inputs` and `attrs` are those of the engine's kernel of the same name. */
export interface GpuKernelCall {
  // biome-ignore lint/suspicious/noExplicitAny: inputs differ from kernel to kernel; each names its own type
  readonly inputs: any;
  // biome-ignore lint/suspicious/noExplicitAny: the same for attributes
  readonly attrs: any;
  readonly backend: WebGpuBackend;
  /** What tfjs's kernel of this name gives; there is none of ours. */
  readonly fallback: () => tf.TensorInfo | tf.TensorInfo[];
}

/** Kernel names and their implementations. */
export type GpuKernelTable = Readonly<Record<string, (call: GpuKernelCall) => tf.TensorInfo | tf.TensorInfo[]>>;

/** A tensor, or undefined if it has no elements: it was not given. */
export function ifGiven(tensor: tf.TensorInfo | undefined): tf.TensorInfo | undefined {
  return tensor === undefined || tensor.shape.includes(0) ? undefined : tensor;
}

/** Runs something with tensors that are gone afterwards. */
export function withWorkspace<R>(backend: WebGpuBackend, sizes: number[], use: (...work: tf.TensorInfo[]) => R): R {
  const work = sizes.map((size) => backend.makeOutput([size], 'float32'));
  try {
    return use(...work);
  } finally {
    for (const { dataId } of work) backend.disposeData(dataId);
  }
}

/**
 * New tensors, filled by `fill`, and disposed of again if it throws.
 *
 * @param dtypes of the outputs, float32 where there is none
 */
export function outputsOf(
  backend: WebGpuBackend,
  shapes: number[][],
  fill: (...outputs: tf.TensorInfo[]) => void,
  dtypes: readonly tf.DataType[] = [],
): tf.TensorInfo[] {
  const outputs = shapes.map((shape, index) => backend.makeOutput(shape, dtypes[index] ?? 'float32'));
  try {
    fill(...outputs);
    return outputs;
  } catch (error) {
    for (const { dataId } of outputs) backend.disposeData(dataId);
    throw error;
  }
}

/** Fills tensors with zeros; buffers come with what was last in them. */
export function clear(backend: WebGpuBackend, tensors: readonly tf.TensorInfo[]): void {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  for (const { dataId, shape } of tensors) {
    if (shape.includes(0)) continue;
    backend.uploadToGPU(dataId);
    backend.commandQueueOwnedIds.add(dataId);
    backend.commandEncoder?.clearBuffer(backend.tensorMap.get(dataId).resource as GPUBuffer);
  }
}

/** Copies parts of a tensor into others, one after another from `offset` on. */
export function copyParts(backend: WebGpuBackend, from: tf.TensorInfo, to: readonly tf.TensorInfo[], offset = 0): void {
  for (const { dataId } of [from, ...to]) {
    backend.uploadToGPU(dataId);
    backend.commandQueueOwnedIds.add(dataId);
  }
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  let at = offset;
  for (const part of to) {
    const bytes = 4 * tf.util.sizeFromShape(part.shape);
    const buffers = [from, part].map(({ dataId }) => backend.tensorMap.get(dataId).resource as GPUBuffer);
    if (bytes > 0) {
      backend.commandEncoder?.copyBufferToBuffer(buffers[0] as GPUBuffer, 4 * at, buffers[1] as GPUBuffer, 0, bytes);
    }
    backend.tensorMap.get(part.dataId).values = null;
    at += bytes / 4;
  }
}
