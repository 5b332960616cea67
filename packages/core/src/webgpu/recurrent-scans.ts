/**
 * Scans whose every step reads what the last one gave, on the GPU, in the place of the engine's
 * `backend/kernels/recurrent-scans.ts`: a workgroup has a head, with its matrices in registers, through all steps. The gradient
 * makes the states again, first those before segments of steps (`kernels/scan-states.ts`), then one segment's at a time.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type {
  DeltaRnnAttributes,
  DeltaRnnGradientInputs,
  DeltaRnnInputs,
  RecurrentDeltaGradientInputs,
  RecurrentDeltaInputs,
} from '../backend/kernels/recurrent-scans.ts';
import type { WebGpuBackend } from './backend.ts';
import {
  type GpuKernelCall,
  type GpuKernelTable,
  ifGiven,
  outputsOf,
  passState,
  withJoined,
  withKept,
  withResults,
  withWorkspace,
} from './kernel-table.ts';
import { deltaRnn } from './kernels/delta-rnn.ts';
import { deltaRnnGradient, deltaRnnNotes } from './kernels/delta-rnn-gradient.ts';
import { recurrentDelta } from './kernels/recurrent-delta.ts';
import { RECURRENT_SEGMENT, recurrentDeltaGradient, recurrentDeltaNotes } from './kernels/recurrent-delta-gradient.ts';
import { scanGates } from './kernels/scan-gates.ts';
import { SCAN_ROWS, scanStates } from './kernels/scan-states.ts';
import { runKernel } from './program.ts';
import { type Heads, headsAtATime } from './scan-memory.ts';

/** Kernels as the operations call them: see the engine's. */
export const recurrentScans: GpuKernelTable = {
  FwpDeltaRnn: fastRecurrence,
  FwpDeltaRnnGradient: fastRecurrenceGradient,
  FwpRecurrentDelta: recurrentDeltaNet,
  FwpRecurrentDeltaGradient: recurrentDeltaNetGradient,
};

// ---- what gradients share -----------------------------------------------------------------------

/** Writes of the delta rule that a forward made: β and errors, and the state that they began with. */
interface Replay {
  /** Heads of all batch elements, and those of one. */
  readonly heads: number;
  readonly headsOfOne: number;
  readonly time: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly beta: TensorInfo;
  readonly resetMask: TensorInfo | undefined;
  readonly keys: TensorInfo;
  readonly errors: TensorInfo;
  readonly initialState: TensorInfo | undefined;
}

/** Runs something with (β, 1, reset, 0) of all heads and steps. */
function withGates(
  backend: WebGpuBackend,
  { heads, headsOfOne, time, beta, resetMask }: Replay,
  use: (gates: TensorInfo) => void,
): void {
  withWorkspace(backend, [4 * heads * time], (work) => {
    const gates = work as TensorInfo;
    runKernel(backend, scanGates, {
      tensors: { beta, resets: resetMask, gates },
      parameters: { steps: heads * time, time, heads: headsOfOne },
      groups: Math.ceil((heads * time) / 64),
    });
    use(gates);
  });
}

/** Fills `boundaries` with the states before every segment, of some heads. */
function replay(backend: WebGpuBackend, given: Replay, gates: TensorInfo, boundaries: TensorInfo, part: Heads): void {
  const { time, keyDim, valueDim } = given;
  runKernel(backend, scanStates, {
    constants: { rule: 'replay', keyDim, decays: false, before: false, chunk: RECURRENT_SEGMENT },
    tensors: { k: given.keys, v: given.errors, gates, initial_state: given.initialState, boundaries },
    parameters: { first_head: part.first, heads: part.count, time, value_dim: valueDim },
    groups: part.count * Math.ceil(valueDim / SCAN_ROWS),
  });
}

// ---- Delta RNN and Delta LSTM -------------------------------------------------------------------

