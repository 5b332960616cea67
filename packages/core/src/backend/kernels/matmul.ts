/** Matrix products: BatchMatMul and _FusedMatMul (with bias and activation) in float32; other dtypes take the fallback. */

import { broadcast_util, getKernel, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { BACKEND_NAME, type FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { type FusedActivation, isFusedActivation, runMatMul } from '../matmul-plan.ts';
import { filled } from '../outputs.ts';

/** tfjs kernels of this family. */
export const matmulKernels: KernelTable = {
  BatchMatMul: batchMatMul,
  _FusedMatMul: fusedMatMul,
};

interface Transposition {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

interface FusedAttributes extends Transposition {
  readonly activation?: string;
  readonly leakyreluAlpha?: number;
}

function batchMatMul(call: KernelCall): TensorInfo | TensorInfo[] {
  const { a, b } = call.inputs as { a: TensorInfo; b: TensorInfo };
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return fallback('BatchMatMul', call);
  return product(call.backend, a, b, call.attrs);
}

function fusedMatMul(call: KernelCall): TensorInfo | TensorInfo[] {
  const { backend } = call;
  const { a, b, bias, preluActivationWeights } = call.inputs as {
    a: TensorInfo;
    b: TensorInfo;
    bias?: TensorInfo | null;
    preluActivationWeights?: TensorInfo | null;
  };
  const attrs = call.attrs as FusedAttributes;
  const floats = [a, b, bias].every((tensor) => !tensor || tensor.dtype === 'float32');
  const activation = attrs.activation || 'linear';
  if (!floats || (activation !== 'prelu' && !isFusedActivation(activation))) return fallback('_FusedMatMul', call);

  const columns = b.shape[b.shape.length - (attrs.transposeB ? 2 : 1)] as number;
  if (isFusedActivation(activation) && (!bias || isPerColumn(bias, columns))) {
    return product(backend, a, b, attrs, { bias, activation, slope: attrs.leakyreluAlpha });
  }
  // A bias per row, or slopes that are tensors: one kernel after the other.
  let current = product(backend, a, b, attrs);
  const then = (kernelName: string, inputs: Record<string, TensorInfo>, kernelAttrs = {}): void => {
    const previous = current;
    try {
      current = runKernel(kernelName, inputs, kernelAttrs, backend);
    } finally {
      backend.release(previous);
    }
  };
  if (bias) then('Add', { a: current, b: bias });
  switch (activation) {
    case 'linear':
      break;
    case 'prelu':
      then('Prelu', { x: current, alpha: preluActivationWeights as TensorInfo });
      break;
    case 'leakyrelu':
      then('LeakyRelu', { x: current }, { alpha: attrs.leakyreluAlpha });
      break;
    default:
      if (!(activation in KERNEL_OF_ACTIVATION)) {
        backend.release(current);
        throw new Error(`Activation '${activation}' needs a bias of shape [n] or none; got [${bias?.shape}].`);
      }
      then(KERNEL_OF_ACTIVATION[activation] as string, { x: current });
  }
  return current;
}

const KERNEL_OF_ACTIVATION: Readonly<Record<string, string>> = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  tanh: 'Tanh',
};

/** Whether a bias has one value per column of the product, or one in all. */
function isPerColumn(bias: TensorInfo, columns: number): boolean {
  const size = util.sizeFromShape(bias.shape);
  return size === 1 || (size === columns && bias.shape.at(-1) === columns);
}

interface Finish {
  readonly bias?: TensorInfo | null | undefined;
  readonly activation?: FusedActivation;
  readonly slope?: number | undefined;
}

/** a · b as a new tensor, with an optional bias per column and activation. */
function product(
  backend: FwpBackend,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: Transposition,
  { bias, activation = 'linear', slope = 0.2 }: Finish = {},
): TensorInfo {
  util.assert(
    a.shape.length >= 2 && b.shape.length >= 2,
    () => `Error in matMul: inputs must be at least rank 2, but the shapes are [${a.shape}] and [${b.shape}].`,
  );
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number];
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number];
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [innerB, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  const batch = broadcast_util.assertAndGetBroadcastShape(batchA, batchB);
  util.assert(
    k === innerB,
    () =>
      `Error in matMul: inner shapes (${k}) and (${innerB}) of Tensors with shapes ${a.shape} and ${b.shape} ` +
      `and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  );
  const output = backend.makeOutput([...batch, m, n], 'float32');
  return filled(backend, output, () => {
    const run = (biasOffset: number): void =>
      runMatMul(backend, {
        a: backend.offsetOf(a),
        b: backend.offsetOf(b),
        c: backend.offsetOf(output),
        ...{ m, n, k, transposeA, transposeB, batchA, batchB, activation, slope },
        bias: biasOffset,
      });
    if (!bias) {
      run(0);
    } else if (util.sizeFromShape(bias.shape) === n) {
      run(backend.offsetOf(bias));
    } else {
      backend.withWorkspace(4 * n, (offset) => {
        backend.engine.float32(offset, n).fill(backend.viewOf(bias)[0] as number);
        run(offset);
      });
    }
  });
}

/** Runs another kernel of this backend. */
function runKernel(kernelName: string, inputs: Record<string, TensorInfo>, attrs: object, backend: FwpBackend) {
  const kernel = getKernel(kernelName, BACKEND_NAME);
  return kernel.kernelFunc({ inputs, attrs: attrs as never, backend }) as TensorInfo;
}
