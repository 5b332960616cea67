/**
 * States that a linear map carries on: what Mamba, GLA, RetNet, DeltaNet, S4 and their relatives have in common (Yau et al.,
 * "Sequential-Parallel Duality in Prefix-Scannable Models", 2025, equation 2 and table 1):
 *
 *     s_t = s_{t−1} ▷ E_t + f_t
 *
 *     elementwise   s ∘ e           e [batch, time, …state]             S6 and other gated channels
 *     scalar        e s             e [batch, time]                     RetNet, mLSTM, gated RFA, Mamba-2
 *     diagonal      s diag(e)       e [batch, time, columns]            GLA
 *     matrix        s E             E [batch, time, columns, columns]   DeltaNet, S4
 *
 * f, s [batch, time, …state], the state a vector [columns] or a matrix [rows, columns]. The pairs (E, f) form a monoid,
 *
 *     (E₁, f₁) ⊕ (E₂, f₂) = (E₁E₂, f₁ ▷ E₂ + f₂)        identity (1, 0)
 *
 * by which `prefixScan` gives the same states in logarithmic depth. On the CPU engine, where depth is worth nothing, one kernel goes
 * through all steps (`csrc/affine-scan.c`), and one back for the gradient, as on GPUs, where each element of a state, or each four rows that a
 * matrix carries on, have a thread or a workgroup (`webgpu/affine-scan.ts`); other backends scan the monoid. A scan that only reads
 * outputs q · s need not write its states down: for those there are `linearAttention`, `gatedLinearAttention`, `deltaRule`, …
 */

import * as tf from '@tensorflow/tfjs-core';
import { AFFINE_TRANSITIONS, type AffineScanAttributes, MAX_AFFINE_COLUMNS } from '../backend/kernels/affine-scan.ts';
import { assertFloatShape, assertOneOf, assertShape, assertTensor, formatShape } from '../shape-checks.ts';
import { canFuse, runFused } from './fused.ts';
import type { Gradient } from './gradients/support.ts';
import { inTidy } from './in-tidy.ts';
import type { Combine } from './prefix-roots.ts';
import { prefixScan } from './prefix-scan.ts';

export { AFFINE_TRANSITIONS };

/** How a transition E is given. */
export type AffineTransition = (typeof AFFINE_TRANSITIONS)[number];

/** One step, or several merged into one: s ↦ s ▷ transition + input. */
export type AffineElement = {
  /** E. */
  transition: tf.Tensor;
  /** f. */
  input: tf.Tensor;
};

/** Options of {@link affineScan}. */
export interface AffineScanOptions {
  /** s before the first step, float32 `[batch, …state]`. Default: zeros. */
  initialState?: tf.Tensor | undefined;
  /**
   * bool `[batch, time]`: true where a new sequence begins, so that s is zero before that step. Default: nowhere. The kernel forgets
   * whatever there was; where the monoid is scanned, infinities and NaN of earlier steps come through as NaN.
   */
  resetMask?: tf.Tensor | undefined;
}

/** Result of {@link affineScan}. */
export interface AffineScanResult {
  /** s of all steps, `[batch, time, …state]`. */
  states: tf.Tensor;
  /** s after the last step, `[batch, …state]`. */
  finalState: tf.Tensor;
}

/**
 * All states of a linear recurrence.
 *
 * @param kind how E is given; see the table above
 * @param element E and f of all steps, float32 `[batch, time, …]`
 * @param options initial state and resets
 * @returns s of all steps and of the last
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function affineScan(
  kind: AffineTransition,
  element: AffineElement,
  options: AffineScanOptions = {},
): AffineScanResult {
  const { transition, input } = element;
  const { state, sizes } = assertAffineScan(kind, element, options);
  const { batch, time, rows, columns } = sizes;
  return inTidy(() => {
    const edge = options.initialState && tf.reshape(options.initialState, [batch, rows, columns]);
    const all = {
      transition: inMatrices(kind, transition, sizes),
      input: tf.reshape(input, [batch, time, rows, columns]),
    };
    const fused = canFuse('FwpAffineScan') && (kind !== 'matrix' || columns <= MAX_AFFINE_COLUMNS);
    const { states, finalState } = fused
      ? fusedScan(kind, all, edge, options.resetMask)
      : composed(kind, all, edge, options.resetMask);
    return {
      states: tf.reshape(states, [batch, time, ...state]),
      finalState: tf.reshape(finalState, [batch, ...state]),
    };
  });
}

/**
 * ⊕ of the affine monoid, for `prefixScan` and for anything else that merges steps: both operands `[count, …]`, the earlier one first.
 *
 * @param kind how E is given
 * @returns a function of two elements
 */
