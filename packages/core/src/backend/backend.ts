/**
 * The tfjs backend `fwp`: tensors live in the engine's heap, kernels are C functions on byte offsets.
 *
 * float32 and int32 take four bytes an element, bool one; complex64 is a pair of float32 tensors, and string
 * tensors stay in JavaScript. Data are reference-counted, so that reshapes and clones share them.
 */

import {
  type BackendValues,
  backend_util,
  buffer,
  type DataId,
  DataStorage,
  type DataType,
  KernelBackend,
  kernel_impls,
  type Rank,
  type Tensor,
  type Tensor2D,
  type TensorBuffer,
  type TensorInfo,
  type TypedArray,
  engine as tfEngine,
  util,
} from '@tensorflow/tfjs-core';
import type { Engine } from '../engine/engine.ts';

/** The name under which the backend is registered with tfjs. */
export const BACKEND_NAME = 'fwp';

/** What the backend keeps for each `dataId`. */
interface TensorData {
  dtype: DataType;
  refCount: number;
  /** Byte offset in the heap, or 0 for strings and complex numbers. */
  offset: number;
  /** Number of bytes that were allocated at `offset`. */
  bytes: number;
  /** How many entries refer to the block at `offset`; absent as long as this is the only one. */
  sharing?: { count: number };
  /** The elements of a string tensor, UTF-8 encoded. */
  strings?: Uint8Array[];
  /** The two halves of a complex64 tensor. */
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo };
}

/** Bytes that an element of a heap-resident dtype takes. */
export function bytesPerElement(dtype: DataType): number {
  switch (dtype) {
    case 'float32':
    case 'int32':
      return 4;
    case 'bool':
      return 1;
    default:
      throw new Error(`A ${dtype} tensor has no single block in the heap.`);
  }
}

/** tfjs's view of the engine. Registered by `init()`; get it with `tf.backend()`. */
export class FwpBackend extends KernelBackend {
  /** The heap and the kernels. */
  readonly engine: Engine;
  readonly #data: DataStorage<TensorData>;
  readonly #fallbackCalls = new Map<string, number>();

  constructor(engine: Engine) {
    super();
    this.engine = engine;
    this.#data = new DataStorage(this, { moveData: moveDataOfLiveTensor });
  }

  // ---- for kernels -------------------------------------------------------------------------------

  /** Byte offset of a float32, int32 or bool tensor in the heap. */
  offsetOf(tensor: TensorInfo): number {
    return this.#data.get(tensor.dataId).offset;
  }

  /**
   * Makes sure that the data of all inputs are here, taking them over from other backends.
   *
   * @throws Error if one of them was disposed; before the kernel has allocated anything
   */
  requireData(inputs: object): void {
    for (const input of Object.values(inputs) as (TensorInfo | TensorInfo[] | null | undefined)[]) {
      if (input === null || input === undefined) continue;
      if (Array.isArray(input)) this.requireData(input);
      else this.#data.get(input.dataId);
    }
  }

  /** A new tensor of undefined content. */
  makeOutput(shape: number[], dtype: DataType = 'float32'): TensorInfo {
    const bytes = sizeOf(shape) * bytesPerElement(dtype);
    const dataId = {};
    this.#data.set(dataId, { dtype, refCount: 1, offset: this.engine.allocate(bytes), bytes });
    return { dataId, shape, dtype };
  }

  /** A new tensor with the given content. */
  makeTensor(values: BackendValues, shape: number[], dtype: DataType): TensorInfo {
    return { dataId: this.write(values, shape, dtype), shape, dtype };
  }

  /** A tensor of another shape (and, for equal element sizes, dtype) that shares the data. */
  alias(tensor: TensorInfo, shape: number[], dtype: DataType = tensor.dtype): TensorInfo {
    if (dtype === tensor.dtype) {
      this.incRef(tensor.dataId);
      return { dataId: tensor.dataId, shape, dtype };
    }
    throw new Error(`Cannot share ${tensor.dtype} data as ${dtype}.`);
  }

  /** Gives up one reference to an intermediate result. */
  release(tensor: TensorInfo): void {
    this.disposeData(tensor.dataId);
  }

  /** Reserves memory while `use` runs. */
  withWorkspace<T>(bytes: number, use: (offset: number) => T): T {
    const offset = this.engine.allocate(bytes);
    try {
      return use(offset);
    } finally {
      this.engine.free(offset, bytes);
    }
  }

  /**
   * Another tensor on the same block of the heap, with a life of its own: tfjs counts tensors by `dataId`, and a
   * complex tensor and its halves must not be counted as one.
   */
  share(tensor: TensorInfo): TensorInfo {
    const data = this.#data.get(tensor.dataId);
    if (data.sharing === undefined) data.sharing = { count: 1 };
    data.sharing.count++;
    const dataId = {};
    this.#data.set(dataId, { ...data, refCount: 1 });
    return { dataId, shape: tensor.shape, dtype: tensor.dtype };
  }

  /** A complex64 tensor; its halves share the data of the given tensors. */
  makeComplex(real: TensorInfo, imag: TensorInfo): TensorInfo {
    const dataId = {};
    const complexTensorInfos = { real: this.share(real), imag: this.share(imag) };
    this.#data.set(dataId, { dtype: 'complex64', refCount: 1, offset: 0, bytes: 0, complexTensorInfos });
    return { dataId, shape: real.shape, dtype: 'complex64' };
  }

  /** The halves of a complex64 tensor; still owned by it. */
  complexParts(tensor: TensorInfo): { real: TensorInfo; imag: TensorInfo } {
    const parts = this.#data.get(tensor.dataId).complexTensorInfos;
    if (parts === undefined) throw new Error(`Expected a complex64 tensor, but the dtype is ${tensor.dtype}.`);
    return parts;
  }

