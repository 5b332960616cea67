/** Vector quantisation on the GPU, in the place of the engine's `backend/kernels/vector-quantization.ts`. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { CodebookAverageAttributes } from '../ops/codebook-average.ts';
import type { NeighborSumAttributes } from '../ops/grid-neighbor-sum.ts';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { CODEBOOK_LANES, codebookAverage } from './kernels/codebook-average.ts';
import { codebookCounts } from './kernels/codebook-counts.ts';
import { CODES_BLOCK, codesOfVectors } from './kernels/codes-of-vectors.ts';
import { gridNeighborSum, NEIGHBOR_LANES } from './kernels/grid-neighbor-sum.ts';
import { meanOfRows } from './kernels/mean-of-rows.ts';
import { nearestCodes } from './kernels/nearest-codes.ts';
import { QUANTIZATION_LANES, quantizationGradient } from './kernels/quantization-gradient.ts';
import { TILE } from './kernels/tile-product.ts';
import { runKernel } from './program.ts';
import { sumSegments } from './segments.ts';

/** Kernels as the operations call them: see the engine's. */
export const vectorQuantizationKernels: GpuKernelTable = {
  FwpVqAssign: ({ inputs, backend }) => {
    const { vectors, codebook } = inputs as Operands;
    const fill = (indices: TensorInfo) => assign(backend, vectors, codebook, indices);
    const shape = vectors.shape.slice(0, -1);
    return outputsOf(backend, [shape], (indices) => fill(indices as TensorInfo), ['int32'])[0] as TensorInfo;
  },
  FwpVqQuantize: (call) => quantize(call, false),
  FwpVqQuantizeSum: (call) => quantize(call, true),
  FwpVqQuantizeGrad: quantizeGradient,
  FwpCodebookAverage: average,
  FwpGridNeighborSum: neighborSum,
};

/** vectors [..., size], codebook [codes, size] */
type Operands = Readonly<Record<'vectors' | 'codebook', TensorInfo>>;

function assign(backend: WebGpuBackend, vectors: TensorInfo, codebook: TensorInfo, indices: TensorInfo): void {
  const [codes, size] = codebook.shape as [number, number];
  const rows = util.sizeFromShape(indices.shape);
  runKernel(backend, nearestCodes, {
    tensors: { vectors, codebook, indices },
    parameters: { rows, codes, size },
    groups: Math.ceil(rows / TILE),
  });
}

function neighborSum({ inputs, attrs, backend }: GpuKernelCall): TensorInfo {
  const { x } = inputs as { x: TensorInfo };
  const { gridShape, weight } = attrs as NeighborSumAttributes;
  const elements = util.sizeFromShape(x.shape);
  const [s0, s1 = 1, s2 = 1, s3 = 1] = gridShape as [number, number?, number?, number?];
  const fill = (y: TensorInfo) =>
    runKernel(backend, gridNeighborSum, {
      constants: { axes: gridShape.length },
      tensors: { x, y },
      parameters: { ...{ elements, columns: elements / (x.shape[0] as number) }, ...{ s0, s1, s2, s3, weight } },
      groups: Math.ceil(elements / NEIGHBOR_LANES),
    });
  return outputsOf(backend, [x.shape], (y) => fill(y as TensorInfo))[0] as TensorInfo;
}

/** The output, indices and the error; and the sums and counts of all codes. */
function quantize({ inputs, backend }: GpuKernelCall, withSums: boolean): TensorInfo[] {
  const { vectors, codebook } = inputs as Operands;
  const [codes, size] = codebook.shape as [number, number];
  const elements = util.sizeFromShape(vectors.shape);
  const shapes = [vectors.shape, vectors.shape.slice(0, -1), [], ...(withSums ? [[codes, size], [codes]] : [])];
  return outputsOf(
    backend,
    shapes,
    (...outputs) => {
      const [output, indices, error, sums, counts] = outputs as [TensorInfo, TensorInfo, TensorInfo, ...TensorInfo[]];
      assign(backend, vectors, codebook, indices);
      const blocks = Math.ceil(elements / CODES_BLOCK);
      withWorkspace(backend, [blocks], (partial) => {
        runKernel(backend, codesOfVectors, {
          tensors: { vectors, codebook, indices, output, partial },
          parameters: { elements, size, scale: 1 / elements },
          groups: blocks,
        });
        runKernel(backend, meanOfRows, {
          constants: { reduction: 'sum' },
          tensors: { losses: partial, result: error },
          parameters: { rows: blocks },
          groups: 1,
        });
      });
      if (sums !== undefined) sumSegments(backend, { values: vectors, ids: indices, sums, counts }, codes);
    },
    ['float32', 'int32'],
  );
}

function quantizeGradient({ inputs, backend }: GpuKernelCall): TensorInfo {
  const { dy, derror, vectors, output } = inputs as Record<'dy' | 'derror' | 'vectors' | 'output', TensorInfo>;
  const elements = util.sizeFromShape(vectors.shape);
  return outputsOf(backend, [vectors.shape], (dVectors) =>
    runKernel(backend, quantizationGradient, {
      tensors: { dy, d_error: derror, vectors, output, d_vectors: dVectors },
      parameters: { elements, scale: 2 / elements },
      groups: Math.ceil(elements / QUANTIZATION_LANES),
    }),
  )[0] as TensorInfo;
}

/** Counts, sums and codebook behind a step of the moving average. */
function average({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as Record<'counts' | 'sums' | 'codebook' | 'batchCounts' | 'batchSums', TensorInfo>;
  const { decay, epsilon, smoothing, keepUnused } = attrs as CodebookAverageAttributes;
  const { counts, sums, codebook, batchCounts, batchSums } = given;
  const [codes, size] = codebook.shape as [number, number];
  return outputsOf(backend, [counts.shape, sums.shape, codebook.shape], (...outputs) => {
    const [newCounts, newSums, newCodebook] = outputs as [TensorInfo, TensorInfo, TensorInfo];
    if (codes === 0) {
      clear(backend, outputs);
      return;
    }
    const rates = { decay, rest: 1 - decay };
    withWorkspace(backend, [codes], (divisors) => {
      runKernel(backend, codebookCounts, {
        constants: { smoothing, keepUnused },
        tensors: { counts, batch_counts: batchCounts, new_counts: newCounts, divisors },
        parameters: { codes, ...rates, epsilon },
        groups: 1,
      });
      runKernel(backend, codebookAverage, {
        constants: { keepUnused },
        tensors: {
          ...{ sums, codebook, batch_counts: keepUnused ? batchCounts : undefined, batch_sums: batchSums },
          ...{ divisors, new_sums: newSums, new_codebook: newCodebook },
        },
        parameters: { elements: codes * size, size, ...rates },
        groups: Math.ceil((codes * size) / CODEBOOK_LANES),
      });
    });
  });
}