export function affineOperator(kind: AffineTransition): Combine<AffineElement> {
  assertOneOf('affineOperator: kind', kind, AFFINE_TRANSITIONS);
  return (earlier, later) => {
    return inTidy(() => ({
      transition:
        kind === 'matrix'
          ? tf.matMul(earlier.transition, later.transition)
          : tf.mul(earlier.transition, later.transition),
      input: tf.add(carry(kind, earlier.input, later.transition), later.input),
    }));
  };
}

/** s ▷ E, for any leading dimensions that both have. */
function carry(kind: AffineTransition, state: tf.Tensor, transition: tf.Tensor): tf.Tensor {
  if (kind === 'elementwise') return tf.mul(state, transition);
  const leading = transition.shape.slice(0, kind === 'scalar' ? undefined : kind === 'diagonal' ? -1 : -2);
  const inside = state.shape.slice(leading.length);
  if (kind === 'scalar') return tf.mul(state, tf.reshape(transition, [...leading, ...inside.map(() => 1)]));
  const columns = inside.at(-1) as number;
  if (kind === 'diagonal') {
    return tf.mul(state, tf.reshape(transition, [...leading, ...inside.slice(1).map(() => 1), columns]));
  }
  const asRows = tf.reshape(state, [...leading, inside.length === 1 ? 1 : (inside[0] as number), columns]);
  return tf.reshape(tf.matMul(asRows, transition), state.shape);
}

/** Sizes of the scan, its state a matrix: that of a vector has one row. */
type AffineSizes = Record<'batch' | 'time' | 'rows' | 'columns', number>;

function assertAffineScan(
  kind: AffineTransition,
  { transition, input }: AffineElement,
  { initialState, resetMask }: AffineScanOptions,
): { state: number[]; sizes: AffineSizes } {
  assertOneOf('affineScan: kind', kind, AFFINE_TRANSITIONS);
  assertTensor('affineScan: input', input, 'float32');
  if (input.rank !== 3 && input.rank !== 4) {
    throw new RangeError(
      'affineScan: input must have shape [batch, time, columns] or [batch, time, rows, columns], but has shape ' +
        `${formatShape(input.shape)}. Make other leading dimensions, such as heads, part of the batch.`,
    );
  }
  const names = input.rank === 3 ? ['columns'] : ['rows', 'columns'];
  const found = assertFloatShape('affineScan: input', input, ['batch', 'time', ...names]);
  const last: Readonly<Record<AffineTransition, string[]>> = {
    elementwise: names,
    scalar: [],
    diagonal: ['columns'],
    matrix: ['columns', 'columns'],
  };
  assertFloatShape('affineScan: transition', transition, ['batch', 'time', ...last[kind]], found);
  if (initialState !== undefined)
    assertFloatShape('affineScan: initialState', initialState, ['batch', ...names], found);
  if (resetMask !== undefined) {
    assertTensor('affineScan: resetMask', resetMask, 'bool');
    assertShape('affineScan: resetMask', resetMask, ['batch', 'time'], found);
  }
  return { state: input.shape.slice(2), sizes: { rows: 1, ...found } as AffineSizes };
}

/** E as the kernel takes it, for states that are matrices. */
function inMatrices(
  kind: AffineTransition,
  transition: tf.Tensor,
  { batch, time, rows, columns }: AffineSizes,
): tf.Tensor {
  return kind === 'elementwise' ? tf.reshape(transition, [batch, time, rows, columns]) : transition;
}

// ---- on the CPU engine ---------------------------------------------------------------------------

