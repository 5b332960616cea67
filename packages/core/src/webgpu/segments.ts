/**
 * Rows by segment on the GPU: a stable sort, and sums in the order of the rows. tfjs's own sums are atomic additions, whose last bits
 * change from run to run; those of embeddings' gradients are these.
 */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { OFFSET_LANES, segmentOffsets } from './kernels/segment-offsets.ts';
import { SEGMENT_LANES, segmentSums } from './kernels/segment-sums.ts';
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

function unsortedSegmentSum({ inputs, attrs, backend, fallback }: GpuKernelCall): TensorInfo | TensorInfo[] {
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
  const { numSegments } = attrs as { numSegments: number };
  if (x.dtype !== 'float32') return fallback();
  const shape = [numSegments, ...x.shape.slice(1)];
  const [sums] = outputsOf(backend, [shape], (filled) =>
    sumSegments(backend, { values: x, ids: segmentIds, sums: filled as TensorInfo }, numSegments),
  );
  return sums as TensorInfo;
}

/** values [rows, …] → sums [segments, …], counts [segments]; rows, as many as ids, may lie along several axes */
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
  if (rows === 0 || segments === 0) {
    clear(backend, counts === undefined ? [sums] : [sums, counts]);
    return;
  }
  const size = util.sizeFromShape(values.shape) / rows;
  withWorkspace(backend, [rows, segments + 1], (order, offsets) => {
    sortBySegment(backend, ids, segments, order as TensorInfo, offsets as TensorInfo);
    runKernel(backend, segmentSums, {
      tensors: { values, order, offsets, sums: size > 0 ? sums : undefined, counts },
      parameters: { segments, size },
      groups: Math.ceil((segments * Math.max(1, size)) / SEGMENT_LANES),
    });
  });
}

/** Digits of a sort in several passes. */
const DIGITS = 256;
/** Up to so many segments, one pass, whose digits are the segments themselves, costs no more than two. */
const MOST_IN_ONE_PASS = 2 * DIGITS;

/**
 * Sorts rows by segment; those of equal segments stay in their order, and those of none come last. Many segments are sorted by one
 * digit after the other, from the last one on (radix sort: Knuth, section 5.2.5, algorithm R).
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
  if (segments < MOST_IN_ONE_PASS) {
    sortByDigit(backend, { ids, order, offsets }, { segments, shift: 0, digits: segments + 1 });
    return;
  }
  const rows = util.sizeFromShape(ids.shape);
  const passes = Math.ceil(Math.log2(segments + 1) / Math.log2(DIGITS));
  withWorkspace(backend, [rows, DIGITS], (other, digitOffsets) => {
    let before: TensorInfo | undefined;
    for (let pass = 0; pass < passes; pass++) {
      // The last pass fills `order`.
      const filled = (passes - pass) % 2 === 1 ? order : (other as TensorInfo);
      const tensors = { ids, before, order: filled, offsets: digitOffsets as TensorInfo };
      sortByDigit(backend, tensors, { segments, shift: pass * Math.log2(DIGITS), digits: DIGITS });
      before = filled;
    }
  });
  runKernel(backend, segmentOffsets, {
    tensors: { ids, order, offsets },
    parameters: { rows, segments },
    groups: Math.ceil((segments + 1) / OFFSET_LANES),
  });
}

/** ids [rows], before [rows] → order [rows], offsets [digits] */
interface SortTensors {
  readonly ids: TensorInfo;
  /** The order until now. */
  readonly before?: TensorInfo | undefined;
  readonly order: TensorInfo;
  readonly offsets: TensorInfo;
}

/** One pass: see `kernels/sort-counts.ts`. */
function sortByDigit(
  backend: WebGpuBackend,
  { ids, before, order, offsets }: SortTensors,
  by: { segments: number; shift: number; digits: number },
): void {
  const { digits } = by;
  const rows = util.sizeFromShape(ids.shape);
  const blocks = Math.ceil(rows / SORT_BLOCK);
  withWorkspace(backend, [(blocks + 1) * digits], (counts) => {
    const ofRows = { rows, ...by };
    const ofBlocks = { blocks, digits };
    runKernel(backend, sortCounts, { tensors: { ids, before, counts }, parameters: ofRows, groups: blocks });
    const groups = Math.ceil(digits / 64);
    runKernel(backend, sortBlockOffsets, { tensors: { counts }, parameters: ofBlocks, groups });
    runKernel(backend, sortOffsets, { tensors: { counts, offsets }, parameters: ofBlocks, groups: 1 });
    runKernel(backend, sortOrder, {
      tensors: { ids, before, counts, offsets, order },
      parameters: ofRows,
      groups: blocks,
    });
  });
}
