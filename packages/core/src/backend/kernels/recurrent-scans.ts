/**
 * Kernels of `ops/delta-rnn.ts`, `ops/delta-lstm.ts` and `ops/recurrent-delta.ts`: scans whose every step reads what the last
 * one gave, and their gradients.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import { type FastWeightInputs, fastWeightArguments, fastWeightSizes, offsetIfGiven } from './fast-weights.ts';

/**
 * `FwpDeltaRnn` fills its inputs `errors`, `queries`, `activations` and `cells` and gives [output, final state, final cell];
 * its gradient gives those of z, k, v, beta, initial state, initial query and initial cell. `FwpRecurrentDelta` fills `queries`,
 * `keys`, `rates`, `errors` and `feedback` and gives [output, final state]; its gradient gives those of q, k, v, beta, initial
 * state and initial output.
 */
export const recurrentScanKernels: KernelTable = {
  FwpDeltaRnn: deltaRnn,
  FwpDeltaRnnGradient: deltaRnnGradient,
  FwpRecurrentDelta: recurrentDelta,
  FwpRecurrentDeltaGradient: recurrentDeltaGradient,
};

/** `FW_PADDING` of `csrc/recurrent-passes.h`. */
const PADDING = 16;
/** `RECURRENT_SEGMENT` of the same. */
const SEGMENT = 32;
/** Vectors of one step, of any kernel and each of its gates: more than there are. */
const VECTORS = 64;

const padded = (size: number): number => Math.ceil(size / PADDING) * PADDING;
/** Floats that a matrix takes, at most. */
const matrix = (rows: number, columns: number): number => padded(rows) * padded(columns);

/** Runs a kernel with `floats` floats of work space for each thread. */
function withWork(backend: FwpBackend, floats: number, run: (work: number[]) => void): void {
  backend.withWorkspace(backend.engine.threads * floats * 4, (work) => run([work, floats]));
}

// ---- Delta RNN and Delta LSTM --------------------------------------------------------------------

/** Of the Delta RNN and the Delta LSTM, on the engine and on a GPU. */
export interface DeltaRnnInputs {
  /** [batch, heads, gates, time, dim]. */
  readonly z: TensorInfo;
  readonly k: TensorInfo;
  readonly v: TensorInfo;
  /** [batch, heads, gates, time]. */
  readonly beta: TensorInfo;
  /** [batch, heads, gates, dim, dim]; the optional ones without elements where they were not given. */
  readonly initialState: TensorInfo;
  /** [batch, heads, dim]. */
  readonly initialQuery: TensorInfo;
  readonly initialCell: TensorInfo;
  /** bool [batch, time]. */
  readonly resetMask: TensorInfo;
  /** As z, then [batch, heads, time, dim], as z, and [batch, heads, time, dim]. */
  readonly errors: TensorInfo;
  readonly queries: TensorInfo;
  readonly activations: TensorInfo;
  readonly cells: TensorInfo;
}

/** Of their gradient. */
export interface DeltaRnnGradientInputs extends DeltaRnnInputs {
  readonly dOutput: TensorInfo;
  readonly dFinalState: TensorInfo;
  readonly dFinalCell: TensorInfo;
}

/** Attributes of the Delta RNN (version 0) and of the versions of the Delta LSTM. */
export interface DeltaRnnAttributes {
  readonly version: number;
  /** An element of the recurrent query where a sequence begins. */
  readonly start: number;
}

function deltaRnnArguments({ inputs, attrs, backend }: KernelCall, work: number[]): number[] {
  const tensors = inputs as DeltaRnnInputs;
  const { version, start } = attrs as DeltaRnnAttributes;
  const [batch, heads, gates, time, dim] = tensors.z.shape as [number, number, number, number, number];
  const { initialState, initialCell, resetMask, errors, queries, activations, cells } = tensors;
  return [
    ...[batch * heads, heads, gates, time, dim, version, start],
    ...[tensors.z, tensors.k, tensors.v, tensors.beta].map((x) => backend.offsetOf(x)),
    ...[offsetIfGiven(backend, initialState), backend.offsetOf(tensors.initialQuery)],
    ...[initialCell, resetMask, errors, queries, activations, cells].map((x) => offsetIfGiven(backend, x)),
    ...work,
  ];
}

/** Shapes of [state of all gates, a vector for each head]. */
function deltaRnnShapes(z: TensorInfo): [state: number[], vector: number[]] {
  const [batch, heads, gates, , dim] = z.shape as [number, number, number, number, number];
  return [
    [batch, heads, gates, dim, dim],
    [batch, heads, dim],
  ];
}

function deltaRnn(call: KernelCall): TensorInfo[] {
  const { backend } = call;
  const { z } = call.inputs as DeltaRnnInputs;
  const [batch, heads, gates, time, dim] = z.shape as [number, number, number, number, number];
  const [state, vector] = deltaRnnShapes(z);
  const floats = gates * matrix(dim, dim) + VECTORS * padded(dim);
  return floatOutputs(backend, [[batch, heads, time, dim], state, vector], (outputs) => {
    withWork(backend, floats, (work) => {
      backend.engine.run('delta_rnn_forward', ...deltaRnnArguments(call, work), ...outputs);
    });
  });
}

