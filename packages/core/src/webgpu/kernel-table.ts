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

/** Runs something with the result of another operation's kernel, which is gone afterwards. */
export function withResultOf<R>(
  backend: WebGpuBackend,
  kernelName: string,
  inputs: Record<string, tf.TensorInfo>,
  attrs: object,
  use: (result: tf.TensorInfo) => R,
): R {
  const { kernelFunc } = tf.getKernel(kernelName, 'webgpu') as tf.KernelConfig;
  const result = kernelFunc({ inputs, attrs: attrs as tf.NamedAttrMap, backend }) as tf.TensorInfo;
  try {
    return use(result);
  } finally {
    backend.disposeData(result.dataId);
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
  let at = offset;
  for (const part of to) {
    copyElements(backend, { tensor: from, at }, { tensor: part, at: 0 }, tf.util.sizeFromShape(part.shape));
    at += tf.util.sizeFromShape(part.shape);
  }
}

/** Copies tensors into one, one after another from `offset` on. */
export function joinParts(backend: WebGpuBackend, from: readonly tf.TensorInfo[], to: tf.TensorInfo, offset = 0): void {
  let at = offset;
  for (const part of from) {
    copyElements(backend, { tensor: part, at: 0 }, { tensor: to, at }, tf.util.sizeFromShape(part.shape));
    at += tf.util.sizeFromShape(part.shape);
  }
}

/** Runs something with tensors side by side: a kernel may have eight. Tensors that are gone afterwards. */
export function withJoined<R>(
  backend: WebGpuBackend,
  tensors: readonly tf.TensorInfo[],
  use: (joined: tf.TensorInfo) => R,
): R {
  const sizes = tensors.map(({ shape }) => tf.util.sizeFromShape(shape));
  return withWorkspace(backend, [sizes.reduce((a, b) => a + b, 0)], (work) => {
    const joined = work as tf.TensorInfo;
    joinParts(backend, tensors, joined);
    return use(joined);
  });
}

/** Runs something that fills tensors side by side, and takes them apart; without, if they have no elements. */
export function withKept(
  backend: WebGpuBackend,
  tensors: readonly tf.TensorInfo[],
  fill: (joined: tf.TensorInfo | undefined) => void,
): void {
  if (tensors.every((tensor) => ifGiven(tensor) === undefined)) fill(undefined);
  else withResults(backend, tensors, {}, fill);
}

/** Runs something that fills tensors side by side, and takes them apart. Those that are given `initial` content begin with it. */
export function withResults(
  backend: WebGpuBackend,
  tensors: readonly tf.TensorInfo[],
  initial: Readonly<Record<number, tf.TensorInfo>>,
  fill: (joined: tf.TensorInfo) => void,
): void {
  const sizes = tensors.map(({ shape }) => tf.util.sizeFromShape(shape));
  const upTo = (end: number) => sizes.slice(0, end).reduce((a, b) => a + b, 0);
  withWorkspace(backend, [upTo(sizes.length)], (work) => {
    const joined = work as tf.TensorInfo;
    for (const [index, content] of Object.entries(initial)) joinParts(backend, [content], joined, upTo(Number(index)));
    fill(joined);
    copyParts(backend, joined, tensors);
  });
}

/** Where a scan has nothing to do: the state is passed on, all else is zero. */
export function passState(
  backend: WebGpuBackend,
  from: tf.TensorInfo,
  to: tf.TensorInfo,
  others: readonly tf.TensorInfo[],
): void {
  clear(backend, [to, ...others]);
  if (ifGiven(from) !== undefined) copyParts(backend, from, [to]);
}

/** An element of a tensor. */
interface Place {
  readonly tensor: tf.TensorInfo;
  readonly at: number;
}

function copyElements(backend: WebGpuBackend, from: Place, to: Place, count: number): void {
  if (count === 0) return;
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  const buffers = [from, to].map(({ tensor: { dataId } }) => {
    backend.uploadToGPU(dataId);
    backend.commandQueueOwnedIds.add(dataId);
    return backend.tensorMap.get(dataId).resource as GPUBuffer;
  }) as [GPUBuffer, GPUBuffer];
  backend.commandEncoder?.copyBufferToBuffer(buffers[0], 4 * from.at, buffers[1], 4 * to.at, 4 * count);
  backend.tensorMap.get(to.tensor.dataId).values = null;
}
