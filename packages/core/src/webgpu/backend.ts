/**
 * tfjs's WebGPU backend with what it lacks: reading synchronously in Node, and errors where the GPU is lost, out of memory or
 * used wrongly. WebGPU reports these later and elsewhere; here the next operation throws them.
 */

import type * as tf from '@tensorflow/tfjs-core';
import { DeviceLostError, formatBytes, OutOfMemoryError } from '../errors.ts';
import type { GpuDevice } from './adapter.ts';
import { BufferPool } from './buffer-pool.ts';
import { startTask, waitForTask } from './dawn.ts';
import { Dispatcher } from './dispatcher.ts';
import { isOfBuffers, layoutOf, type TfjsProgram, type UniformField, uniformsOf } from './tfjs-programs.ts';

/** Buffers of this size together are not kept from others by commands that wait. */
const MOST_BYTES_WAITING = 2 ** 27;

/** A tensor's data, where it is at the moment. */
interface TensorData {
  readonly dtype: tf.DataType;
  readonly shape: number[];
  values: tf.backend_util.BackendValues | null | undefined;
  resource?: GPUBuffer | null;
}

/** The fields of tfjs's `WebGPUBackend` that are used here and by the runner of our kernels. */
export interface TfjsWebGpuBackend extends tf.KernelBackend {
  readonly device: GPUDevice;
  readonly queue: GPUQueue;
  readonly tensorMap: { get(dataId: object): TensorData; has(dataId: object): boolean };
  /** Replaced in {@link createWebGpuBackend}. */
  bufferManager: BufferPool;
  readonly commandQueueOwnedIds: WeakSet<object>;
  /** Tensors that are disposed of, and whose buffers wait for the commands that use them to be submitted. */
  readonly tensorDataPendingDisposal: object[];
  readonly uniformPendingDisposal: GPUBuffer[];
  readonly commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  disposeData(dataId: object, force?: boolean): boolean;
  uploadToGPU(dataId: object): void;
  makeTensorInfo(shape: number[], dtype: tf.DataType, values?: tf.backend_util.BackendValues): tf.TensorInfo;
  runWebGPUProgram(...given: unknown[]): tf.TensorInfo;
  /** Set while `tf.time()` takes times. */
  readonly activeTimers: unknown[] | null | undefined;
  recordAndSubmit(program: TfjsProgram, output: tf.TensorInfo, inputs: tf.TensorInfo[], defined?: UniformField[]): void;
  getQueryTime(): Promise<number>;
}

/** What the package `@tensorflow/tfjs-backend-webgpu` exports. */
export interface TfjsWebGpuModule {
  readonly WebGPUBackend: new (device: GPUDevice, info: GPUAdapterInfo) => TfjsWebGpuBackend;
}

/** The backend, and what our kernels need of it. */
export interface WebGpuBackend extends TfjsWebGpuBackend {
  readonly dispatcher: Dispatcher;
  /** To be told of a tensor that a kernel changed in place: a number of it that is being read is not kept for later. */
  changed(dataId: object): void;
  /** Throws what went wrong on the GPU since the last call. */
  assertWorking(): void;
  /** Waits until everything that it was asked for is computed, and throws what went wrong. */
  finish(): Promise<void>;
  /** A float32 tensor of undefined content on the GPU. */
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
}

/**
 * Makes the backend.
 *
 * @param module tfjs's, loaded by the caller because it is optional
 * @param gpu what computes
 * @param onDawn whether it is Dawn in Node
 */
