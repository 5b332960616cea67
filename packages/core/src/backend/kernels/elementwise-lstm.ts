/** Kernels of `ops/elementwise-lstm.ts`: a layer over whole sequences, and what of its gradient is not a plain matrix product. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { runMatMul } from '../matmul-plan.ts';
import { floatOutputs } from '../outputs.ts';
import { offsetIfGiven } from './fast-weights.ts';

/**
 * `FwpElementwiseLstm` fills its input `gates` with z and f and gives [c of all steps, c of the last];
 * `FwpElementwiseLstmGradient` gives the gradients of z and f before their activations, of the recurrent weight, of the bias and
 * of the initial state.
 */
export const elementwiseLstmKernels: KernelTable = {
  FwpElementwiseLstm: elementwiseLstm,
  FwpElementwiseLstmGradient: elementwiseLstmGradient,
};

/** What both kernels take, on the engine and on a GPU. What was not given has no elements. */
export interface ElementwiseLstmInputs {
  /** [batch, steps, 2 · hidden]. */
  readonly gates: TensorInfo;
  /** [2 · hidden]. */
  readonly recurrentWeight: TensorInfo;
  /** [batch, hidden]. */
  readonly initialState: TensorInfo;
  /** bool [batch, steps]. */
  readonly resetMask: TensorInfo;
}

function elementwiseLstm({ inputs, backend }: KernelCall): TensorInfo[] {
  const { x, inputWeight, bias, ...common } = inputs as unknown as ElementwiseLstmInputs &
    Record<'x' | 'inputWeight' | 'bias', TensorInfo>;
  const [batch, steps, columns] = common.gates.shape as [number, number, number];
  const hidden = columns / 2;
  return floatOutputs(
    backend,
    [
      [batch, steps, hidden],
      [batch, hidden],
    ],
    ([cells, final]) => {
      runMatMul(backend, {
        a: backend.offsetOf(x),
        b: backend.offsetOf(inputWeight),
        c: backend.offsetOf(common.gates),
        m: batch * steps,
        n: columns,
        k: x.shape[2] as number,
        bias: offsetIfGiven(backend, bias),
      });
      backend.engine.run('elementwise_lstm', ...commonArguments(backend, common), cells as number, final as number);
    },
  );
}

/** Inputs: those of the forward that it saved, `output`, and the gradients of its two results. */
function elementwiseLstmGradient({ inputs, backend }: KernelCall): TensorInfo[] {
  const { output, dOutput, dFinalState, ...common } = inputs as unknown as ElementwiseLstmInputs &
    Record<'output' | 'dOutput' | 'dFinalState', TensorInfo>;
  const [batch, steps, columns] = common.gates.shape as [number, number, number];
  const shapes = [[batch, steps, columns], [columns], [columns], [batch, columns / 2]];
  return floatOutputs(backend, shapes, (offsets) => {
    const [dGates, dRecurrent, dBias, dInitial] = offsets as [number, number, number, number];
    backend.withWorkspace(batch * 2 * columns * 4, (partial) => {
      backend.engine.run(
        'elementwise_lstm_grad',
        ...commonArguments(backend, common),
        ...[output, dOutput, dFinalState].map((tensor) => backend.offsetOf(tensor)),
        ...[dGates, dInitial, partial, dRecurrent, dBias],
      );
    });
  });
}

/** The arguments that both C kernels begin with, except for c of all steps. */
function commonArguments(
  backend: FwpBackend,
  { gates, recurrentWeight, initialState, resetMask }: ElementwiseLstmInputs,
): number[] {
  const [batch, steps, columns] = gates.shape as [number, number, number];
  return [
    ...[batch, steps, columns / 2],
    backend.offsetOf(gates),
    backend.offsetOf(recurrentWeight),
    offsetIfGiven(backend, initialState),
    offsetIfGiven(backend, resetMask),
  ];
}
