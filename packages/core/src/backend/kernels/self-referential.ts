/** Kernels of `ops/self-referential.ts`: the scan over whole sequences, and its gradient. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import { offsetIfGiven } from './fast-weights.ts';

/**
 * The scan fills its inputs `activations`, `differences` and `anchors` and gives [output, final state]; the gradient gives
 * those of x, weights and initial state.
 */
export const selfReferentialKernels: KernelTable = {
  FwpSelfReferential: selfReferential,
  FwpSelfReferentialGradient: selfReferentialGradient,
};

/** On the engine and on a GPU, where the anchors are others. */
export interface SelfReferentialInputs {
  /** [batch, heads, time, dim]. */
  readonly x: TensorInfo;
  /** [heads, dim, columns]. */
  readonly weights: TensorInfo;
  /** [batch, heads, dim, columns], or no elements. */
  readonly initialState: TensorInfo;
  /** bool [batch, time], or no elements. */
  readonly resetMask: TensorInfo;
  /** What the gradient needs; without elements when no gradient will be taken. */
  readonly activations: TensorInfo;
  readonly differences: TensorInfo;
  readonly anchors: TensorInfo;
}

function selfReferential({ inputs, backend }: KernelCall): TensorInfo[] {
  const { x, weights } = inputs as unknown as SelfReferentialInputs;
  const { batch, heads, time, dim, outputDim, columns } = sizesOf(x, weights);
  const shapes = [
    [batch, heads, time, outputDim],
    [batch, heads, dim, columns],
  ];
  return floatOutputs(backend, shapes, (outputs) => {
    backend.engine.run('self_referential_forward', ...common(backend, inputs), ...outputs);
  });
}

/** Inputs: those of the forward, and the gradients of its results. */
function selfReferentialGradient({ inputs, backend }: KernelCall): TensorInfo[] {
  const { x, weights } = inputs as unknown as SelfReferentialInputs;
  const { dOutput, dFinalState } = inputs as unknown as Record<'dOutput' | 'dFinalState', TensorInfo>;
  const { batch, heads, dim, columns } = sizesOf(x, weights);
  return floatOutputs(backend, [x.shape, weights.shape, dFinalState.shape], (outputs) => {
    backend.withWorkspace(batch * heads * dim * columns * 4, (partial) => {
      const upstream = [dOutput, dFinalState].map((tensor) => backend.offsetOf(tensor));
      backend.engine.run('self_referential_backward', ...common(backend, inputs), ...upstream, ...outputs, partial);
    });
  });
}

function sizesOf(
  x: TensorInfo,
  weights: TensorInfo,
): Record<'batch' | 'heads' | 'time' | 'dim' | 'outputDim' | 'columns', number> {
  const [batch, heads, time, dim] = x.shape as [number, number, number, number];
  const columns = weights.shape[2] as number;
  return { batch, heads, time, dim, columns, outputDim: columns - 2 * dim - 4 };
}

/** The arguments that both C kernels begin with. */
function common(backend: FwpBackend, inputs: KernelCall['inputs']): number[] {
  const { x, weights, initialState, resetMask, activations, differences, anchors } =
    inputs as unknown as SelfReferentialInputs;
  const { batch, heads, time, dim, outputDim } = sizesOf(x, weights);
  const optional = [initialState, resetMask, activations, differences, anchors];
  return [
    ...[batch, heads, time, dim, outputDim, backend.offsetOf(x), backend.offsetOf(weights)],
    ...optional.map((tensor) => offsetIfGiven(backend, tensor)),
  ];
}