function fusedScan(
  kind: AffineTransition,
  { transition, input }: AffineElement,
  edge: tf.Tensor | undefined,
  resetMask: tf.Tensor | undefined,
): AffineScanResult {
  const attributes: AffineScanAttributes = { kind };
  const [states, finalState] = runFused(
    'FwpAffineScan',
    { transition, input, edge: edge ?? tf.zeros([0]), resetMask: resetMask ?? tf.zeros([0], 'bool') },
    attributes,
  ) as [tf.Tensor, tf.Tensor];
  return { states, finalState };
}

/** Gradient of the kernel, for `registerGradients`: a scan backward, and what E met of the state. */
export const affineScanGradients: readonly Gradient[] = [
  {
    kernelName: 'FwpAffineScan',
    inputsToSave: ['transition', 'edge', 'resetMask'],
    outputsToSave: [true, false],
    reads: [0, 1],
    gradFunc: (upstream, saved, attributes) => {
      const [dStates, dFinal] = upstream as tf.Tensor[] as [tf.Tensor, tf.Tensor];
      const [transition, edge, resetMask, states] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const { kind } = attributes as unknown as AffineScanAttributes;
      const inputs = { transition, input: dStates, edge: dFinal, resetMask };
      const [dInput, dInitial] = runFused('FwpAffineScanGradient', inputs, { kind }) as [tf.Tensor, tf.Tensor];
      return {
        transition: () => tf.tidy(() => transitionGradient(kind, before(states, edge, resetMask), dInput)),
        input: () => dInput,
        edge: () => (edge.size === 0 ? tf.zerosLike(edge) : dInitial),
      };
    },
  },
];

/** s_{t−1} of all steps, `[batch, time, rows, columns]`; zeros at resets. */
function before(states: tf.Tensor, edge: tf.Tensor, resetMask: tf.Tensor): tf.Tensor {
  const [batch, time, rows, columns] = states.shape as [number, number, number, number];
  if (time === 0) return states;
  const first = edge.size === 0 ? tf.zeros([batch, 1, rows, columns]) : tf.expandDims(edge, 1);
  const shifted = tf.concat([first, tf.slice(states, [0, 0], [batch, time - 1])], 1);
  return resetMask.size === 0 ? shifted : whereNot(resetMask, shifted);
}

/** x `[batch, time, …]` where the mask `[batch, time]` is false, else zeros. */
function whereNot(mask: tf.Tensor, x: tf.Tensor): tf.Tensor {
  const wide = tf.broadcastTo(tf.reshape(mask, [...mask.shape, ...x.shape.slice(2).map(() => 1)]), x.shape);
  return tf.where(wide, tf.zerosLike(x), x);
}

function transitionGradient(kind: AffineTransition, state: tf.Tensor, gradient: tf.Tensor): tf.Tensor {
  if (kind === 'matrix') return tf.matMul(state, gradient, true, false);
  const products = tf.mul(state, gradient);
  if (kind === 'elementwise') return products;
  return tf.sum(products, kind === 'scalar' ? [2, 3] : 2);
}

// ---- on other backends, and where the gradient is differentiated again ---------------------------

function composed(
  kind: AffineTransition,
  { transition, input }: AffineElement,
  edge: tf.Tensor | undefined,
  resetMask: tf.Tensor | undefined,
): AffineScanResult {
  const [batch, time, rows, columns] = input.shape as [number, number, number, number];
  if (time === 0) return { states: input, finalState: edge ?? tf.zeros([batch, rows, columns]) };
  const kept = resetMask === undefined ? transition : whereNot(resetMask, transition);
  let added = input;
  if (edge !== undefined) {
    // s₀ E₁ joins the first step's input.
    const carried = carry(kind, edge, tf.squeeze(tf.slice(kept, [0, 0], [batch, 1]), [1]));
    const rest = tf.zeros([batch, time - 1, rows, columns]);
    added = tf.add(input, tf.concat([tf.expandDims(carried, 1), rest], 1));
  }
  const states = prefixScan(affineOperator(kind), { transition: kept, input: added }).input;
  return { states, finalState: tf.squeeze(tf.slice(states, [0, time - 1], [batch, 1]), [1]) };
}
