/** Mixtures of experts: assignments in the order of their experts, products with each expert's matrices, and their gradients. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { EXPERT_ADVICE, indexError } from '../../index-checks.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { allOrNothing, filled, floatOutputs } from '../outputs.ts';
import { sizeOf } from '../strided-copy.ts';

/** Columns for which the C kernel sums dot products apart: `EXPERT_COLUMNS` of `csrc/experts.c`. */
const COLUMNS_PER_DOT = 128;

/** Attributes of `FwpExpertMatMul` and its gradient. */
export interface ExpertMatMulAttributes {
  /** Rows of the output. */
  readonly outputRows: number;
}

/** Attributes of `FwpExpertSort`. */
export interface ExpertSortAttributes {
  readonly experts: number;
  /** How the message about a bad index calls the indices. */
  readonly name: string;
}

/**
 * Kernels of `expertMatMul` and `expertFeedForward`. `order` and `offsets` are what `FwpExpertSort` returns.
 *
 * | kernel                     | inputs                                                       | outputs                          |
 * |----------------------------|--------------------------------------------------------------|----------------------------------|
 * | `FwpExpertSort`            | indices                                                      | order, offsets                   |
 * | `FwpExpertMatMul`          | inputs, weights, gates (empty: none), order, offsets         | y                                |
 * | `FwpExpertMatMulGrad`      | dy, inputs, weights, gates, order, offsets                   | dinputs, dweights, dgates        |
 * | `FwpExpertFeedForward`     | inputs, keys, values, gates, order, offsets, hidden (filled) | y                                |
 * | `FwpExpertFeedForwardGrad` | dy, inputs, keys, values, gates, order, offsets, hidden      | dinputs, dkeys, dvalues, dgates  |
 */
export const expertKernels: KernelTable = {
  FwpExpertSort: sort,
  FwpExpertMatMul: matMul,
  FwpExpertMatMulGrad: matMulGrad,
  FwpExpertFeedForward: feedForward,
  FwpExpertFeedForwardGrad: feedForwardGrad,
};

type MatMulInputs = Record<'inputs' | 'weights' | 'gates' | 'order' | 'offsets', TensorInfo>;
type FeedForwardInputs = Record<'inputs' | 'keys' | 'values' | 'gates' | 'order' | 'offsets' | 'hidden', TensorInfo>;

