/** Kernels of `ops/affine-scan.ts`: states that linear maps carry on, forward, and their gradients backward. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import { offsetIfGiven } from './fast-weights.ts';

/** Ways to give a transition, in the order of their numbers in `csrc/affine-scan.c`. */
export const AFFINE_TRANSITIONS = ['elementwise', 'scalar', 'diagonal', 'matrix'] as const;

/** Columns of a state that a matrix carries on, at most: AFFINE_COLUMNS of `csrc/affine-scan.c`. */
export const MAX_AFFINE_COLUMNS = 256;

/** Attributes of both kernels. */
export interface AffineScanAttributes {
  readonly kind: (typeof AFFINE_TRANSITIONS)[number];
}

/**
 * `FwpAffineScan` gives [states of all steps, the last state]; `FwpAffineScanGradient` [gradient of the input, that of the initial
 * state]. In both, `input` is [batch, steps, rows, columns]: what a step adds, or the gradient of its state; `edge` is what there is
 * before the first step, or the gradient of the last state.
 */
export const affineScanKernels: KernelTable = {
  FwpAffineScan: (call) => run('affine_scan', call),
  FwpAffineScanGradient: (call) => run('affine_scan_grad', call),
};

function run(kernel: 'affine_scan' | 'affine_scan_grad', { inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { transition, input, edge, resetMask } = inputs as unknown as Record<string, TensorInfo>;
  const { kind } = attrs as unknown as AffineScanAttributes;
  const [batch, steps, rows, columns] = (input as TensorInfo).shape as [number, number, number, number];
  const shapes = [
    [batch, steps, rows, columns],
    [batch, rows, columns],
  ];
  return floatOutputs(backend, shapes, ([states, final]) => {
    backend.engine.run(
      kernel,
      ...[AFFINE_TRANSITIONS.indexOf(kind), batch, steps, rows, columns],
      ...[backend.offsetOf(transition as TensorInfo), backend.offsetOf(input as TensorInfo)],
      ...[offsetIfGiven(backend, edge), offsetIfGiven(backend, resetMask)],
      ...[states as number, final as number],
    );
  });
}
