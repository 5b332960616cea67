/**
 * Models whose state is a matrix that a linear map carries on, as elements of the affine monoid (Yau et al., "Sequential-Parallel
 * Duality in Prefix-Scannable Models", 2025, table 1): the associative members of the family.
 *
 *     S_t = S_{t−1} ▷ E_t + f_t                    E_t                      f_t
 *     linearAttention                              1                        v kᵀ
 *     retention (and Mamba-2, gated RFA, mLSTM)    γ_t                      v kᵀ
 *     gatedLinearAttention                         diag(a_t)                v kᵀ
 *     deltaNet                                     I − β k kᵀ               β v kᵀ
 *     gatedDeltaNet                                γ_t (I − β k kᵀ)         β v kᵀ
 *
 * k [batch, time, keyDim], v [batch, time, valueDim], β, γ [batch, time], a [batch, time, keyDim], S [batch, time, valueDim, keyDim]. What
 * these functions give goes to `affineScan` (one fused pass), to `prefixScan` with `affineOperator` (a tree), or to `insertElement` (a
 * counter). Channels with states of their own (S6) and constant matrices (S4) need no function: they are the kinds `'elementwise'` and
 * `'matrix'` as they stand. Associative as ⊕ is here, a stream needs only the last state; a learned ⊕ needs the counter's roots.
 */

import { type AffineElement, type AffineTransition, assertFloatShape, assertOneOf } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Models that {@link affineModel} knows. */
export const AFFINE_MODELS = [
  'linearAttention',
  'retention',
  'gatedLinearAttention',
  'deltaNet',
  'gatedDeltaNet',
] as const;

/** Name of a model. */
export type AffineModelName = (typeof AFFINE_MODELS)[number];

/** What a step writes, and how it forgets. */
export interface AffineModelInputs {
  /** float32 `[batch, time, keyDim]`. */
  k: tf.Tensor;
  /** float32 `[batch, time, valueDim]`. */
  v: tf.Tensor;
  /** Learning rates of the delta rules, float32 `[batch, time]`. */
  beta?: tf.Tensor | undefined;
  /** Factors of the state, float32 `[batch, time]`, or `[batch, time, keyDim]` for gated linear attention. */
  decay?: tf.Tensor | undefined;
}

const NEEDS: Readonly<Record<AffineModelName, readonly ('beta' | 'decay')[]>> = {
  linearAttention: [],
  retention: ['decay'],
  gatedLinearAttention: ['decay'],
  deltaNet: ['beta'],
  gatedDeltaNet: ['beta', 'decay'],
};

/**
 * The steps of a model as elements of the affine monoid.
 *
 * @param name one of {@link AFFINE_MODELS}
 * @param inputs keys, values, and those gates that the model has
 * @returns the kind of its transition, and E and f of all steps, `[batch, time, …]`
 * @throws TypeError or RangeError for an unknown model, a gate that is missing or too much, or a wrong shape
 */
export function affineModel(
  name: AffineModelName,
  inputs: AffineModelInputs,
): { kind: AffineTransition } & AffineElement {
  assertOneOf('affineModel: name', name, AFFINE_MODELS);
  const { k, v, beta, decay } = inputs;
  let sizes = assertFloatShape('affineModel: k', k, ['batch', 'time', 'keyDim']);
  sizes = assertFloatShape('affineModel: v', v, ['batch', 'time', 'valueDim'], sizes);
  for (const gate of ['beta', 'decay'] as const) {
    const needed = NEEDS[name].includes(gate);
    if (needed !== (inputs[gate] !== undefined)) {
      throw new RangeError(`affineModel: ${name} ${needed ? `needs ${gate}` : `has no ${gate}; leave it out`}.`);
    }
    const last = gate === 'decay' && name === 'gatedLinearAttention' ? ['keyDim'] : [];
    if (needed) assertFloatShape(`affineModel: ${gate}`, inputs[gate], ['batch', 'time', ...last], sizes);
  }
  const { batch, time, keyDim } = sizes as Record<'batch' | 'time' | 'keyDim', number>;
  return tf.tidy(() => {
    const write = tf.matMul(tf.expandDims(v, 3), tf.expandDims(k, 2));
    if (name === 'linearAttention') return { kind: 'scalar', transition: tf.ones([batch, time]), input: write };
    if (name === 'retention') return { kind: 'scalar', transition: tf.clone(decay as tf.Tensor), input: write };
    if (name === 'gatedLinearAttention') {
      return { kind: 'diagonal', transition: tf.clone(decay as tf.Tensor), input: write };
    }
    const each = (x: tf.Tensor) => tf.reshape(x, [batch, time, 1, 1]);
    const rate = each(beta as tf.Tensor);
    const kept = tf.sub(tf.eye(keyDim), tf.mul(rate, tf.matMul(tf.expandDims(k, 3), tf.expandDims(k, 2))));
    const transition = decay === undefined ? kept : tf.mul(each(decay), kept);
    return { kind: 'matrix', transition, input: tf.mul(rate, write) };
  }) as unknown as { kind: AffineTransition } & AffineElement;
}