function deltaRnnSizes({ z }: DeltaRnnInputs) {
  const [batch, headsOfOne, gates, time, dim] = z.shape as [number, number, number, number, number];
  const [state, vector] = [
    [batch, headsOfOne, gates, dim, dim],
    [batch, headsOfOne, dim],
  ];
  return { batch, headsOfOne, heads: batch * headsOfOne, gates, time, dim, state, vector };
}

/** The output, the last state and the last cell. */
function fastRecurrence({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as DeltaRnnInputs;
  const { z, k, v, beta, initialState, initialCell } = given;
  const { version, start } = attrs as DeltaRnnAttributes;
  const { batch, headsOfOne, heads, gates, time, dim, state, vector } = deltaRnnSizes(given);
  return outputsOf(backend, [[batch, headsOfOne, time, dim], state, vector], (...outputs) => {
    const [output, finalState, finalCell] = outputs as [TensorInfo, TensorInfo, TensorInfo];
    if (heads * time * dim === 0) {
      passState(backend, initialState, finalState, [output]);
      passState(backend, initialCell, finalCell, []);
      return;
    }
    withKept(backend, [given.errors, given.queries, given.activations, given.cells], (kept) =>
      withResults(backend, [finalState, finalCell], {}, (finals) =>
        withJoined(backend, [z, k, v, beta], (sequences) =>
          runKernel(backend, deltaRnn, {
            constants: { dim, gates, version },
            tensors: {
              ...{ sequences, kept, output, finals, initial_query: given.initialQuery },
              initial_state: ifGiven(initialState),
              initial_cell: ifGiven(initialCell),
              resets: ifGiven(given.resetMask),
            },
            parameters: { heads, heads_per_batch: headsOfOne, time, start },
            groups: heads,
          }),
        ),
      ),
    );
  });
}

/** dz, dk, dv, dβ, and those of the initial state, query and cell. */
function fastRecurrenceGradient({ inputs, attrs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as DeltaRnnGradientInputs;
  const { z, k, beta, errors, queries, activations, cells, initialCell, dOutput, dFinalState, dFinalCell } = given;
  const { version } = attrs as DeltaRnnAttributes;
  const { headsOfOne, heads, gates, time, dim, state, vector } = deltaRnnSizes(given);
  return outputsOf(backend, [z.shape, z.shape, z.shape, beta.shape, state, vector, vector], (...gradients) => {
    if (heads * time * dim === 0) {
      passState(backend, dFinalState, gradients[4] as TensorInfo, gradients);
      passState(backend, dFinalCell, gradients[6] as TensorInfo, []);
      return;
    }
    const writes: Replay = {
      ...{ heads: heads * gates, headsOfOne: headsOfOne * gates, time, keyDim: dim, valueDim: dim },
      ...{ beta, keys: k, errors },
      resetMask: ifGiven(given.resetMask),
      initialState: ifGiven(given.initialState),
    };
    const boundary = gates * Math.ceil(time / RECURRENT_SEGMENT) * dim * dim;
    const notes = deltaRnnNotes(dim, gates);
    withResults(backend, gradients, { 4: dFinalState, 6: dFinalCell }, (results) =>
      withGates(backend, writes, (rates) =>
        withJoined(
          backend,
          [k, errors, queries, ...(version === 0 ? [] : [activations, cells]), dOutput],
          (sequences) => {
            for (const { first, count } of headsAtATime(heads, Math.max(boundary, notes))) {
              withWorkspace(backend, [count * boundary, count * notes], (boundaries, noted) => {
                replay(backend, writes, rates, boundaries as TensorInfo, {
                  first: first * gates,
                  count: count * gates,
                });
                runKernel(backend, deltaRnnGradient, {
                  constants: { dim, gates, version },
                  tensors: {
                    ...{ sequences, gates: rates, boundaries, notes: noted, results },
                    initial_cell: ifGiven(initialCell),
                  },
                  parameters: { first_head: first, heads: count, all_heads: heads, time },
                  groups: count,
                });
              });
            }
          },
        ),
      ),
    );
  });
}

// ---- Recurrent Delta Net ------------------------------------------------------------------------

function recurrentDeltaSizes({ q, v }: RecurrentDeltaInputs) {
  const [batch, headsOfOne, time, keyDim] = q.shape as [number, number, number, number];
  return { batch, headsOfOne, heads: batch * headsOfOne, time, keyDim, valueDim: v.shape[3] as number };
}

const weightsOf = ({ queryWeight, keyWeight, valueWeight, betaWeight }: RecurrentDeltaInputs): TensorInfo[] => [
  queryWeight,
  keyWeight,
  valueWeight,
  betaWeight,
];

/** The output and the last state. */
function recurrentDeltaNet({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as RecurrentDeltaInputs;
  const { q, k, v, beta, initialState } = given;
  const { batch, headsOfOne, heads, time, keyDim, valueDim } = recurrentDeltaSizes(given);
  const shapes = [
    [batch, headsOfOne, time, valueDim],
    [batch, headsOfOne, valueDim, keyDim],
  ];
  return outputsOf(backend, shapes, (output, finalState) => {
    if (heads * time * keyDim * valueDim === 0) {
      passState(backend, initialState, finalState as TensorInfo, [output as TensorInfo]);
      return;
    }
    const run = (kept: TensorInfo | undefined) =>
      withJoined(backend, [q, k, v, beta], (sequences) =>
        withJoined(backend, weightsOf(given), (weights) =>
          runKernel(backend, recurrentDelta, {
            constants: { keyDim, valueDim },
            tensors: {
              ...{ sequences, weights, kept, output, final_state: finalState },
              initial_state: ifGiven(initialState),
              initial_output: ifGiven(given.initialOutput),
              resets: ifGiven(given.resetMask),
            },
            parameters: { heads, heads_per_batch: headsOfOne, time },
            groups: heads,
          }),
        ),
      );
    withKept(backend, [given.queries, given.keys, given.rates, given.errors, given.feedback], run);
  });
}

/** dq, dk, dv, dβ, and those of the initial state and output. */
function recurrentDeltaNetGradient({ inputs, backend }: GpuKernelCall): TensorInfo[] {
  const given = inputs as RecurrentDeltaGradientInputs;
  const { queries, keys, rates, errors, feedback, dOutput, dFinalState } = given;
  const { batch, headsOfOne, heads, time, keyDim, valueDim } = recurrentDeltaSizes(given);
  const vector = [batch, headsOfOne, valueDim];
  const shapes = [...[given.q, given.k, given.v, given.beta, dFinalState].map(({ shape }) => shape), vector];
  return outputsOf(backend, shapes, (...gradients) => {
    if (heads * time * keyDim * valueDim === 0) {
      passState(backend, dFinalState, gradients[4] as TensorInfo, gradients);
      return;
    }
    const writes: Replay = {
      ...{ heads, headsOfOne, time, keyDim, valueDim, beta: rates, keys, errors },
      resetMask: ifGiven(given.resetMask),
      initialState: ifGiven(given.initialState),
    };
    const boundary = Math.ceil(time / RECURRENT_SEGMENT) * valueDim * keyDim;
    const notes = recurrentDeltaNotes(keyDim, valueDim);
    withResults(backend, gradients, { 4: dFinalState }, (results) =>
      withGates(backend, writes, (gates) =>
        withJoined(backend, [queries, keys, errors, feedback, dOutput], (sequences) =>
          withJoined(backend, weightsOf(given), (weights) => {
            for (const part of headsAtATime(heads, Math.max(boundary, notes))) {
              withWorkspace(backend, [part.count * boundary, part.count * notes], (before, noted) => {
                replay(backend, writes, gates, before as TensorInfo, part);
                runKernel(backend, recurrentDeltaGradient, {
                  constants: { keyDim, valueDim },
                  tensors: { sequences, gates, weights, boundaries: before, notes: noted, results },
                  parameters: {
                    ...{ first_head: part.first, heads: part.count, all_heads: heads },
                    ...{ heads_per_batch: headsOfOne, time },
                  },
                  groups: part.count,
                });
              });
            }
          }),
        ),
      ),
    );
  });
}