function sort({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { indices } = inputs as { indices: TensorInfo };
  const { experts, name } = attrs as ExpertSortAttributes;
  const assignments = sizeOf(indices.shape);
  const outputs = allOrNothing(backend, [
    () => backend.makeOutput([assignments], 'int32'),
    () => backend.makeOutput([experts + 1], 'int32'),
  ]);
  const places = [indices, ...outputs].map((tensor) => backend.offsetOf(tensor));
  const bad = backend.engine.run('expert_sort', ...places, assignments, experts);
  if (bad === 0) return outputs;
  for (const output of outputs) backend.release(output);
  throw indexError(name, indices.shape, bad - 1, backend.viewOf(indices)[bad - 1] as number, experts, EXPERT_ADVICE);
}

function matMul({ inputs, attrs, backend }: KernelCall): TensorInfo {
  const given = inputs as MatMulInputs;
  const { outputRows } = attrs as ExpertMatMulAttributes;
  const [experts, size, n] = given.weights.shape as [number, number, number];
  const assignments = given.order.shape[0] as number;
  const places = [given.inputs, given.weights, given.order, given.offsets].map((x) => backend.offsetOf(x));
  const gates = sizeOf(given.gates.shape) > 0 ? backend.offsetOf(given.gates) : 0;
  const y = backend.makeOutput([outputRows, n]);
  return filled(backend, y, () => {
    const share = shareOf(assignments, given.inputs.shape[0] as number);
    backend.engine.run(
      'expert_sum',
      ...[...places, gates, backend.offsetOf(y), 0, 0, assignments, experts, size, n, share, outputRows, 0],
    );
  });
}

function matMulGrad({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { dy, ...given } = inputs as MatMulInputs & { dy: TensorInfo };
  const { outputRows } = attrs as ExpertMatMulAttributes;
  const [experts, size, n] = given.weights.shape as [number, number, number];
  const assignments = given.order.shape[0] as number;
  const rows = given.inputs.shape[0] as number;
  const [x, weights, order, offsets, upstream] = [given.inputs, given.weights, given.order, given.offsets, dy].map(
    (tensor) => backend.offsetOf(tensor),
  ) as [number, number, number, number, number];
  const gates = sizeOf(given.gates.shape) > 0 ? backend.offsetOf(given.gates) : 0;
  const outputShare = shareOf(assignments, outputRows);
  const shapes = [given.inputs.shape, given.weights.shape, given.gates.shape];
  return floatOutputs(backend, shapes, ([dInputs, dWeights, dGates]) => {
    const dotBlocks = gates > 0 ? Math.max(1, Math.ceil(size / COLUMNS_PER_DOT)) : 0;
    backend.withWorkspace(4 * dotBlocks * assignments, (dots) => {
      const reference = gates > 0 ? [x, dots] : [0, 0];
      const products = [upstream, weights, order, offsets, gates, dInputs as number, ...reference];
      backend.engine.run('expert_sum', ...[...products, assignments, experts, n, size, outputShare, rows, 1]);
      if (gates > 0) backend.engine.run('copy', dots, dGates as number, 4 * assignments);
    });
    backend.engine.run(
      'expert_weight_grad',
      ...[x, upstream, order, offsets, gates, dWeights as number, assignments, experts],
      ...[size, shareOf(assignments, rows), n, outputShare],
    );
  });
}

function feedForward({ inputs, backend }: KernelCall): TensorInfo {
  const given = inputs as FeedForwardInputs;
  const [experts, size, expertSize] = given.keys.shape as [number, number, number];
  const places = placesOf(given, (tensor) => backend.offsetOf(tensor));
  const { x, keys, values, gates, order, offsets, hidden, assignments, rows, share } = places;
  const y = backend.makeOutput(given.inputs.shape);
  return filled(backend, y, () => {
    backend.engine.run(
      'expert_hidden',
      ...[x, keys, order, offsets, hidden, assignments, experts, size, expertSize, share],
    );
    const products = [hidden, values, order, offsets, gates, backend.offsetOf(y), 0, 0];
    backend.engine.run('expert_sum', ...[...products, assignments, experts, expertSize, size, 0, rows, 0]);
  });
}

function feedForwardGrad({ inputs, backend }: KernelCall): TensorInfo[] {
  const { dy, ...given } = inputs as FeedForwardInputs & { dy: TensorInfo };
  const [experts, size, expertSize] = given.keys.shape as [number, number, number];
  const places = placesOf(given, (tensor) => backend.offsetOf(tensor));
  const { x, keys, values, gates, order, offsets, hidden, assignments, rows, share } = places;
  const upstream = backend.offsetOf(dy);
  const shapes = [given.inputs.shape, given.keys.shape, given.values.shape, [assignments]];
  return floatOutputs(backend, shapes, (outputs) => {
    const [dInputs, dKeys, dValues, dGates] = outputs as [number, number, number, number];
    backend.withWorkspace(4 * assignments * expertSize, (dHidden) => {
      backend.engine.run(
        'expert_hidden_grad',
        ...[upstream, values, order, offsets, gates, hidden, dHidden, dGates],
        ...[assignments, experts, size, expertSize, share],
      );
      const products = [dHidden, keys, order, offsets, 0, dInputs, 0, 0];
      backend.engine.run('expert_sum', ...[...products, assignments, experts, expertSize, size, 0, rows, 1]);
      backend.engine.run(
        'expert_weight_grad',
        ...[x, dHidden, order, offsets, 0, dKeys, assignments, experts, size, share, expertSize, 0],
      );
      backend.engine.run(
        'expert_weight_grad',
        ...[hidden, upstream, order, offsets, gates, dValues, assignments, experts, expertSize, 0, size, share],
      );
    });
  });
}

/** Where the tensors of a feed-forward layer are, and its sizes. */
function placesOf(tensors: FeedForwardInputs, offsetOf: (tensor: TensorInfo) => number) {
  const assignments = tensors.order.shape[0] as number;
  const rows = tensors.inputs.shape[0] as number;
  return {
    x: offsetOf(tensors.inputs),
    keys: offsetOf(tensors.keys),
    values: offsetOf(tensors.values),
    gates: offsetOf(tensors.gates),
    order: offsetOf(tensors.order),
    offsets: offsetOf(tensors.offsets),
    hidden: offsetOf(tensors.hidden),
    assignments,
    rows,
    share: shareOf(assignments, rows),
  };
}

/** How many assignments belong to a row. */
function shareOf(assignments: number, rows: number): number {
  return Math.max(1, assignments / Math.max(1, rows));
}
