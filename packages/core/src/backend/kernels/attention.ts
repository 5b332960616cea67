/** Kernels of `ops/attention.ts`. The tensors may have any of its layouts: the C kernels take strides. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { allOrNothing } from '../outputs.ts';

/**
 * How heads and time are laid out: `[batch, heads, time, dim]`, `[batch, time, heads, dim]`, or queries, keys and values
 * of the latter in one tensor `[batch, time, 3, heads, dim]`.
 */
export type AttentionLayout = 'BHTD' | 'BTHD' | 'packed';

/** Attributes of both kernels. */
export interface AttentionAttributes {
  readonly layout: AttentionLayout;
  readonly causal: boolean;
  /** How many keys a query sees, if it is causal; `Infinity`: all of its past. */
  readonly window: number;
  readonly scale: number;
}

/** `FwpAttention` gives [output, L]; `FwpAttentionGradient` the gradients of (q, k, v) or of qkv, and of a bias. */
export const attentionKernels: KernelTable = {
  FwpAttention: attention,
  FwpAttentionGradient: attentionGradient,
};

/** Longest rows of q, k and v that the kernels take: `ATTENTION_DIM` of `csrc/attention.h`. */
export const MAX_ATTENTION_DIM = 1024;

/** Parallel units of the backward that are worth having, if one takes so many operations. */
const WANTED_UNITS = 16;
const UNIT_FLOPS = 4e6;

/** Inputs by name; `qkv` stands for `q`, `k` and `v`. Masks are bool, the bias float32; both have rank 4 or are absent. */
export interface AttentionInputs {
  readonly q?: TensorInfo;
  readonly k?: TensorInfo;
  readonly v?: TensorInfo;
  readonly qkv?: TensorInfo;
  /** [batch, keys]. */
  readonly keyMask?: TensorInfo;
  /** Broadcastable to [batch, heads, queries, keys]. */
  readonly mask?: TensorInfo;
  readonly bias?: TensorInfo;
}

/** One of q, k, v and the output: where it starts, in bytes, and how far batch, head and time advance, in elements. */
interface Placed {
  readonly tensor: TensorInfo;
  readonly start: number;
  readonly strides: readonly [batch: number, head: number, time: number];
}

/** Sizes, and q, k and v in place. */
interface Geometry {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
  readonly q: Placed;
  readonly k: Placed;
  readonly v: Placed;
}

function geometryOf(inputs: AttentionInputs, layout: AttentionLayout): Geometry {
  if (layout === 'packed') {
    const qkv = inputs.qkv as TensorInfo;
    const [batch, time, , heads, dim] = qkv.shape as [number, number, number, number, number];
    const part = (index: number): Placed => ({
      tensor: qkv,
      start: index * heads * dim * 4,
      strides: [time * 3 * heads * dim, dim, 3 * heads * dim],
    });
    return { batch, heads, queries: time, keys: time, dim, valueDim: dim, q: part(0), k: part(1), v: part(2) };
  }
  const q = inputs.q as TensorInfo;
  const k = inputs.k as TensorInfo;
  const v = inputs.v as TensorInfo;
  const [timeAxis, headAxis] = layout === 'BHTD' ? [2, 1] : [1, 2];
  return {
    batch: q.shape[0] as number,
    heads: q.shape[headAxis] as number,
    queries: q.shape[timeAxis] as number,
    keys: k.shape[timeAxis] as number,
    dim: q.shape[3] as number,
    valueDim: v.shape[3] as number,
    q: placed(q, layout),
    k: placed(k, layout),
    v: placed(v, layout),
  };
}

function placed(tensor: TensorInfo, layout: AttentionLayout): Placed {
  const [, first, second, dim] = tensor.shape as [number, number, number, number];
  const batch = first * second * dim;
  return { tensor, start: 0, strides: layout === 'BHTD' ? [batch, second * dim, dim] : [batch, dim, second * dim] };
}

/** The arguments that both C kernels begin with. */
function commonArguments(
  { inputs, attrs, backend }: KernelCall,
  { batch, heads, queries, keys, dim, valueDim, q, k, v }: Geometry,
  output: TensorInfo,
  logSum: TensorInfo,
): number[] {
  const { layout, scale, causal, window } = attrs as AttentionAttributes;
  const { keyMask, mask, bias } = inputs as AttentionInputs;
  const place = ({ tensor, start, strides }: Placed) => [backend.offsetOf(tensor) + start, ...strides];
  return [
    ...[batch, heads, queries, keys, dim, valueDim, scale, causal ? 1 : 0],
    ...[...place(q), ...place(k), ...place(v), ...place(placed(output, layout))],
    backend.offsetOf(logSum),
    keyMask ? backend.offsetOf(keyMask) : 0,
    ...broadcastArguments(backend, mask),
    ...broadcastArguments(backend, bias),
    Math.min(window, queries + keys),
  ];
}

