/** Vector quantisation: nearest codes, sums by code, sums over neighbours on a grid, moving averages of a codebook. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { indexError, SEGMENT_ADVICE } from '../../index-checks.ts';
import { type CodebookAverageAttributes, SMOOTHINGS } from '../../ops/codebook-average.ts';
import type { NeighborSumAttributes } from '../../ops/grid-neighbor-sum.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { allOrNothing, filled, floatOutputs } from '../outputs.ts';
import { sizeOf } from '../strided-copy.ts';

/** Vectors that pass over the codes together: `VQ_ROWS` of `csrc/vector-quantization.c`. */
const ROWS_OF_PASS = 64;

/**
 * Kernels of `vqAssign`, `vqQuantize`, `vqQuantizeSum`, `segmentSum`, `gridNeighborSum` and `codebookAverage`.
 *
 * | kernel               | inputs                                         | outputs                              |
 * |----------------------|------------------------------------------------|--------------------------------------|
 * | `FwpVqAssign`        | vectors, codebook                              | indices                              |
 * | `FwpVqQuantize`      | vectors, codebook                              | output, indices, error               |
 * | `FwpVqQuantizeSum`   | vectors, codebook                              | output, indices, error, sums, counts |
 * | `FwpVqQuantizeGrad`  | dy, derror, vectors, output                    | dvectors                             |
 * | `FwpSegmentSum`      | values, segmentIds                             | sums, counts                         |
 * | `FwpGridNeighborSum` | x                                              | y                                    |
 * | `FwpCodebookAverage` | counts, sums, codebook, batchCounts, batchSums | counts, sums, codebook               |
 */
export const vectorQuantizationKernels: KernelTable = {
  FwpVqAssign: vqAssign,
  FwpVqQuantize: (call) => vqQuantize(call, false),
  FwpVqQuantizeSum: (call) => vqQuantize(call, true),
  FwpVqQuantizeGrad: vqQuantizeGrad,
  FwpSegmentSum: segmentSum,
  FwpGridNeighborSum: gridNeighborSum,
  FwpCodebookAverage: codebookAverage,
};

function vqAssign({ inputs, backend }: KernelCall): TensorInfo {
  const { vectors, codebook } = inputs as { vectors: TensorInfo; codebook: TensorInfo };
  const [count, size] = codebook.shape as [number, number];
  const indices = backend.makeOutput(vectors.shape.slice(0, -1), 'int32');
  return filled(backend, indices, () =>
    backend.withWorkspace(4 * (size + 1) * Math.ceil(count / 16) * 16, (workspace) => {
      const offsets = [vectors, codebook, indices].map((tensor) => backend.offsetOf(tensor));
      backend.engine.run('vq_assign', ...offsets, workspace, sizeOf(indices.shape), count, size);
    }),
  );
}

function vqQuantize({ inputs, backend }: KernelCall, withSums: boolean): TensorInfo[] {
  const { vectors, codebook } = inputs as { vectors: TensorInfo; codebook: TensorInfo };
  const [count, size] = codebook.shape as [number, number];
  const rows = sizeOf(vectors.shape) / size;
  const outputs = allOrNothing(backend, [
    () => backend.makeOutput(vectors.shape),
    () => backend.makeOutput(vectors.shape.slice(0, -1), 'int32'),
    () => backend.makeOutput([]),
    ...(withSums ? [() => backend.makeOutput([count, size]), () => backend.makeOutput([count])] : []),
  ]);
  try {
    const at = (tensor: TensorInfo | undefined) => (tensor === undefined ? 0 : backend.offsetOf(tensor));
    const [output, indices, error, sums, counts] = outputs;
    const floats = (size + 1) * Math.ceil(count / 16) * 16 + Math.ceil(rows / ROWS_OF_PASS);
    backend.withWorkspace(4 * (floats + (withSums ? wordsOfSums(rows, count) : 0)), (workspace) => {
      const places = [vectors, codebook, indices, output, error].map(at);
      backend.engine.run('vq_quantize', ...places, workspace, rows, count, size, at(sums), at(counts));
    });
    return outputs;
  } catch (problem) {
    for (const tensor of outputs) backend.release(tensor);
    throw problem;
  }
}

/** Workspace of sums by segment. */
function wordsOfSums(rows: number, segments: number): number {
  return rows + segments + 1;
}

function vqQuantizeGrad({ inputs, backend }: KernelCall): TensorInfo {
  const { dy, derror, vectors, output } = inputs as Record<'dy' | 'derror' | 'vectors' | 'output', TensorInfo>;
  const result = backend.makeOutput(vectors.shape);
  return filled(backend, result, () => {
    const offsets = [dy, derror, vectors, output, result].map((tensor) => backend.offsetOf(tensor));
    backend.engine.run('vq_quantize_grad', ...offsets, sizeOf(vectors.shape));
  });
}

function segmentSum({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { values, segmentIds } = inputs as { values: TensorInfo; segmentIds: TensorInfo };
  const { segments } = attrs as { segments: number };
  const [count, size] = values.shape as [number, number];
  return floatOutputs(backend, [[segments, size], [segments]], ([sums, counts]) => {
    const bad = backend.withWorkspace(4 * wordsOfSums(count, segments), (workspace) =>
      backend.engine.run(
        'segment_statistics',
        ...[backend.offsetOf(segmentIds), backend.offsetOf(values), sums as number, counts as number, workspace],
        ...[count, size, segments],
      ),
    );
    if (bad === 0) return;
    const value = backend.viewOf(segmentIds)[bad - 1] as number;
    throw indexError('segmentSum: segmentIds', segmentIds.shape, bad - 1, value, segments, SEGMENT_ADVICE);
  });
}

function gridNeighborSum({ inputs, attrs, backend }: KernelCall): TensorInfo {
  const { x } = inputs as { x: TensorInfo };
  const { gridShape, weight } = attrs as NeighborSumAttributes;
  const y = backend.makeOutput(x.shape);
  const cells = x.shape[0] as number;
  return filled(backend, y, () => {
    const sizes = [0, 1, 2, 3].map((axis) => gridShape[axis] ?? 1);
    const [from, to] = [backend.offsetOf(x), backend.offsetOf(y)];
    backend.engine.run(
      'grid_neighbor_sum',
      ...[from, to, weight, cells, sizeOf(x.shape) / cells, gridShape.length, ...sizes],
    );
  });
}

function codebookAverage({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { counts, sums, codebook, batchCounts, batchSums } = inputs as Record<string, TensorInfo>;
  const { decay, epsilon, smoothing, keepUnused } = attrs as CodebookAverageAttributes;
  const [count, size] = (codebook as TensorInfo).shape as [number, number];
  const given = [counts, sums, codebook, batchCounts, batchSums].map((x) => backend.offsetOf(x as TensorInfo));
  return floatOutputs(backend, [[count], [count, size], [count, size]], (results) =>
    backend.withWorkspace(4 * count, (divisors) => {
      backend.engine.run(
        'vq_average',
        ...[...given, ...results, divisors, count, size, decay, epsilon],
        ...[SMOOTHINGS.indexOf(smoothing), Number(keepUnused)],
      );
    }),
  );
}
