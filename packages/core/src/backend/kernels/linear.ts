/** Kernels of `ops/linear.ts`: y = activation(x W + bias) and the elementwise part of its gradient. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { FUSED_ACTIVATIONS, type FusedActivation, runMatMul } from '../matmul-plan.ts';
import { allOrNothing, filled } from '../outputs.ts';

/** Attributes of the three forward kernels. */
export interface LinearAttributes {
  readonly activation: FusedActivation;
  readonly hasBias: boolean;
}

/**
 * `FwpLinear`, `FwpLinearKeepingOutput` and `FwpLinearKeepingInput` differ in what their gradients save: nothing of the
 * output, the output, or z = x W + bias, which the third writes to its input `z`.
 */
export const linearKernels: KernelTable = {
  FwpLinear: linear,
  FwpLinearKeepingOutput: linear,
  FwpLinearKeepingInput: linearKeepingInput,
  FwpLinearGradient: linearGradient,
};

/** Partial sums of the bias's gradient: `LINEAR_CHUNKS` of `csrc/linear.c`. */
const MAX_CHUNKS = 32;

interface LinearInputs {
  readonly x: TensorInfo;
  readonly weight: TensorInfo;
  readonly bias?: TensorInfo;
}

function linear(call: KernelCall): TensorInfo {
  const { weight, x } = call.inputs as LinearInputs;
  const output = call.backend.makeOutput([...x.shape.slice(0, -1), weight.shape[1] as number]);
  return filled(call.backend, output, () => multiply(call, output, (call.attrs as LinearAttributes).activation));
}

function linearKeepingInput(call: KernelCall): TensorInfo {
  const { backend } = call;
  const { z } = call.inputs as { z: TensorInfo };
  const { activation } = call.attrs as LinearAttributes;
  multiply(call, z, 'linear');
  const output = backend.makeOutput(z.shape);
  return filled(backend, output, () => {
    const size = z.shape.reduce((product, extent) => product * extent, 1);
    backend.engine.run('linear_activate', backend.offsetOf(z), backend.offsetOf(output), size, codeOf(activation));
  });
}

/** Writes activation(x W + bias) to `output`. */
function multiply({ inputs, backend }: KernelCall, output: TensorInfo, activation: FusedActivation): void {
  const { x, weight, bias } = inputs as LinearInputs;
  const [k, n] = weight.shape as [number, number];
  runMatMul(backend, {
    a: backend.offsetOf(x),
    b: backend.offsetOf(weight),
    c: backend.offsetOf(output),
    m: rowsOf(x),
    n,
    k,
    bias: bias ? backend.offsetOf(bias) : 0,
    activation,
  });
}

/**
 * From dy and what the activation's derivative is taken from (`known`: y or z) to [dz, dbias]; without an activation to
 * [dbias], without a bias to [dz].
 */
function linearGradient({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { dy, known } = inputs as { dy: TensorInfo; known?: TensorInfo };
  const { activation, hasBias } = attrs as LinearAttributes;
  const columns = dy.shape.at(-1) as number;
  const outputs = allOrNothing(backend, [
    ...(known ? [() => backend.makeOutput(dy.shape)] : []),
    ...(hasBias ? [() => backend.makeOutput([columns])] : []),
  ]);
  const dz = known ? backend.offsetOf(outputs[0] as TensorInfo) : 0;
  const dBias = hasBias ? backend.offsetOf(outputs.at(-1) as TensorInfo) : 0;
  try {
    backend.withWorkspace(hasBias ? MAX_CHUNKS * columns * 4 : 0, (partial) => {
      const from = known ? backend.offsetOf(known) : 0;
      backend.engine.run(
        'linear_backward',
        ...[backend.offsetOf(dy), from, dz, dBias, partial, rowsOf(dy), columns, codeOf(activation)],
      );
    });
  } catch (error) {
    for (const output of outputs) backend.release(output);
    throw error;
  }
  return outputs;
}

function codeOf(activation: FusedActivation): number {
  return FUSED_ACTIVATIONS.indexOf(activation);
}

/** Number of rows of a tensor seen as a matrix. */
function rowsOf(x: TensorInfo): number {
  return x.shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
}