/** Inputs: those of the forward, and the gradients of its results. */
function deltaRnnGradient(call: KernelCall): TensorInfo[] {
  const { backend } = call;
  const { z, beta, dOutput, dFinalState, dFinalCell } = call.inputs as DeltaRnnGradientInputs;
  const [, , gates, time, dim] = z.shape as [number, number, number, number, number];
  const [state, vector] = deltaRnnShapes(z);
  const states = gates * matrix(dim, dim);
  const floats = (2 + SEGMENT + Math.ceil(time / SEGMENT)) * states + VECTORS * padded(dim);
  return floatOutputs(backend, [z.shape, z.shape, z.shape, beta.shape, state, vector, vector], (gradients) => {
    withWork(backend, floats, (work) => {
      backend.engine.run(
        'delta_rnn_backward',
        ...deltaRnnArguments(call, work),
        ...[dOutput, dFinalState, dFinalCell].map((x) => backend.offsetOf(x)),
        ...gradients,
      );
    });
  });
}

// ---- Recurrent Delta Net -------------------------------------------------------------------------

/** Of the Recurrent Delta Net, on the engine and on a GPU. */
export interface RecurrentDeltaInputs extends FastWeightInputs {
  /** [batch, heads, time]. */
  readonly beta: TensorInfo;
  /** [batch, heads, valueDim]; without elements where it was not given. */
  readonly initialOutput: TensorInfo;
  /** [heads, keyDim, valueDim]. */
  readonly queryWeight: TensorInfo;
  readonly keyWeight: TensorInfo;
  /** [heads, valueDim, valueDim]. */
  readonly valueWeight: TensorInfo;
  /** [heads, valueDim]. */
  readonly betaWeight: TensorInfo;
  /** As q, k, beta, v and v. */
  readonly queries: TensorInfo;
  readonly keys: TensorInfo;
  readonly rates: TensorInfo;
  readonly errors: TensorInfo;
  readonly feedback: TensorInfo;
}

/** Of its gradient. */
export interface RecurrentDeltaGradientInputs extends RecurrentDeltaInputs {
  readonly dOutput: TensorInfo;
  readonly dFinalState: TensorInfo;
}

function recurrentDeltaArguments({ inputs, backend }: KernelCall, work: number[]): number[] {
  const tensors = inputs as RecurrentDeltaInputs;
  const { queryWeight, keyWeight, valueWeight, betaWeight, queries, keys, rates, errors, feedback } = tensors;
  return [
    ...fastWeightArguments(backend, tensors, { read: 'after' }),
    ...[backend.offsetOf(tensors.beta), offsetIfGiven(backend, tensors.initialOutput)],
    ...[queryWeight, keyWeight, valueWeight, betaWeight].map((x) => backend.offsetOf(x)),
    ...[queries, keys, rates, errors, feedback].map((x) => offsetIfGiven(backend, x)),
    ...work,
  ];
}

/** Floats of R_q, R_k and R_v side by side or one below the other, and of the vectors of a step. */
function recurrentDeltaFloats(keyDim: number, valueDim: number): number {
  const rows = 2 * padded(keyDim) + padded(valueDim);
  return rows * padded(valueDim) + 2 * rows + VECTORS * padded(Math.max(keyDim, valueDim));
}

function recurrentDelta(call: KernelCall): TensorInfo[] {
  const { backend } = call;
  const { batch, heads, time, keyDim, valueDim } = fastWeightSizes(call.inputs as RecurrentDeltaInputs);
  const floats = matrix(valueDim, keyDim) + recurrentDeltaFloats(keyDim, valueDim);
  const shapes = [
    [batch, heads, time, valueDim],
    [batch, heads, valueDim, keyDim],
  ];
  return floatOutputs(backend, shapes, (outputs) => {
    withWork(backend, floats, (work) => {
      backend.engine.run('recurrent_delta_forward', ...recurrentDeltaArguments(call, work), ...outputs);
    });
  });
}

/** Inputs: those of the forward, and the gradients of its results. */
function recurrentDeltaGradient(call: KernelCall): TensorInfo[] {
  const { backend } = call;
  const { q, k, v, beta, dOutput, dFinalState } = call.inputs as RecurrentDeltaGradientInputs;
  const { batch, heads, time, keyDim, valueDim } = fastWeightSizes({ q, k, v } as FastWeightInputs);
  const states = 2 + SEGMENT + Math.ceil(time / SEGMENT);
  const floats = states * matrix(valueDim, keyDim) + recurrentDeltaFloats(keyDim, valueDim);
  const shapes = [q.shape, k.shape, v.shape, beta.shape, dFinalState.shape, [batch, heads, valueDim]];
  return floatOutputs(backend, shapes, (gradients) => {
    withWork(backend, floats, (work) => {
      backend.engine.run(
        'recurrent_delta_backward',
        ...recurrentDeltaArguments(call, work),
        ...[dOutput, dFinalState].map((x) => backend.offsetOf(x)),
        ...gradients,
      );
    });
  });
}
