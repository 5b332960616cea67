/**
 * What follows the product in tfjs's fused kernels, for matrices and convolutions alike: a bias and an activation. A bias
 * per column (or channel) and the usual activations are applied by the C kernel as it stores its results; anything else
 * that tfjs allows runs as kernels of its own.
 */

import { getKernel, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { BACKEND_NAME, type FwpBackend } from './backend.ts';
import type { KernelCall } from './kernel-table.ts';
import { FUSED_ACTIVATIONS, type FusedActivation, isFusedActivation } from './matmul-plan.ts';

/** The bias and activation that a C kernel applies. */
export interface Finish {
  /** One value per column, or a single one. */
  readonly bias?: TensorInfo | null | undefined;
  readonly activation?: FusedActivation;
  /** Slope of `'leakyrelu'`. */
  readonly slope?: number;
}

/** The last three arguments of the C kernels: bias offset (0: none), activation, slope. */
export type FinishArguments = [bias: number, activation: number, slope: number];

interface FusedInputs {
  readonly bias?: TensorInfo | null;
  readonly preluActivationWeights?: TensorInfo | null;
}

interface FusedAttributes {
  readonly activation?: string | null;
  readonly leakyreluAlpha?: number;
}

/** tfjs kernels of the activations that are applied separately. */
const KERNEL_OF_ACTIVATION: Readonly<Record<string, string>> = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  leakyrelu: 'LeakyRelu',
  prelu: 'Prelu',
};

/**
 * Runs a fused kernel.
 *
 * @param call its inputs (of them `bias` and `preluActivationWeights` are read) and attributes
 * @param columns number of columns or channels of the output
 * @param compute makes the output, with as much of the finish as it is given
 */
export function withFinish(call: KernelCall, columns: number, compute: (finish: Finish) => TensorInfo): TensorInfo {
  const { bias, preluActivationWeights } = call.inputs as FusedInputs;
  const attrs = call.attrs as FusedAttributes;
  const activation = attrs.activation || 'linear';
  const slope = attrs.leakyreluAlpha ?? 0.2;
  if (isFusedActivation(activation) && (!bias || isPerColumn(bias, columns))) {
    return compute({ bias, activation, slope });
  }
  const kernelName = KERNEL_OF_ACTIVATION[activation];
  if (activation !== 'linear' && kernelName === undefined) {
    throw new Error(
      `Unknown activation '${activation}'; expected one of ${Object.keys(KERNEL_OF_ACTIVATION).join(', ')} or linear.`,
    );
  }
  let current = compute({});
  const then = (name: string, inputs: Record<string, TensorInfo>, kernelAttrs: object): void => {
    const previous = current;
    try {
      current = runKernel(call.backend, name, inputs, kernelAttrs);
    } finally {
      call.backend.release(previous);
    }
  };
  if (bias) then('Add', { a: current, b: bias }, {});
  if (kernelName === 'Prelu') then(kernelName, { x: current, alpha: preluActivationWeights as TensorInfo }, {});
  else if (kernelName !== undefined) then(kernelName, { x: current }, { alpha: slope });
  return current;
}

/** Calls `run` with the arguments that make a C kernel apply `finish`. */
export function withFinishArguments(
  backend: FwpBackend,
  { bias, activation = 'linear', slope = 0.2 }: Finish,
  columns: number,
  run: (args: FinishArguments) => void,
): void {
  const code = FUSED_ACTIVATIONS.indexOf(activation);
  if (!bias || columns === 0) {
    run([0, code, slope]);
  } else if (util.sizeFromShape(bias.shape) === columns) {
    run([backend.offsetOf(bias), code, slope]);
  } else {
    backend.withWorkspace(4 * columns, (offset) => {
      backend.engine.float32(offset, columns).fill(backend.viewOf(bias)[0] as number);
      run([offset, code, slope]);
    });
  }
}

/** Whether a bias has one value per column, or one in all. */
function isPerColumn(bias: TensorInfo, columns: number): boolean {
  const size = util.sizeFromShape(bias.shape);
  return size === 1 || (size === columns && bias.shape.at(-1) === columns);
}

/** Runs another kernel of this backend. */
function runKernel(backend: FwpBackend, name: string, inputs: Record<string, TensorInfo>, attrs: object): TensorInfo {
  return getKernel(name, BACKEND_NAME).kernelFunc({ inputs, attrs: attrs as never, backend }) as TensorInfo;
}
