/**
 * Rows by segment on the GPU: a stable sort, and sums in the order of the rows. tfjs's own sums are atomic additions, whose last bits
 * change from run to run; those of embeddings' gradients are these.
 */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { SEGMENT_COLUMNS, segmentSums } from './kernels/segment-sums.ts';
import { sortBlockOffsets } from './kernels/sort-block-offsets.ts';
import { SORT_BLOCK, sortCounts } from './kernels/sort-counts.ts';
import { sortOffsets } from './kernels/sort-offsets.ts';
import { sortOrder } from './kernels/sort-order.ts';
import { runKernel } from './program.ts';

/** Kernels as the operations call them: see the engine's `backend/kernels/vector-quantization.ts`; and tfjs's of this name. */
export const segmentKernels: GpuKernelTable = {
  FwpSegmentSum: ({ inputs, attrs, backend }) => {
    const { values, segmentIds } = inputs as { values: TensorInfo; segmentIds: TensorInfo };
    const { segments } = attrs as { segments: number };
    const size = values.shape[1] as number;
    return outputsOf(backend, [[segments, size], [segments]], (sums, counts) =>
      sumSegments(backend, { values, ids: segmentIds, sums: sums as TensorInfo, counts }, segments),
    );
  },
  UnsortedSegmentSum: unsortedSegmentSum,
};

/** Most counts of the sort; beyond them, 64 MiB, tfjs's atomic additions have to do. */
const MOST_COUNTS = 2 ** 24;

/** Counts of every block of rows, and of all. */
function countsOf({ shape }: TensorInfo, segments: number): number {
  return (Math.ceil(util.sizeFromShape(shape) / SORT_BLOCK) + 1) * (segments + 1);
}

function unsortedSegmentSum({ inputs, attrs, backend, fallback }: GpuKernelCall): TensorInfo | TensorInfo[] {
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
  const { numSegments } = attrs as { numSegments: number };
  if (x.dtype !== 'float32' || countsOf(segmentIds, numSegments) > MOST_COUNTS) return fallback();
  const shape = [numSegments, ...x.shape.slice(1)];
  const [sums] = outputsOf(backend, [shape], (filled) =>
    sumSegments(backend, { values: x, ids: segmentIds, sums: filled as TensorInfo }, numSegments),
  );
  return sums as TensorInfo;
}

/** values [rows, …] → sums [segments, …], counts [segments] */
export interface SegmentTensors {
  readonly values: TensorInfo;
  readonly ids: TensorInfo;
  readonly sums: TensorInfo;
  readonly counts?: TensorInfo | undefined;
}

/** Fills sums, and counts if they are given. */
export function sumSegments(
  backend: WebGpuBackend,
  { values, ids, sums, counts }: SegmentTensors,
  segments: number,
): void {
  const rows = util.sizeFromShape(ids.shape);
  const size = util.sizeFromShape(values.shape.slice(1));
  if (rows === 0 || segments === 0) {
    clear(backend, counts === undefined ? [sums] : [sums, counts]);
    return;
  }
  withWorkspace(backend, [rows, segments + 1], (order, offsets) => {
    sortBySegment(backend, ids, segments, order as TensorInfo, offsets as TensorInfo);
    runKernel(backend, segmentSums, {
      tensors: { values, order, offsets, sums: size > 0 ? sums : undefined, counts },
      parameters: { segments, size },
      groups: segments * Math.max(1, Math.ceil(size / SEGMENT_COLUMNS)),
    });
  });
}

/**
 * Sorts rows by segment; those of equal segments stay in their order, and those of none come last.
 *
 * @param ids int32 [rows], at least one
 * @param segments number of segments
 * @param order [rows], filled with the rows
 * @param offsets [segments + 1], filled with where each segment begins
 */
export function sortBySegment(
  backend: WebGpuBackend,
  ids: TensorInfo,
  segments: number,
  order: TensorInfo,
  offsets: TensorInfo,
): void {
  const rows = util.sizeFromShape(ids.shape);
  const blocks = Math.ceil(rows / SORT_BLOCK);
  withWorkspace(backend, [countsOf(ids, segments)], (counts) => {
    const [ofRows, ofBlocks] = [
      { rows, segments },
      { blocks, segments },
    ];
    runKernel(backend, sortCounts, { tensors: { ids, counts }, parameters: ofRows, groups: blocks });
    const groups = Math.ceil((segments + 1) / 64);
    runKernel(backend, sortBlockOffsets, { tensors: { counts }, parameters: ofBlocks, groups });
    runKernel(backend, sortOffsets, { tensors: { counts, offsets }, parameters: ofBlocks, groups: 1 });
    runKernel(backend, sortOrder, { tensors: { ids, counts, offsets, order }, parameters: ofRows, groups: blocks });
  });
}
