/** Kernels of `ops/delta-rule.ts` and `ops/gated-delta-rule.ts`: scans over whole sequences, and their gradients. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import {
  type FastWeightAttributes,
  type FastWeightInputs,
  type FastWeightSizes,
  fastWeightArguments,
  fastWeightSizes,
  offsetIfGiven,
} from './fast-weights.ts';

/**
 * The scans fill their input `errors` and give [output, final state]; the gradients give those of q, k, v, beta, initial state
 * and, if gated, decay.
 */
export const deltaRuleKernels: KernelTable = {
  FwpDeltaRule: deltaRule,
  FwpGatedDeltaRule: deltaRule,
  FwpDeltaRuleGradient: deltaRuleGradient,
  FwpGatedDeltaRuleGradient: deltaRuleGradient,
};

interface DeltaRuleInputs extends FastWeightInputs {
  /** [batch, heads, time]. */
  readonly beta: TensorInfo;
  /** The same, in the gated rule. */
  readonly decay?: TensorInfo;
  /** Prediction errors, [batch, heads, time, valueDim]; without elements when no gradient will be taken. */
  readonly errors: TensorInfo;
}

interface DeltaRuleGradientInputs extends DeltaRuleInputs {
  readonly dOutput: TensorInfo;
  readonly dFinalState: TensorInfo;
}

/** Heads times groups of tiles that the gradient wants, for several threads. */
const WANTED_UNITS = 8;
/** Lanes of the narrowest group: the widest tile that the narrowest vectors make (`DELTA_BACK_VECTORS` of `csrc/delta-rule.c`). */
const GROUP_LANES = 12;
/** `DELTA_SEGMENT` of `csrc/delta-rule.c`. */
const SEGMENT = 32;
/** Lanes of the widest tile: 4 vectors of 16. */
const TILE_LANES = 64;

function deltaRule({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { beta, decay, errors } = inputs as DeltaRuleInputs;
  const { batch, heads, time, keyDim, valueDim } = fastWeightSizes(inputs);
  const shapes = [
    [batch, heads, time, valueDim],
    [batch, heads, valueDim, keyDim],
  ];
  return floatOutputs(backend, shapes, (outputs) => {
    backend.engine.run(
      'delta_rule_forward',
      ...fastWeightArguments(backend, inputs, attrs as FastWeightAttributes),
      ...[backend.offsetOf(beta), decay ? backend.offsetOf(decay) : 0, offsetIfGiven(backend, errors)],
      ...outputs,
    );
  });
}

/** Inputs: those of the forward, and the gradients of its results. */
function deltaRuleGradient({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { q, k, v, beta, decay, errors, dOutput, dFinalState } = inputs as DeltaRuleGradientInputs;
  const sizes = fastWeightSizes(inputs);
  const shapes = [q.shape, k.shape, v.shape, beta.shape, dFinalState.shape, ...(decay ? [decay.shape] : [])];
  const { groups, partialBytes, noted } = workspace(sizes, decay !== undefined);
  return floatOutputs(backend, shapes, ([dq, dk, dv, dBeta, dInitialState, dDecay = 0]) => {
    backend.withWorkspace(partialBytes, (partial) => {
      backend.withWorkspace(backend.engine.threads * noted * 4, (notes) => {
        backend.engine.run(
          'delta_rule_backward',
          ...fastWeightArguments(backend, inputs, attrs as FastWeightAttributes),
          ...[backend.offsetOf(beta), decay ? backend.offsetOf(decay) : 0, backend.offsetOf(errors)],
          ...[dOutput, dFinalState].map((x) => backend.offsetOf(x)),
          ...([dq, dk, dv, dBeta, dDecay, dInitialState] as number[]),
          ...[groups, partial, notes, noted],
        );
      });
    });
  });
}

/** What the gradient's C kernel needs beside inputs and results: see there. */
function workspace(
  { batch, heads, time, keyDim, valueDim }: FastWeightSizes,
  gated: boolean,
): { groups: number; partialBytes: number; noted: number } {
  const wanted = Math.ceil(WANTED_UNITS / Math.max(1, batch * heads));
  const groups = Math.max(1, Math.min(wanted, Math.ceil(valueDim / GROUP_LANES)));
  return {
    groups,
    partialBytes: (groups - 1) * batch * heads * time * (2 * keyDim + 2) * 4,
    noted: gated ? (SEGMENT + Math.ceil(time / SEGMENT)) * (keyDim + 3) * TILE_LANES : 0,
  };
}
