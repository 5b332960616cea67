/**
 * Mixtures of experts on the GPU, in the place of the engine's `backend/kernels/experts.ts`: assignments sorted by expert, products in
 * tiles of rows of one expert, sums over the experts of a row. Hidden units are kept in the order of the assignments.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { ExpertMatMulAttributes, ExpertSortAttributes } from '../backend/kernels/experts.ts';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, ifGiven, outputsOf, withWorkspace } from './kernel-table.ts';
import { expertDots } from './kernels/expert-dots.ts';
import { expertProductGroups, expertProducts } from './kernels/expert-products.ts';
import { EXPERT_SUM_GRAIN, expertSums } from './kernels/expert-sums.ts';
import { expertWeightGradients, expertWeightGroups } from './kernels/expert-weight-gradients.ts';
import { runKernel } from './program.ts';
import { sortBySegment } from './segments.ts';

/** Kernels as the operations call them: see the engine's. An assignment to no expert gives NaN: a GPU cannot throw. */
export const expertKernels: GpuKernelTable = {
  FwpExpertSort: sort,
  FwpExpertMatMul: matMul,
  FwpExpertMatMulGrad: matMulGradient,
  FwpExpertFeedForward: feedForward,
  FwpExpertFeedForwardGrad: feedForwardGradient,
};

/** int32 [assignments] and [experts + 1]. */
interface Groups {
  readonly order: TensorInfo;
  readonly offsets: TensorInfo;
}

function sort({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const { indices } = inputs as { indices: TensorInfo };
  const { experts } = attrs as ExpertSortAttributes;
  const assignments = indices.shape.reduce((product, extent) => product * extent, 1);
  const fill = (order: TensorInfo, offsets: TensorInfo) => {
    if (assignments === 0) clear(backend, [offsets]);
    else sortBySegment(backend, indices, experts, order, offsets);
  };
  const shapes = [[assignments], [experts + 1]];
  return outputsOf(backend, shapes, (...outputs) => fill(...(outputs as [TensorInfo, TensorInfo])), ['int32', 'int32']);
}

interface MatMulInputs extends Groups {
  /** [rows, size] */
  readonly inputs: TensorInfo;
  /** [experts, size, columns] */
  readonly weights: TensorInfo;
  /** [assignments], or without elements: all 1. */
  readonly gates: TensorInfo;
}

function matMul({ inputs, attrs, backend }: GpuKernelCall): TensorInfo {
  const given = inputs as MatMulInputs;
  const { outputRows } = attrs as ExpertMatMulAttributes;
  const [, , columns] = given.weights.shape as [number, number, number];
  return outputsOf(backend, [[outputRows, columns]], (y) =>
    weighedSums(backend, given, { x: given.inputs, weights: given.weights }, ifGiven(given.gates), y as TensorInfo),
  )[0] as TensorInfo;
}

function matMulGradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const { dy, ...given } = inputs as MatMulInputs & { dy: TensorInfo };
  const { inputs: x, weights } = given;
  const gates = ifGiven(given.gates);
  return outputsOf(backend, [x.shape, weights.shape, given.gates.shape], (...outputs) => {
    const [dx, dWeights, dGates] = outputs as [TensorInfo, TensorInfo, TensorInfo];
    const factors = { x: dy, weights, transposed: true };
    weighedSums(backend, given, factors, gates, dx, (products) => {
      if (gates !== undefined) dots(backend, { left: products, right: x, d_gates: dGates });
    });
    weightGradients(backend, given, { left: x, right: dy, gates, d_weights: dWeights });
  });
}

interface FeedForwardInputs extends Groups {
  /** [rows, size] */
  readonly inputs: TensorInfo;
  /** [experts, size, expertSize] */
  readonly keys: TensorInfo;
  /** [experts, expertSize, size] */
  readonly values: TensorInfo;
  /** [assignments] */
  readonly gates: TensorInfo;
  /** [assignments, expertSize], filled by the forward. */
  readonly hidden: TensorInfo;
}

function feedForward({ inputs, backend }: GpuKernelCall): TensorInfo {
  const given = inputs as FeedForwardInputs;
  const { inputs: x, keys, values, gates, hidden } = given;
  return outputsOf(backend, [x.shape], (y) => {
    products(backend, given, { x, weights: keys, relu: true }, hidden);
    weighedSums(backend, given, { x: hidden, weights: values }, gates, y as TensorInfo);
  })[0] as TensorInfo;
}

function feedForwardGradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const { dy, ...given } = inputs as FeedForwardInputs & { dy: TensorInfo };
  const { inputs: x, keys, values, gates, hidden } = given;
  return outputsOf(
    backend,
    [x, keys, values, gates].map(({ shape }) => shape),
    (...outputs) => {
      const [dx, dKeys, dValues, dGates] = outputs as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
      withMatrix(backend, hidden.shape, (dHidden) => {
        products(backend, given, { x: dy, weights: values, transposed: true }, dHidden);
        dots(backend, { left: dHidden, right: hidden, gates, d_gates: dGates });
        weighedSums(backend, given, { x: dHidden, weights: keys, transposed: true }, undefined, dx);
        weightGradients(backend, given, { left: x, right: dHidden, d_weights: dKeys });
        weightGradients(backend, given, { left: hidden, right: dy, gates, d_weights: dValues });
      });
    },
  );
}

/** Factors of products: rows, and the matrices of experts. */
interface Factors {
  readonly x: TensorInfo;
  readonly weights: TensorInfo;
  readonly transposed?: boolean;
  readonly relu?: boolean;
}

/** y [assignments, columns] = x W[e] */
function products(
  backend: WebGpuBackend,
  { order, offsets }: Groups,
  { x, weights, transposed = false, relu = false }: Factors,
  y: TensorInfo,
): void {
  const [assignments, columns] = y.shape as [number, number];
  const [rows, size] = x.shape as [number, number];
  const experts = weights.shape[0] as number;
  if (assignments * columns === 0) return;
  if (size === 0) {
    clear(backend, [y]);
    return;
  }
  runKernel(backend, expertProducts, {
    constants: { transposed, relu },
    tensors: { x, weights, order, offsets, y },
    parameters: { assignments, experts, share: assignments / rows, size, columns },
    groups: expertProductGroups(assignments, experts, columns),
  });
}

/** y [rows, columns], the sums of products over the assignments of each row; `use` sees the products. */
function weighedSums(
  backend: WebGpuBackend,
  groups: Groups,
  factors: Factors,
  gates: TensorInfo | undefined,
  y: TensorInfo,
  use: (products: TensorInfo) => void = () => {},
): void {
  const [rows, columns] = y.shape as [number, number];
  const assignments = groups.order.shape[0] as number;
  withMatrix(backend, [assignments, columns], (apart) => {
    products(backend, groups, factors, apart);
    runKernel(backend, expertSums, {
      tensors: { products: ifGiven(apart), gates, y },
      parameters: { rows, share: rows === 0 ? 0 : assignments / rows, columns },
      groups: Math.ceil((rows * columns) / EXPERT_SUM_GRAIN),
    });
    use(apart);
  });
}

/** Rows and their dot products, named as in `kernels/expert-dots.ts`. */
interface Dots {
  readonly left: TensorInfo;
  readonly right: TensorInfo;
  readonly gates?: TensorInfo;
  readonly d_gates: TensorInfo;
}

function dots(backend: WebGpuBackend, tensors: Dots): void {
  const [assignments, size] = tensors.left.shape as [number, number];
  if (size === 0) {
    clear(backend, [tensors.d_gates]);
    return;
  }
  const share = assignments / (tensors.right.shape[0] as number);
  runKernel(backend, expertDots, {
    tensors: { ...tensors },
    parameters: { assignments, share, size },
    groups: assignments,
  });
}

/** Rows and gradients of matrices, named as in `kernels/expert-weight-gradients.ts`. */
interface Outer {
  readonly left: TensorInfo;
  readonly right: TensorInfo;
  readonly gates?: TensorInfo | undefined;
  readonly d_weights: TensorInfo;
}

function weightGradients(backend: WebGpuBackend, { order, offsets }: Groups, tensors: Outer): void {
  const [experts, rows, columns] = tensors.d_weights.shape as [number, number, number];
  const assignments = order.shape[0] as number;
  if (assignments === 0) {
    clear(backend, [tensors.d_weights]);
    return;
  }
  const [leftShare, rightShare] = [tensors.left, tensors.right].map(({ shape }) => assignments / (shape[0] as number));
  runKernel(backend, expertWeightGradients, {
    tensors: { ...tensors, order, offsets },
    parameters: { experts, left_share: leftShare as number, right_share: rightShare as number, rows, columns },
    groups: expertWeightGroups(experts, rows, columns),
  });
}

/** Runs something with a matrix that is gone afterwards. */
function withMatrix<R>(backend: WebGpuBackend, shape: number[], use: (matrix: TensorInfo) => R): R {
  return withWorkspace(backend, [shape.reduce((product, extent) => product * extent, 1)], (work) =>
    use({ ...(work as TensorInfo), shape }),
  );
}
