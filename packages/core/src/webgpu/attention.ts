/**
 * Attention on the GPU, in the place of the engine's `backend/kernels/attention.ts`, for causality, windows and padded keys; masks
 * and biases of scores are left to the composition. The gradient goes over the scores three times, for queries, keys and values.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { AttentionAttributes, AttentionInputs, AttentionLayout } from '../backend/kernels/attention.ts';
import type { WebGpuBackend } from './backend.ts';
import { clear, type GpuKernelCall, type GpuKernelTable, outputsOf, withWorkspace } from './kernel-table.ts';
import { attentionForward } from './kernels/attention-forward.ts';
import { attentionKeyGradient } from './kernels/attention-key-gradient.ts';
import { attentionProducts } from './kernels/attention-products.ts';
import { attentionQueryGradient } from './kernels/attention-query-gradient.ts';
import { ATTENTION_ROWS } from './kernels/attention-rows.ts';
import { runKernel } from './program.ts';

/** Kernels as the operation calls them: see the engine's. */
export const attentionKernels: GpuKernelTable = {
  FwpAttention: attention,
  FwpAttentionGradient: attentionGradient,
};

/** Sizes, tensors and parameters of one call. */
interface Plan {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly tensors: { q: TensorInfo; k: TensorInfo; v: TensorInfo; key_mask: TensorInfo | undefined };
  readonly constants: { dim: number; valueDim: number; causal: boolean };
  readonly parameters: Readonly<Record<string, number>>;
  readonly outputShape: number[];
}

function planOf(inputs: AttentionInputs, { layout, causal, window, scale }: AttentionAttributes): Plan {
  const { qkv, keyMask } = inputs;
  const tensors = {
    q: (inputs.q ?? qkv) as TensorInfo,
    k: (inputs.k ?? qkv) as TensorInfo,
    v: (inputs.v ?? qkv) as TensorInfo,
    key_mask: keyMask,
  };
  const [timeAxis, headAxis] = layout === 'BHTD' ? [2, 1] : layout === 'BTHD' ? [1, 2] : [1, 3];
  const size = (tensor: TensorInfo, axis: number) => tensor.shape[axis] as number;
  const [batch, heads] = [size(tensors.q, 0), size(tensors.q, headAxis)];
  const [queries, keys] = [size(tensors.q, timeAxis), size(tensors.k, timeAxis)];
  const valueDim = tensors.v.shape.at(-1) as number;
  return {
    ...{ batch, heads, queries, keys, tensors },
    constants: { dim: tensors.q.shape.at(-1) as number, valueDim, causal },
    parameters: {
      ...{ batch, heads, queries, keys, window: Math.min(window, queries + keys), scale },
      ...rowsOf('q', layout, heads, queries, 0),
      ...rowsOf('k', layout, heads, keys, 1),
      ...rowsOf('v', layout, heads, keys, 2),
      ...rowsOf('o', layout === 'packed' ? 'BTHD' : layout, heads, queries, 0),
    },
    outputShape: layout === 'BHTD' ? [batch, heads, queries, valueDim] : [batch, queries, heads, valueDim],
  };
}

/** Where the rows of a tensor are; `part` is its place among queries, keys and values in one tensor. */
function rowsOf(name: string, layout: AttentionLayout, heads: number, time: number, part: number) {
  const [start, batch, head, step] =
    layout === 'BHTD'
      ? [0, heads * time, time, 1]
      : layout === 'BTHD'
        ? [0, time * heads, 1, heads]
        : [part * heads, 3 * time * heads, 1, 3 * heads];
  return { [`${name}_start`]: start, [`${name}_batch`]: batch, [`${name}_head`]: head, [`${name}_time`]: step };
}

const isEmpty = ({ batch, heads, queries, keys, constants: { dim, valueDim } }: Plan): boolean =>
  batch * heads * queries * keys * dim * valueDim === 0;

function attention({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const plan = planOf(inputs, attrs as AttentionAttributes);
  const { batch, heads, queries, tensors, constants, parameters, outputShape } = plan;
  return outputsOf(backend, [outputShape, [batch, heads, queries]], (output, logSum) => {
    if (isEmpty(plan)) {
      clear(backend, [output, logSum] as TensorInfo[]);
      return;
    }
    runKernel(backend, attentionForward, {
      constants,
      tensors: { ...tensors, o: output, log_sum: logSum },
      parameters,
      groups: batch * heads * Math.ceil(queries / ATTENTION_ROWS),
    });
  });
}

/** Inputs: those of the forward, `output`, `logSum` and `dy`. */
function attentionGradient({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as AttentionInputs & Record<'output' | 'logSum' | 'dy', TensorInfo>;
  const plan = planOf(given, attrs as AttentionAttributes);
  const { q, k, v } = plan.tensors;
  const shapes = (given.qkv === undefined ? [q, k, v] : [q]).map(({ shape }) => shape);
  return outputsOf(backend, shapes, (...outputs) => {
    const [dq, dk = dq, dv = dq] = outputs as [TensorInfo, TensorInfo?, TensorInfo?];
    if (isEmpty(plan)) clear(backend, outputs);
    else fillGradients(backend, plan, given, [dq, dk, dv]);
  });
}

function fillGradients(
  backend: WebGpuBackend,
  { batch, heads, queries, keys, tensors, constants, parameters }: Plan,
  { output, logSum, dy }: Record<'output' | 'logSum' | 'dy', TensorInfo>,
  [dq, dk, dv]: readonly [TensorInfo, TensorInfo, TensorInfo],
): void {
  const pairs = batch * heads;
  withWorkspace(backend, [2 * pairs * queries], (rows) => {
    runKernel(backend, attentionProducts, {
      constants: { valueDim: constants.valueDim },
      tensors: { dy, o: output, log_sum: logSum, rows },
      parameters,
      groups: Math.ceil((pairs * queries) / 64),
    });
    const all = { ...tensors, dy, rows };
    runKernel(backend, attentionQueryGradient, {
      constants,
      tensors: { ...all, dq },
      parameters,
      groups: pairs * Math.ceil(queries / ATTENTION_ROWS),
    });
    for (const [of, dx] of [['keys', dk] as const, ['values', dv] as const]) {
      runKernel(backend, attentionKeyGradient, {
        constants: { ...constants, of },
        tensors: { ...all, v: of === 'keys' ? tensors.v : undefined, dx },
        parameters,
        groups: pairs * Math.ceil(keys / ATTENTION_ROWS),
      });
    }
  });
}
