/** Kernels of `ops/linear-attention.ts` and `ops/gated-linear-attention.ts`: sum-rule scans with and without normaliser. */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { FwpBackend } from '../backend.ts';
import type { KernelCall, KernelTable } from '../kernel-table.ts';
import { floatOutputs } from '../outputs.ts';
import {
  type FastWeightAttributes,
  type FastWeightInputs,
  fastWeightSizes,
  isEmpty,
  offsetIfGiven,
} from './fast-weights.ts';

/** Attributes of all four kernels. */
export interface LinearAttentionAttributes extends FastWeightAttributes {
  /** ε of the normaliser, where no `floor` is given. */
  readonly epsilon: number;
  /** Whether the gradient of the decay is wanted. */
  readonly decayGradient: boolean;
}

/**
 * `FwpLinearAttention` gives [output, final state], `FwpNormalizedLinearAttention` a final normaliser too, and it fills its
 * inputs `denominators` and `scales`. Their gradients give those of q, k, v, initial state and decay, and of the initial
 * normaliser. Inputs without elements are absent.
 */
export const linearAttentionKernels: KernelTable = {
  FwpLinearAttention: linearAttention,
  FwpLinearAttentionGradient: linearAttentionGradient,
  FwpNormalizedLinearAttention: linearAttention,
  FwpNormalizedLinearAttentionGradient: linearAttentionGradient,
};

/** Largest sizes of keys and values: one tile of such a state fits a thread's scratch memory. */
export const MAX_LINEAR_ATTENTION_DIM = 4096;

/** `SUM_RULE_CHUNK` of `csrc/linear-attention.c`, and the widest tile of any target. */
const CHUNK = 32;
const WIDEST_TILE = 32;

/** Those of the normaliser are absent where there is none. */
interface LinearAttentionInputs extends FastWeightInputs {
  /** [batch, heads, time] or [batch, heads, time, keyDim]. */
  readonly decay: TensorInfo;
  /** [batch, heads, keyDim]. */
  readonly initialNormalizer: TensorInfo;
  /** [batch, heads, time]: the least size of a denominator; without elements, ε is added instead. */
  readonly floor: TensorInfo;
  /** [batch, heads, time], filled by the forward; without elements if there will be no gradient. */
  readonly denominators: TensorInfo;
  readonly scales: TensorInfo;
}

function linearAttention({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { v, denominators, scales } = inputs as LinearAttentionInputs;
  const { batch, heads, time, keyDim, valueDim } = fastWeightSizes(inputs);
  const shapes = [v.shape, [batch, heads, valueDim, keyDim]];
  if (denominators !== undefined) shapes.push([batch, heads, keyDim]);
  return floatOutputs(backend, shapes, ([output = 0, finalState = 0, finalNormalizer = 0]) => {
    const rows = batch * heads * time * 4;
    const discarded = denominators !== undefined && isEmpty(denominators);
    backend.withWorkspace(discarded ? 2 * rows : 0, (workspace) => {
      const [toDenominators, toScales] = discarded
        ? [workspace, workspace + rows]
        : [offsetIfGiven(backend, denominators), offsetIfGiven(backend, scales)];
      backend.engine.run(
        'linear_attention_forward',
        ...common(backend, inputs as LinearAttentionInputs, attrs as LinearAttentionAttributes),
        ...[output, toDenominators, toScales, finalState, finalNormalizer],
      );
    });
  });
}

/** Inputs: those of the forward, `dOutput`, `dFinalState`; with a normaliser also `output` and `dFinalNormalizer`. */
function linearAttentionGradient({ inputs, attrs, backend }: KernelCall): TensorInfo[] {
  const { q, k, v, decay, denominators, scales } = inputs as LinearAttentionInputs;
  const given = inputs as Record<'output' | 'dOutput' | 'dFinalState' | 'dFinalNormalizer', TensorInfo>;
  const { decayGradient } = attrs as LinearAttentionAttributes;
  const { batch, heads, time, keyDim, valueDim } = fastWeightSizes(inputs);
  const normalize = denominators !== undefined;
  const withDecay = decayGradient && !isEmpty(decay);
  const shapes = [q.shape, k.shape, v.shape, [batch, heads, valueDim, keyDim], decayGradient ? decay.shape : [0]];
  if (normalize) shapes.push([batch, heads, keyDim]);
  return floatOutputs(backend, shapes, ([dq = 0, dk = 0, dv = 0, dState = 0, dDecay = 0, dNormalizer = 0]) => {
    const keptFloats = withDecay
      ? ((Math.ceil(time / CHUNK) + 1) * (keyDim + WIDEST_TILE) + CHUNK * WIDEST_TILE) * (valueDim + 1)
      : 0;
    backend.withWorkspace(normalize ? batch * heads * time * 4 : 0, (slopes) => {
      backend.withWorkspace(keptFloats * backend.engine.threads * 4, (kept) => {
        backend.engine.run(
          'linear_attention_backward',
          ...common(backend, inputs as LinearAttentionInputs, attrs as LinearAttentionAttributes),
          ...[given.output, denominators, scales].map((tensor) => offsetIfGiven(backend, tensor)),
          ...[given.dOutput, given.dFinalState, given.dFinalNormalizer].map((tensor) => offsetIfGiven(backend, tensor)),
          ...[dq, dk, dv, withDecay ? dDecay : 0, dState, dNormalizer, slopes, kept, keptFloats],
        );
      });
    });
  });
}

/** The arguments that both C kernels begin with, up to `epsilon`. */
function common(
  backend: FwpBackend,
  { q, k, v, initialState, decay, resetMask, initialNormalizer, floor, denominators }: LinearAttentionInputs,
  { read, epsilon }: LinearAttentionAttributes,
): number[] {
  return [
    ...[...q.shape, v.shape[3] as number],
    ...[q, k, v].map((tensor) => backend.offsetOf(tensor)),
    ...[offsetIfGiven(backend, decay), decay.shape.length === 4 ? (decay.shape[3] as number) : 1],
    ...[offsetIfGiven(backend, initialState), offsetIfGiven(backend, resetMask), read === 'before' ? 1 : 0],
    denominators === undefined ? 0 : 1,
    ...[offsetIfGiven(backend, initialNormalizer), offsetIfGiven(backend, floor), epsilon],
  ];
}
