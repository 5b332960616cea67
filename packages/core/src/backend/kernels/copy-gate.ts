/** Kernels of `ops/copy-gate.ts`. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { RandomStreamState } from '../../random/stream.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { filled, floatOutputs } from '../outputs.ts';
import { randomArguments } from '../random-arguments.ts';

/** Attributes of both kernels. */
export interface CopyGateAttributes {
  /** A row's gate is closed where its random word is not below `threshold`. */
  readonly gateDropout?: {
    readonly threshold: number;
    readonly state: RandomStreamState;
  };
}

/** `FwpCopyGateGradient` gives the gradients of state, update and gate. */
export const copyGateKernels: KernelTable = {
  FwpCopyGate: copyGate,
  FwpCopyGateGradient: copyGateGradient,
};

/** The arguments that both C kernels begin with. */
function commonArguments({ inputs, attrs, backend }: KernelCall): number[] {
  const { state, update, gate } = inputs as Record<'state' | 'update' | 'gate', TensorInfo>;
  const { gateDropout } = attrs as CopyGateAttributes;
  const rows = state.shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
  return [
    ...randomArguments(0, 0, gateDropout?.state),
    ...[gateDropout?.threshold ?? 0, gateDropout ? 1 : 0, rows, state.shape.at(-1) as number],
    ...[state, update, gate].map((tensor) => backend.offsetOf(tensor)),
  ];
}

function copyGate(call: KernelCall): TensorInfo {
  const { inputs, backend } = call;
  const output = backend.makeOutput((inputs as { state: TensorInfo }).state.shape);
  return filled(backend, output, () => {
    backend.engine.run('copy_gate', ...commonArguments(call), backend.offsetOf(output));
  });
}

function copyGateGradient(call: KernelCall): TensorInfo[] {
  const { inputs, backend } = call;
  const { dy } = inputs as { dy: TensorInfo };
  return floatOutputs(backend, [dy.shape, dy.shape, dy.shape], (gradients) => {
    backend.engine.run('copy_gate_gradient', ...commonArguments(call), backend.offsetOf(dy), ...gradients);
  });
}
