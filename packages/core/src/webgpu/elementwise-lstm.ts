/** The LSTM with elementwise recurrence on the GPU, in the place of the engine's `backend/kernels/elementwise-lstm.ts`. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { ElementwiseLstmInputs } from '../backend/kernels/elementwise-lstm.ts';
import {
  type GpuKernelCall,
  type GpuKernelTable,
  ifGiven,
  outputsOf,
  passState,
  withJoined,
  withResults,
  withWorkspace,
} from './kernel-table.ts';
import { ELEMENTWISE_LSTM_LANES, elementwiseLstm } from './kernels/elementwise-lstm.ts';
import { elementwiseLstmGradient } from './kernels/elementwise-lstm-gradient.ts';
import { sumColumns, withLinear } from './products.ts';
import { runKernel } from './program.ts';

/** Kernels as the operation calls them: see the engine's. */
export const elementwiseLstmKernels: GpuKernelTable = {
  FwpElementwiseLstm: forward,
  FwpElementwiseLstmGradient: gradient,
};

interface ForwardInputs extends ElementwiseLstmInputs {
  readonly x: TensorInfo;
  readonly inputWeight: TensorInfo;
  readonly bias: TensorInfo;
}

interface GradientInputs extends ElementwiseLstmInputs {
  readonly output: TensorInfo;
  readonly dOutput: TensorInfo;
  readonly dFinalState: TensorInfo;
}

function sizesOf({ gates }: ElementwiseLstmInputs) {
  const [batch, steps, columns] = gates.shape as [number, number, number];
  return { batch, steps, columns, hidden: columns / 2 };
}

/** c of all steps and of the last; fills `gates`. */
function forward({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as ForwardInputs;
  const { batch, steps, hidden } = sizesOf(given);
  return outputsOf(
    backend,
    [
      [batch, steps, hidden],
      [batch, hidden],
    ],
    (...outputs) => {
      const [cells, finalState] = outputs as [TensorInfo, TensorInfo];
      if (batch * steps * hidden === 0) {
        passState(backend, given.initialState, finalState, [cells]);
        return;
      }
      withLinear(backend, { x: given.x, weight: given.inputWeight, bias: given.bias }, (sums) =>
        runKernel(backend, elementwiseLstm, {
          tensors: {
            ...{ sums, recurrent: given.recurrentWeight, gates: given.gates, cells, final_state: finalState },
            ...{ initial_state: ifGiven(given.initialState), resets: ifGiven(given.resetMask) },
          },
          parameters: { batch, steps, hidden },
          groups: Math.ceil((batch * hidden) / ELEMENTWISE_LSTM_LANES),
        }),
      );
    },
  );
}

/** Gradients of (z, f) before their activations, of the recurrent weight, of the bias and of the initial state. */
function gradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as GradientInputs;
  const { batch, steps, columns, hidden } = sizesOf(given);
  return outputsOf(backend, [given.gates.shape, [columns], [columns], [batch, hidden]], (...gradients) => {
    const [dGates, dRecurrent, dBias, dInitial] = gradients as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
    if (batch * steps * hidden === 0) {
      passState(backend, given.dFinalState, dInitial, gradients);
      return;
    }
    withWorkspace(backend, [batch * columns], (partial) => {
      withResults(backend, [dGates, dInitial, partial as TensorInfo], {}, (results) =>
        withJoined(backend, [given.gates, given.output, given.dOutput], (sequences) =>
          runKernel(backend, elementwiseLstmGradient, {
            tensors: {
              ...{ sequences, recurrent: given.recurrentWeight, d_final_state: given.dFinalState, results },
              ...{ initial_state: ifGiven(given.initialState), resets: ifGiven(given.resetMask) },
            },
            parameters: { batch, steps, hidden },
            groups: Math.ceil((batch * hidden) / ELEMENTWISE_LSTM_LANES),
          }),
        ),
      );
      sumColumns(backend, partial as TensorInfo, dRecurrent, batch, columns);
      sumColumns(backend, dGates, dBias, batch * steps, columns);
    });
  });
}