  /** How often each tfjs kernel ran through tfjs's own CPU implementation: candidates for a C kernel. */
  fallbackCalls(): ReadonlyMap<string, number> {
    return this.#fallbackCalls;
  }

  /** Counts a call of the fallback. */
  countFallback(kernelName: string): void {
    this.#fallbackCalls.set(kernelName, (this.#fallbackCalls.get(kernelName) ?? 0) + 1);
  }

  // ---- for tfjs ----------------------------------------------------------------------------------

  override write(values: BackendValues, shape: number[], dtype: DataType): DataId {
    const dataId = {};
    this.#store(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(dataId: DataId, values: BackendValues, shape: number[], dtype: DataType, refCount: number): void {
    this.#store(dataId, values, shape, dtype, refCount);
  }

  override async read(dataId: DataId): Promise<BackendValues> {
    return this.readSync(dataId);
  }

  override readSync(dataId: DataId): BackendValues {
    const data = this.#data.get(dataId);
    if (data.strings !== undefined) return data.strings;
    if (data.complexTensorInfos !== undefined) {
      const real = this.readSync(data.complexTensorInfos.real.dataId) as Float32Array;
      const imag = this.readSync(data.complexTensorInfos.imag.dataId) as Float32Array;
      return backend_util.mergeRealAndImagArrays(real, imag);
    }
    return this.#view(data).slice();
  }

  /** The elements of a heap-resident tensor, in place; valid until the next allocation. */
  viewOf(tensor: TensorInfo): TypedArray {
    return this.#view(this.#data.get(tensor.dataId));
  }

  /** A tfjs buffer with a copy of the values; string tensors are decoded. */
  bufferSync(tensor: TensorInfo): TensorBuffer<Rank> {
    const values = this.readSync(tensor.dataId);
    const decoded =
      tensor.dtype === 'string' ? (values as Uint8Array[]).map((bytes) => util.decodeString(bytes)) : values;
    return buffer(tensor.shape as [number], tensor.dtype, decoded as never) as TensorBuffer<Rank>;
  }

  override numDataIds(): number {
    return this.#data.numDataIds();
  }

  override refCount(dataId: DataId): number {
    return this.#data.has(dataId) ? this.#data.get(dataId).refCount : 0;
  }

  override incRef(dataId: DataId): void {
    this.#data.get(dataId).refCount++;
  }

  decRef(dataId: DataId): void {
    if (this.#data.has(dataId)) this.#data.get(dataId).refCount--;
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.#data.has(dataId)) return true;
    const data = this.#data.get(dataId);
    data.refCount--;
    if (!force && data.refCount > 0) return false;
    if (data.complexTensorInfos !== undefined) {
      this.disposeData(data.complexTensorInfos.real.dataId);
      this.disposeData(data.complexTensorInfos.imag.dataId);
    } else if (data.strings === undefined && (data.sharing === undefined || --data.sharing.count === 0)) {
      this.engine.free(data.offset, data.bytes);
    }
    this.#data.delete(dataId);
    return true;
  }

  override async time(run: () => void): Promise<{ kernelMs: number }> {
    const start = util.now();
    run();
    return { kernelMs: util.now() - start };
  }

  override memory(): { unreliable: boolean; numBytesInHeap: number; numBytesLive: number } {
    const { heapBytes, liveBytes } = this.engine.statistics();
    return { unreliable: false, numBytesInHeap: heapBytes, numBytesLive: liveBytes };
  }

  where(condition: Tensor): Tensor2D {
    return kernel_impls.whereImpl(condition.shape, this.readSync(condition.dataId) as TypedArray);
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {
    this.engine.dispose();
  }

  // ---- storage -----------------------------------------------------------------------------------

  #view(data: TensorData): TypedArray {
    switch (data.dtype) {
      case 'float32':
        return this.engine.float32(data.offset, data.bytes / 4);
      case 'int32':
        return this.engine.int32(data.offset, data.bytes / 4);
      case 'bool':
        return this.engine.uint8(data.offset, data.bytes);
      default:
        throw new Error(`A ${data.dtype} tensor has no single block in the heap.`);
    }
  }

  #store(dataId: DataId, values: BackendValues, shape: number[], dtype: DataType, refCount: number): void {
    if (dtype === 'string') {
      const strings = values as unknown as Uint8Array[];
      this.#data.set(dataId, { dtype, refCount, offset: 0, bytes: 0, strings });
      return;
    }
    if (dtype === 'complex64') {
      const { real, imag } = backend_util.splitRealAndImagArrays(values as Float32Array);
      this.#data.set(dataId, {
        dtype,
        refCount,
        offset: 0,
        bytes: 0,
        complexTensorInfos: {
          real: this.makeTensor(real, shape, 'float32'),
          imag: this.makeTensor(imag, shape, 'float32'),
        },
      });
      return;
    }
    const size = sizeOf(shape);
    const bytes = size * bytesPerElement(dtype);
    const data: TensorData = { dtype, refCount, offset: this.engine.allocate(bytes), bytes };
    this.#data.set(dataId, data);
    if (values !== null && values !== undefined && size > 0) {
      const view = this.#view(data);
      const source = values as TypedArray;
      view.set(source.length > size ? source.subarray(0, size) : source);
    }
  }
}

/** Takes data over from another backend, or says why there are none. */
function moveDataOfLiveTensor(backend: KernelBackend, dataId: DataId): void {
  const engine = tfEngine();
  if (!engine.state.tensorInfo.has(dataId)) {
    throw new Error(
      'A tensor was used after it was disposed, or outside of the tf.tidy() in which it was made. ' +
        'Return it from the tidy, or keep it with tf.keep().',
    );
  }
  engine.moveData(backend, dataId);
}

function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}
