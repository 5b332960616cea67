/** The LSTM on the GPU, in the place of the engine's `backend/kernels/lstm.ts`. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LstmGradientInputs, LstmInputs } from '../backend/kernels/lstm.ts';
import type { WebGpuBackend } from './backend.ts';
import {
  type GpuKernelCall,
  type GpuKernelTable,
  ifGiven,
  outputsOf,
  passState,
  withJoined,
  withResultOf,
  withResults,
} from './kernel-table.ts';
import { LSTM_ROWS, lstm } from './kernels/lstm.ts';
import { lstmGradient } from './kernels/lstm-gradient.ts';
import { lstmWeightGradient } from './kernels/lstm-weight-gradient.ts';
import { inParts, sumColumns, withLinear } from './products.ts';
import { runKernel, type WgslKernel } from './program.ts';

/** Kernels as the operation calls them: see the engine's. */
export const lstmKernels: GpuKernelTable = {
  FwpLstm: forward,
  FwpLstmGradient: gradient,
};

/**
 * Most units of which a workgroup has all, one each: then R, of 1 MiB or less, stays in the GPU's caches while the workgroup goes
 * through the steps. Layers that are wider keep the whole GPU busy with every step.
 */
const TOGETHER = 256;
/** Units of a workgroup where they are divided. */
const APART = 64;

interface Sizes {
  readonly batch: number;
  readonly steps: number;
  readonly hidden: number;
}

function sizesOf({ cells }: LstmInputs): Sizes {
  const [batch, steps, hidden] = cells.shape as [number, number, number];
  return { batch, steps, hidden };
}

/** Runs a kernel over `places` in time, forward or backward, in one dispatch or in one for each. */
function overTime(
  backend: WebGpuBackend,
  kernel: WgslKernel,
  { places, backward, ...sizes }: Sizes & { readonly places: number; readonly backward: boolean },
  tensors: Readonly<Record<string, TensorInfo | undefined>>,
): void {
  const together = sizes.hidden <= TOGETHER;
  const lanes = together ? Math.max(32, 2 ** Math.ceil(Math.log2(sizes.hidden))) : APART;
  const tiles = Math.ceil(sizes.hidden / lanes);
  const run = (begin: number, end: number) =>
    runKernel(backend, kernel, {
      constants: { lanes },
      tensors,
      parameters: { ...sizes, begin, end, unit_tiles: tiles },
      groups: Math.ceil(sizes.batch / LSTM_ROWS) * tiles,
    });
  if (together) run(0, places);
  else {
    for (let done = 0; done < places; done++) {
      const place = backward ? places - 1 - done : done;
      run(place, place + 1);
    }
  }
}

/** The output, and the last h and c; fills `gates` and `cells`. */
function forward({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as LstmInputs;
  const { initialHidden, initialCell, gates, cells } = given;
  const sizes = sizesOf(given);
  const { batch, steps, hidden } = sizes;
  const state = [batch, hidden];
  return outputsOf(backend, [[batch, steps, hidden], state, state], (...outputs) => {
    const [output, finalHidden, finalCell] = outputs as [TensorInfo, TensorInfo, TensorInfo];
    if (batch * steps * hidden === 0) {
      passState(backend, initialHidden, finalHidden, [output]);
      passState(backend, initialCell, finalCell, []);
      return;
    }
    withLinear(backend, { x: given.x, weight: given.inputWeight, bias: given.bias }, (sums) =>
      withJoined(backend, [initialHidden, initialCell], (initial) =>
        withResults(backend, [finalHidden, finalCell], {}, (finals) =>
          overTime(
            backend,
            lstm,
            { ...sizes, places: steps, backward: false },
            {
              ...{ sums, weight: given.recurrentWeight, initial, resets: ifGiven(given.resetMask) },
              ...{ gates, cells, output, finals },
            },
          ),
        ),
      ),
    );
  });
}

/** Gradients of z (before the activations), recurrent weight, initial h, initial c and bias. */
function gradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as LstmGradientInputs;
  const { gates, cells, recurrentWeight, initialHidden, initialCell } = given;
  const sizes = sizesOf(given);
  const { batch, steps, hidden } = sizes;
  const [columns, resets] = [4 * hidden, ifGiven(given.resetMask)];
  const shapes = [gates.shape, recurrentWeight.shape, initialHidden.shape, initialCell.shape, [columns]];
  return outputsOf(backend, shapes, (...gradients) => {
    const [dGates, dWeight, dHidden, dCell, dBias] = gradients as [
      ...[TensorInfo, TensorInfo, TensorInfo],
      ...[TensorInfo, TensorInfo],
    ];
    if (batch * steps * hidden === 0) {
      passState(backend, given.dFinalHidden, dHidden, [dGates, dWeight, dBias]);
      passState(backend, given.dFinalCell, dCell, []);
      return;
    }
    withResults(backend, [dHidden, dCell], { 0: given.dFinalHidden, 1: given.dFinalCell }, (states) =>
      withResultOf(backend, 'Transpose', { x: recurrentWeight }, { perm: [1, 0] }, (weight) =>
        // The place before the first step gives the gradients of the initial state.
        overTime(
          backend,
          lstmGradient,
          { ...sizes, places: steps + 1, backward: true },
          {
            ...{ weight, gates, cells, initial_cell: initialCell, resets },
            ...{ d_output: given.dOutput, d_gates: dGates, d_states: states },
          },
        ),
      ),
    );
    const product = { rows: hidden, columns, inner: batch * steps };
    inParts(backend, dWeight, product, (partial, { share, splits, groups }) =>
      runKernel(backend, lstmWeightGradient, {
        tensors: { output: given.output, initial_hidden: initialHidden, resets, d_gates: dGates, partial },
        parameters: { ...product, steps, share, splits },
        groups,
      }),
    );
    sumColumns(backend, dGates, dBias, batch * steps, columns);
  });
}
