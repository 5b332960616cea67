/** Matrix products: BatchMatMul and _FusedMatMul (with bias and activation) in float32; other dtypes take the fallback. */

import { broadcast_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import { fallback } from '../fallback.ts';
import { type Finish, withFinish, withFinishArguments } from '../fused-finish.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { FUSED_ACTIVATIONS, type FusedActivation, runMatMul } from '../matmul-plan.ts';
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

interface Operands {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly bias?: TensorInfo | null;
}

function batchMatMul(call: KernelCall): TensorInfo | TensorInfo[] {
  const { a, b } = call.inputs as Operands;
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return fallback('BatchMatMul', call);
  return product(call.backend, a, b, call.attrs, {});
}

function fusedMatMul(call: KernelCall): TensorInfo | TensorInfo[] {
  const { a, b, bias } = call.inputs as Operands;
  const attrs = call.attrs as Transposition;
  if ([a, b, bias].some((tensor) => tensor && tensor.dtype !== 'float32')) return fallback('_FusedMatMul', call);
  const columns = b.shape[b.shape.length - (attrs.transposeB ? 2 : 1)] as number;
  return withFinish(call, columns, (finish) => product(call.backend, a, b, attrs, finish));
}

/** a · b as a new tensor, with an optional bias per column and activation. */
function product(
  backend: FwpBackend,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: Transposition,
  finish: Finish,
): TensorInfo {
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
  return filled(backend, output, () =>
    withFinishArguments(backend, finish, n, ([bias, activation, slope]) =>
      runMatMul(backend, {
        a: backend.offsetOf(a),
        b: backend.offsetOf(b),
        c: backend.offsetOf(output),
        ...{ m, n, k, transposeA, transposeB, batchA, batchB, bias, slope },
        activation: FUSED_ACTIVATIONS[activation] as FusedActivation,
      }),
    ),
  );
}
