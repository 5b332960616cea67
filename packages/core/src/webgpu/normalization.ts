/** Layer norm and RMS norm on the GPU, in the place of the engine's `backend/kernels/normalization.ts`. */

import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { columnSums, SUMMED_COLUMNS } from './kernels/column-sums.ts';
import {
  GRADIENT_COLUMNS,
  GRADIENT_ROWS,
  normalizeParameterGradients,
} from './kernels/normalize-parameter-gradients.ts';
import { normalizeRows } from './kernels/normalize-rows.ts';
import { normalizeRowsGradient } from './kernels/normalize-rows-gradient.ts';
import { runKernel } from './program.ts';

/** Kernels as the operations call them: see the engine's. */
export const normalizationKernels: GpuKernelTable = {
  FwpLayerNorm: normalize(true),
  FwpAddLayerNorm: normalize(true),
  FwpLayerNormGrad: gradient,
  FwpRmsNorm: normalize(false),
  FwpAddRmsNorm: normalize(false),
  FwpRmsNormGrad: gradient,
};

/** Inputs of the forward; RMS norm has no bias, and no residual is added without one. */
interface Inputs {
  readonly x: TensorInfo;
  readonly residual?: TensorInfo;
  readonly gain: TensorInfo;
  readonly bias?: TensorInfo;
}

/** Inputs of the gradient; RMS norm has no mean. */
interface GradientInputs {
  readonly x: TensorInfo;
  readonly gain: TensorInfo;
  readonly mean?: TensorInfo;
  readonly scale: TensorInfo;
  readonly dy: TensorInfo;
  readonly dsum?: TensorInfo;
}

/** y, the sum if there is a residual, the mean if rows are centred, and the scale. */
function normalize(centered: boolean) {
  return ({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] => {
    const { x, residual, gain, bias } = inputs as Inputs;
    const { rows, features } = sizesOf(x);
    const shapes = [x.shape, ...(residual ? [x.shape] : []), ...(centered ? [[rows]] : []), [rows]];
    return outputsOf(backend, shapes, (...outputs) => {
      const rest = outputs.slice(1);
      const sum = residual ? rest.shift() : undefined;
      const mean = centered ? rest.shift() : undefined;
      const tensors = { x, residual, gain, bias, sum, y: outputs[0], mean, scale: rest[0] };
      const parameters = { rows, features, epsilon: attrs.epsilon };
      if (features > 0) runKernel(backend, normalizeRows, { tensors, parameters, groups: rows });
      else clear(backend, outputs);
    });
  };
}

/** dx, dgain and, if rows are centred, dbias. */
function gradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const { x, gain, mean, scale, dy, dsum } = inputs as GradientInputs;
  const { rows, features } = sizesOf(x);
  const shapes = [x.shape, gain.shape, ...(mean ? [gain.shape] : [])];
  return outputsOf(backend, shapes, (dx, ...parameterGradients) => {
    if (rows * features === 0) {
      clear(backend, parameterGradients);
      return;
    }
    const tensors = { x, gain, mean, scale, dy, d_sum: dsum, dx };
    runKernel(backend, normalizeRowsGradient, { tensors, parameters: { rows, features }, groups: rows });
    sumOverRows(backend, { x, mean, scale, dy }, { rows, features }, parameterGradients);
  });
}

/** Gradients of gain and bias: of blocks of rows at first, so that enough workgroups have something to do. */
function sumOverRows(
  backend: WebGpuBackend,
  tensors: Readonly<Record<string, TensorInfo | undefined>>,
  { rows, features }: { rows: number; features: number },
  results: readonly TensorInfo[],
): void {
  const blocks = Math.ceil(rows / GRADIENT_ROWS);
  withWorkspace(backend, [2 * blocks * features], (partial) => {
    runKernel(backend, normalizeParameterGradients, {
      tensors: { ...tensors, partial },
      parameters: { rows, features },
      groups: blocks * Math.ceil(features / GRADIENT_COLUMNS),
    });
    for (const [index, y] of results.entries()) {
      runKernel(backend, columnSums, {
        tensors: { x: partial, y },
        parameters: { rows: blocks, columns: features, stride: 2 * features, offset: index * features },
        groups: Math.ceil(features / SUMMED_COLUMNS),
      });
    }
  });
}

function sizesOf({ shape }: TensorInfo): { rows: number; features: number } {
  const features = shape.at(-1) as number;
  return { rows: util.sizeFromShape(shape.slice(0, -1)), features };
}