/** Offset and strides of a tensor of rank 4 that broadcasts; zeros if there is none. */
function broadcastArguments(backend: FwpBackend, tensor: TensorInfo | undefined): number[] {
  if (!tensor) return [0, 0, 0, 0, 0];
  const [, d1, d2, d3] = tensor.shape as [number, number, number, number];
  const strides = [d1 * d2 * d3, d2 * d3, d3, 1];
  return [backend.offsetOf(tensor), ...strides.map((stride, axis) => (tensor.shape[axis] === 1 ? 0 : stride))];
}

function attention(call: KernelCall): TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const { layout } = attrs as AttentionAttributes;
  const geometry = geometryOf(inputs, layout);
  const { batch, heads, queries, valueDim } = geometry;
  const shape = layout === 'BHTD' ? [batch, heads, queries, valueDim] : [batch, queries, heads, valueDim];
  const [output, logSum] = allOrNothing(backend, [
    () => backend.makeOutput(shape),
    () => backend.makeOutput([batch, heads, queries]),
  ]);
  backend.engine.run('attention_forward', ...commonArguments(call, geometry, output, logSum));
  return [output, logSum];
}

/**
 * Inputs: those of the forward, `output`, `logSum` and `dy`. With a bias and the attribute `biasGradient`, the last result
 * is that gradient in parts `[parts, biasBatch, biasHeads, queries, keys]`, still to be summed over the first axis and over
 * whatever the bias broadcasts.
 */
function attentionGradient(call: KernelCall): TensorInfo[] {
  const { inputs, attrs, backend } = call;
  const { layout, window, biasGradient } = attrs as AttentionAttributes & { biasGradient: boolean };
  const { output, logSum, dy, bias } = inputs as Record<'output' | 'logSum' | 'dy' | 'bias', TensorInfo>;
  const geometry = geometryOf(inputs, layout);
  const { batch, heads, queries, keys, dim, valueDim } = geometry;
  const pairs = batch * heads;
  const [biasBatch, biasHeads] = biasGradient ? (bias.shape as [number, number]) : [batch, heads];
  const slices = biasBatch * biasHeads;

  // Enough units for several threads: heads that share a bias are spread over slots, then the keys are cut into parts.
  const wanted = Math.min(
    WANTED_UNITS,
    Math.ceil((4 * pairs * queries * Math.min(keys, window) * (dim + valueDim)) / UNIT_FLOPS),
  );
  const slots = slices === 0 ? 1 : Math.max(1, Math.min(pairs / slices, Math.ceil(wanted / slices)));
  const units = Math.max(1, slices * slots);
  const splits = Math.max(1, Math.min(Math.ceil(wanted / units), Math.floor(keys / 128)));

  const sources = layout === 'packed' ? [geometry.q] : [geometry.q, geometry.k, geometry.v];
  const outputs = allOrNothing(backend, [
    ...sources.map(
      ({ tensor }) =>
        () =>
          backend.makeOutput(tensor.shape),
    ),
    ...(biasGradient ? [() => backend.makeOutput([slots, biasBatch, biasHeads, queries, keys])] : []),
  ]);
  const offsets = outputs.map((tensor) => backend.offsetOf(tensor));
  const [dq, dk, dv] = (
    layout === 'packed'
      ? [geometry.q, geometry.k, geometry.v].map(({ start }) => (offsets[0] as number) + start)
      : offsets
  ) as [number, number, number];
  try {
    backend.withWorkspace(splits > 1 ? splits * pairs * queries * dim * 4 : 0, (partial) => {
      backend.engine.run(
        'attention_backward',
        ...commonArguments(call, geometry, output, logSum),
        ...[backend.offsetOf(dy), dq, dk, dv, splits, splits > 1 ? partial : 0],
        ...[biasGradient ? (offsets.at(-1) as number) : 0, biasBatch, biasHeads, slots],
      );
    });
  } catch (error) {
    for (const tensor of outputs) backend.release(tensor);
    throw error;
  }
  return outputs;
}
