/** Reading and writing by integer indices: gather, scatter, segment sums, one-hot and top-k. */

import { backend_util, type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { ID_ADVICE, indexError } from '../../index-checks.ts';
import { bytesPerElement, type FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { allOrNothing, filled } from '../outputs.ts';
import { CopyAxes, sizeOf, stridedCopy } from '../strided-copy.ts';

/** Length of the index tuples that the C kernels take. */
const MAX_TUPLE = 8;
/** Largest k of the C kernel: its heap of 8 bytes an entry lives in a thread's scratch memory. */
const MAX_K = (1 << 20) / 8;

/** How `scatter_nd` treats what is at an index already. */
const ADD_FLOATS = 0;
const ADD_INTEGERS = 1;
const WRITE = 2;

/** tfjs kernels of this family. */
export const indexingKernels: KernelTable = {
  GatherV2: gatherV2,
  FwpEmbedding: embedding,
  GatherNd: gatherNd,
  ScatterNd: scatterNd,
  TensorScatterUpdate: tensorScatterUpdate,
  SparseToDense: sparseToDense,
  UnsortedSegmentSum: unsortedSegmentSum,
  OneHot: oneHot,
  TopK: topK,
};

function isNumber(x: TensorInfo): boolean {
  return x.dtype === 'float32' || x.dtype === 'int32';
}

function inHeap(x: TensorInfo): boolean {
  return isNumber(x) || x.dtype === 'bool';
}

// ---- gather ----------------------------------------------------------------------------------------

function gatherV2(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const { x, indices } = inputs as { x: TensorInfo; indices: TensorInfo };
  if (!inHeap(x) || indices.dtype !== 'int32') return fallback('GatherV2', call);
  const axis = util.parseAxisParam(attrs.axis, x.shape)[0] as number;
  const shapes = backend_util.segment_util.collectGatherOpShapeInfo(
    x as never,
    indices as never,
    axis,
    attrs.batchDims ?? 0,
  );
  const { batchSize, outerSize, dimSize, sliceSize } = shapes;
  const y = backend.makeOutput(shapes.outputShape, x.dtype);
  return filled(backend, y, () => {
    const bad = backend.engine.run(
      'gather',
      backend.offsetOf(x),
      backend.offsetOf(indices),
      backend.offsetOf(y),
      bytesPerElement(x.dtype),
      batchSize,
      outerSize,
      dimSize,
      sliceSize,
      batchSize === 0 ? 0 : sizeOf(indices.shape) / batchSize,
    );
    if (bad === 0) return;
    const index = backend.viewOf(indices)[bad - 1];
    throw new Error(`GatherV2: the index value ${index} is not in [0, ${dimSize - 1}]`);
  });
}

/** Rows of `table` [rows, features] by `ids` of any shape. */
function embedding({ inputs, backend }: KernelCall): TensorInfo {
  const { table, ids } = inputs as { table: TensorInfo; ids: TensorInfo };
  const [rows, features] = table.shape as [number, number];
  const y = backend.makeOutput([...ids.shape, features], table.dtype);
  return filled(backend, y, () => {
    const [from, at, to] = [table, ids, y].map((tensor) => backend.offsetOf(tensor)) as [number, number, number];
    const bad = backend.engine.run('gather', from, at, to, 4, 1, 1, rows, features, sizeOf(ids.shape));
    if (bad === 0) return;
    const value = backend.viewOf(ids)[bad - 1] as number;
    throw indexError('embedding: ids', ids.shape, bad - 1, value, rows, ID_ADVICE);
  });
}

function gatherNd(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, backend } = call;
  const { params, indices } = inputs as { params: TensorInfo; indices: TensorInfo };
  const tuple = indices.shape.at(-1) ?? 0;
  if (!inHeap(params) || indices.dtype !== 'int32' || tuple > MAX_TUPLE) return fallback('GatherNd', call);
  const [shape, count, slice, strides] = backend_util.prepareAndValidate(params as never, indices as never);
  const y = backend.makeOutput(shape, params.dtype);
  if (sizeOf(shape) === 0) return y;
  return filled(backend, y, () =>
    backend.withWorkspace(count * 4, (rows) => {
      const bad = backend.engine.run(
        'gather_nd',
        backend.offsetOf(params),
        backend.offsetOf(indices),
        backend.offsetOf(y),
        rows,
        bytesPerElement(params.dtype),
        count,
        tuple,
        slice,
        sizeOf(params.shape) / slice,
        ...eight(strides),
      );
      if (bad > 0) throw invalidTuple(backend, indices, bad - 1, tuple, params.shape);
    }),
  );
}

/** Strides filled up to the number that the C kernels take. */
function eight(strides: readonly number[]): number[] {
  return Array.from({ length: MAX_TUPLE }, (_, d) => strides[d] ?? 0);
}

function invalidTuple(backend: FwpBackend, indices: TensorInfo, at: number, tuple: number, shape: number[]): Error {
  const index = backend.viewOf(indices).subarray(at * tuple, (at + 1) * tuple);
  return new Error(`Invalid indices: ${index} does not index into ${shape}`);
}

// ---- scatter ---------------------------------------------------------------------------------------

function scatterNd(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs } = call;
  const { indices, updates } = inputs as { indices: TensorInfo; updates: TensorInfo };
  if (!isNumber(updates) || indices.dtype !== 'int32') return fallback('ScatterNd', call);
  const shape = attrs.shape as number[];
  const mode = updates.dtype === 'int32' ? ADD_INTEGERS : ADD_FLOATS;
  return scatter(call, indices, updates, shape, updates.dtype, mode) ?? fallback('ScatterNd', call);
}

