/**
 * Puts kernels into the stream of commands. A step of a training asks for the same kernels with the same parameters on the same buffers
 * (`buffer-pool.ts`) as the one before, and what WebGPU wants made for each of them, a buffer for the parameters and a bind group, costs
 * more than the command itself: both are kept.
 */

import * as tf from '@tensorflow/tfjs-core';
import type { TfjsWebGpuBackend } from './backend.ts';

/** So many of either are kept at least, twice as many at most. */
const KEPT = 8192;

/** A kernel that is ready. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** One for each GPU device. */
export class Dispatcher {
  readonly #backend: TfjsWebGpuBackend;
  readonly #layouts = new WeakMap<GPUBindGroupLayout, number>();
  readonly #parameters: Generations<GPUBuffer>;
  readonly #bindGroups: Generations<GPUBindGroup>;
  #layoutCount = 0;

  /**
   * @param backend whose commands they are
   * @param kept how many parameters and bind groups are kept at least
   */
  constructor(backend: TfjsWebGpuBackend, kept: number = KEPT) {
    this.#backend = backend;
    this.#bindGroups = new Generations(kept, () => {});
    // It may be in a command that waits.
    this.#parameters = new Generations(kept, (buffer) => backend.uniformPendingDisposal.push(buffer));
  }

  /**
   * Adds a command, and submits what there is if that is enough.
   *
   * @param kernel bindings are `buffers`, then the parameters
   * @param buffers from the backend's pool
   * @param parameters a uniform's bytes
   * @param groups workgroups along each dimension
   * @param isVolatile whether these parameters will not come again, so that they are not kept
   */
  dispatch(
    { pipeline, layout }: Pipeline,
    buffers: readonly GPUBuffer[],
    parameters: ArrayBuffer,
    [x, y = 1, z = 1]: readonly [number, number?, number?],
    isVolatile = false,
  ): void {
    const backend = this.#backend;
    const bindGroup = this.#bindGroup(layout, [...buffers, this.#parameterBuffer(parameters, isVolatile)]);
    backend.ensureCommandEncoderReady();
    backend.computePassEncoder ??= (backend.commandEncoder as GPUCommandEncoder).beginComputePass();
    const pass = backend.computePassEncoder;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(x, y, z);
    backend.dispatchCountInPass++;
    if (backend.dispatchCountInPass >= tf.env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE')) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
  }

  #bindGroup(layout: GPUBindGroupLayout, buffers: readonly GPUBuffer[]): GPUBindGroup {
    const { bufferManager, device } = this.#backend;
    let number = this.#layouts.get(layout);
    if (number === undefined) {
      number = this.#layoutCount++;
      this.#layouts.set(layout, number);
    }
    let key = `${number}`;
    for (const buffer of buffers) key += ` ${bufferManager.numberOf(buffer)}`;
    return this.#bindGroups.get(key, () =>
      device.createBindGroup({
        layout,
        entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
      }),
    );
  }

  #parameterBuffer(bytes: ArrayBuffer, isVolatile: boolean): GPUBuffer {
    const { bufferManager, queue, uniformPendingDisposal } = this.#backend;
    const make = (): GPUBuffer => {
      const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.UNIFORM;
      const buffer = bufferManager.acquireBuffer(bytes.byteLength, usage);
      queue.writeBuffer(buffer, 0, bytes);
      return buffer;
    };
    if (!isVolatile) return this.#parameters.get(String.fromCharCode(...new Uint16Array(bytes)), make);
    const buffer = make();
    uniformPendingDisposal.push(buffer);
    return buffer;
  }
}

/** Values by key, of which those that were not asked for recently are dropped. */
export class Generations<V> {
  readonly #size: number;
  readonly #drop: (value: V) => void;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  /**
   * @param size how many were asked for last that are certainly there
   * @param drop is told of values that are not kept any more
   */
  constructor(size: number, drop: (value: V) => void) {
    this.#size = size;
    this.#drop = drop;
  }

  /** The value of a key, made if there is none. */
  get(key: string, make: () => V): V {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    let value = this.#old.get(key);
    if (value === undefined) value = make();
    else this.#old.delete(key);
    if (this.#young.size >= this.#size) {
      for (const dropped of this.#old.values()) this.#drop(dropped);
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
    return value;
  }
}