export function createWebGpuBackend(
  { WebGPUBackend }: TfjsWebGpuModule,
  gpu: GpuDevice,
  onDawn: boolean,
): WebGpuBackend {
  const { device, description } = gpu;

  class Backend extends WebGPUBackend implements WebGpuBackend {
    readonly dispatcher = new Dispatcher(this);
    #problem: Error | undefined;
    #isDisposed = false;
    #bytesWaiting = 0;
    /** How often tensors were changed in place. */
    readonly #changes = new WeakMap<object, number>();

    constructor() {
      super(device, gpu.info);
      void device.lost.then(({ reason, message }) => {
        if (!this.#isDisposed) this.#problem = lost(description, reason, message);
      });
      device.addEventListener('uncapturederror', (event) => {
        event.preventDefault();
        this.#problem ??= this.#uncaptured((event as GPUUncapturedErrorEvent).error);
      });
      const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
      const largest = Math.min(maxBufferSize, maxStorageBufferBindingSize);
      this.bufferManager = new BufferPool((descriptor) => this.#createBuffer(descriptor), largest);
    }

    assertWorking(): void {
      const problem = this.#problem;
      if (problem === undefined) return;
      // A lost device stays lost; everything else is told once.
      if (!(problem instanceof DeviceLostError)) this.#problem = undefined;
      throw problem;
    }

    makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo {
      const info = this.makeTensorInfo(shape, dtype);
      this.uploadToGPU(info.dataId);
      return info;
    }

    /** Does not wait for a full batch of commands where those that wait keep much memory. */
    override disposeData(dataId: object, force?: boolean): boolean {
      const before = this.tensorDataPendingDisposal.length;
      const buffer = this.tensorMap.has(dataId) ? this.tensorMap.get(dataId).resource : undefined;
      const isDisposed = super.disposeData(dataId, force);
      if (this.tensorDataPendingDisposal.length > before && buffer)
        this.#bytesWaiting += this.bufferManager.sizeOf(buffer);
      if (this.#bytesWaiting > MOST_BYTES_WAITING) this.#submit();
      return isDisposed;
    }

    override submitQueue(): void {
      super.submitQueue();
      this.#bytesWaiting = 0;
    }

    #submit(): void {
      this.endComputePassEncoder();
      if (this.commandEncoder !== null) this.submitQueue();
    }

    async finish(): Promise<void> {
      this.#submit();
      await task(() => this.queue.onSubmittedWorkDone());
      this.assertWorking();
    }

    override runWebGPUProgram(...given: unknown[]): tf.TensorInfo {
      this.assertWorking();
      return super.runWebGPUProgram(...given);
    }

    override recordAndSubmit(
      program: TfjsProgram,
      output: tf.TensorInfo,
      inputs: tf.TensorInfo[],
      defined: UniformField[] = [],
    ): void {
      const tensors = [output, ...inputs];
      const buffers = tensors.map(({ dataId }) => this.tensorMap.get(dataId).resource as GPUBuffer);
      if (this.activeTimers != null || !isOfBuffers(program, buffers)) {
        super.recordAndSubmit(program, output, inputs, defined);
        return;
      }
      for (const { dataId } of tensors) this.commandQueueOwnedIds.add(dataId);
      const { pipeline, dispatch } = program;
      this.dispatcher.dispatch(
        { pipeline, layout: layoutOf(pipeline) },
        buffers,
        uniformsOf(program, output, inputs, defined),
        dispatch,
      );
    }

    changed(dataId: object): void {
      this.#changes.set(dataId, (this.#changes.get(dataId) ?? 0) + 1);
      this.tensorMap.get(dataId).values = null;
    }

    override async read(dataId: object): Promise<tf.backend_util.BackendValues> {
      this.assertWorking();
      const changes = this.#changes.get(dataId);
      const values = await task(() => super.read(dataId));
      this.assertWorking();
      // tfjs keeps what it read.
      if (this.#changes.get(dataId) !== changes && this.tensorMap.has(dataId)) this.tensorMap.get(dataId).values = null;
      return values;
    }

    override readSync(dataId: object): tf.backend_util.BackendValues {
      this.assertWorking();
      const data = this.tensorMap.get(dataId);
      const buffer = data.resource;
      if (!onDawn || data.values != null || !buffer || data.dtype === 'complex64') return super.readSync(dataId);
      const { size } = buffer;
      const staging = this.bufferManager.acquireBuffer(size, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
      this.ensureCommandEncoderReady();
      this.endComputePassEncoder();
      (this.commandEncoder as GPUCommandEncoder).copyBufferToBuffer(buffer, 0, staging, 0, size);
      this.submitQueue();
      let failure: Error | undefined;
      startTask(() => staging.mapAsync(GPUMapMode.READ)).catch((error: Error) => {
        failure = error;
      });
      waitForTask(() => staging.mapState !== 'pending');
      if (staging.mapState !== 'mapped') {
        this.assertWorking();
        throw failure ?? new Error('WebGPU: a buffer could not be read. Was the device lost?');
      }
      const bytes = staging.getMappedRange().slice(0);
      staging.unmap();
      this.bufferManager.releaseBuffer(staging);
      this.assertWorking();
      const values = data.dtype === 'float32' ? new Float32Array(bytes) : integers(bytes, data.dtype);
      data.values = values;
      return values;
    }

    override getQueryTime(): Promise<number> {
      return task(() => super.getQueryTime());
    }

    override dispose(): void {
      if (this.#isDisposed) return;
      this.#isDisposed = true;
      super.dispose();
      device.destroy();
    }

    /** Dawn says at once where there is no room; browsers say it later. */
    #createBuffer(descriptor: GPUBufferDescriptor): GPUBuffer | OutOfMemoryError {
      const earlier = this.#problem;
      let buffer: GPUBuffer;
      try {
        buffer = device.createBuffer(descriptor);
      } catch {
        // So it is for buffers that are to be written to at once.
        return this.#outOfMemory();
      }
      const problem = this.#problem;
      if (earlier !== undefined || !(problem instanceof OutOfMemoryError)) return buffer;
      this.#problem = undefined;
      return problem;
    }

    #uncaptured(error: GPUError): Error {
      if (error.constructor.name !== 'GPUOutOfMemoryError') {
        return new Error(`WebGPU (${description}): ${error.message}`);
      }
      const problem = this.#outOfMemory();
      this.bufferManager.startAfresh();
      return problem;
    }

    #outOfMemory(): OutOfMemoryError {
      const { numBytesUsed: used, numBytesAllocated: allocated } = this.bufferManager;
      return new OutOfMemoryError(undefined, used, allocated, full(description, used, allocated));
    }
  }

  const task = <R>(start: () => R): R => (onDawn ? startTask(start) : start());
  return new Backend();
}

function full(description: string, used: number, allocated: number): string {
  return (
    `Out of memory: the GPU (${description}) has no room beside the ${formatBytes(used)} that are in use, ${formatBytes(allocated)} with what ` +
    'is kept for reuse. Dispose tensors (tf.tidy), or use smaller batches.'
  );
}

function lost(description: string, reason: string | undefined, message: string): DeviceLostError {
  return new DeviceLostError(
    `The GPU (${description}) was lost${reason ? ` (${reason})` : ''}: ${message.trim() || 'no reason was given'}. What was on it is ` +
      "gone. Call init({ device: 'webgpu' }) for a new device; training runs go on from their last checkpoint.",
  );
}

/** Integers and truth values have four bytes each on the GPU. */
function integers(bytes: ArrayBuffer, dtype: tf.DataType): Int32Array | Uint8Array {
  const values = new Int32Array(bytes);
  return dtype === 'bool' ? Uint8Array.from(values) : values;
}