function tensorScatterUpdate(call: KernelCall): TensorInfo | TensorInfo[] {
  const { tensor, indices, updates } = call.inputs as { tensor: TensorInfo; indices: TensorInfo; updates: TensorInfo };
  const supported = inHeap(tensor) && tensor.dtype === updates.dtype && indices.dtype === 'int32';
  const start = (y: TensorInfo): void => {
    const axes = new CopyAxes();
    axes.add(sizeOf(tensor.shape), 1, 1);
    stridedCopy(call.backend, tensor, y, axes);
  };
  return (
    (supported && scatter(call, indices, updates, tensor.shape, tensor.dtype, WRITE, start)) ||
    fallback('TensorScatterUpdate', call)
  );
}

function sparseToDense(call: KernelCall): TensorInfo | TensorInfo[] {
  const { sparseIndices, sparseValues, defaultValue } = call.inputs as {
    sparseIndices: TensorInfo;
    sparseValues: TensorInfo;
    defaultValue: TensorInfo;
  };
  const shape = call.attrs.outputShape as number[];
  const { dtype } = sparseValues;
  const supported = inHeap(sparseValues) && defaultValue.dtype === dtype && sparseIndices.dtype === 'int32';
  const start = (y: TensorInfo): void => {
    const axes = new CopyAxes();
    axes.add(sizeOf(shape), 0, 1);
    stridedCopy(call.backend, defaultValue, y, axes);
  };
  return (
    (supported && scatter(call, sparseIndices, sparseValues, shape, dtype, WRITE, start)) ||
    fallback('SparseToDense', call)
  );
}

/**
 * Scatters `updates` into a new tensor, which `start` fills if updates overwrite what is there. Returns undefined for
 * index tuples that are too long for the C kernel.
 */
function scatter(
  { backend }: KernelCall,
  indices: TensorInfo,
  updates: TensorInfo,
  shape: number[],
  dtype: DataType,
  mode: number,
  start?: (y: TensorInfo) => void,
): TensorInfo | undefined {
  const shapes = backend_util.calculateShapes(updates as never, indices as never, shape);
  const { sliceRank, numUpdates, sliceSize, strides, outputSize } = shapes;
  if (sliceRank > MAX_TUPLE) return undefined;
  const y = backend.makeOutput(shape, dtype);
  if (outputSize === 0) return y;
  return filled(backend, y, () => {
    start?.(y);
    backend.withWorkspace(numUpdates * 4, (rows) => {
      const bad = backend.engine.run(
        'scatter_nd',
        backend.offsetOf(indices),
        backend.offsetOf(updates),
        backend.offsetOf(y),
        rows,
        mode,
        bytesPerElement(dtype),
        numUpdates,
        sliceRank,
        sliceSize,
        outputSize / sliceSize,
        mode === WRITE && updates.shape.length === 0 ? 0 : sliceSize,
        ...eight(strides),
      );
      if (bad > 0) throw invalidTuple(backend, indices, bad - 1, sliceRank, shape);
    });
  });
}

function unsortedSegmentSum(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
  const numSegments = attrs.numSegments as number;
  const count = sizeOf(segmentIds.shape);
  if (!isNumber(x) || segmentIds.dtype !== 'int32' || segmentIds.shape.length !== 1 || count !== x.shape[0]) {
    return fallback('UnsortedSegmentSum', call);
  }
  const shape = [numSegments, ...x.shape.slice(1)];
  const y = backend.makeOutput(shape, x.dtype);
  backend.engine.run(
    'segment_sum',
    backend.offsetOf(segmentIds),
    backend.offsetOf(x),
    backend.offsetOf(y),
    Number(x.dtype === 'int32'),
    count,
    sizeOf(x.shape.slice(1)),
    numSegments,
  );
  return y;
}

// ---- one-hot and top-k -----------------------------------------------------------------------------

function oneHot(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const indices = inputs.indices as TensorInfo;
  const dtype = attrs.dtype as DataType;
  if (indices.dtype !== 'int32' || !inHeap({ ...indices, dtype })) return fallback('OneHot', call);
  const depth = attrs.depth as number;
  const y = backend.makeOutput([...indices.shape, depth], dtype);
  backend.engine.run(
    'one_hot',
    backend.offsetOf(indices),
    backend.offsetOf(y),
    dtype === 'float32' ? 4 : dtype === 'int32' ? -4 : 1,
    sizeOf(indices.shape),
    depth,
    attrs.onValue,
    attrs.offValue,
  );
  return y;
}

function topK(call: KernelCall): TensorInfo | TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const x = inputs.x as TensorInfo;
  const k = attrs.k as number;
  if (!isNumber(x) || k > MAX_K) return fallback('TopK', call);
  const n = x.shape.at(-1) as number;
  const shape = [...x.shape.slice(0, -1), k];
  const [values, indices] = allOrNothing(backend, [
    () => backend.makeOutput(shape, x.dtype),
    () => backend.makeOutput(shape.slice(), 'int32'),
  ]);
  backend.engine.run(
    'top_k',
    backend.offsetOf(x),
    backend.offsetOf(values),
    backend.offsetOf(indices),
    Number(x.dtype === 'int32'),
    sizeOf(x.shape.slice(0, -1)),
    n,
    k,
  );
  return [values, indices];
}
