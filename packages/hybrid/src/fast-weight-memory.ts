/**
 * The fast weights of a hybrid layer, which are written for each pair (k_t, v_t) and read with q_t (Irie et al., 2025, the
 * FW-memory). For each head,
 *
 *     delta rule         φ(u) = SiLU(u) / ‖SiLU(u)‖     W_t = W_{t−1} + β_t (v_t − W_{t−1} φ(k_t)) φ(k_t)ᵀ
 *                                                       y_t = W_t φ(q_t) / √headSize
 *     linear attention   φ(u) = ELU(u) + 1              W_t = W_{t−1} + v_t φ(k_t)ᵀ    z_t = z_{t−1} + φ(k_t)
 *                                                       y_t = W_t φ(q_t) / (z_t · φ(q_t))
 *
 *     q, k [batch, length, heads, headSize]   v [batch, length, heads, valueSize]   β [batch, length, heads]
 *     W [batch, heads, valueSize, headSize]   y [batch, heads, length, valueSize]
 *
 * ‖·‖ = √(Σ x² + 10⁻⁶), so that a key of zeros, which is one that is not there, writes nothing. The normaliser z sums over
 * time; the authors' ablation with linear attention summed over heads at first.
 */

import { deltaRule, eluPlusOne, l2Normalize, linearAttention } from '@fwp/core';
import { wherePresent } from '@fwp/deltanet';
import { mul, sigmoid, type Tensor3D, type Tensor4D, transpose } from '@tensorflow/tfjs-core';

/** Update rules of the fast weights. */
export const FAST_WEIGHT_RULES = ['deltaRule', 'linearAttention'] as const;

/** Name of an update rule. */
export type FastWeightRule = (typeof FAST_WEIGHT_RULES)[number];

/** What is written and read, element by element. */
export interface FastWeightInputs {
  readonly q: Tensor4D;
  readonly k: Tensor4D;
  readonly v: Tensor4D;
  /** β, zero where nothing is to be written. */
  readonly beta: Tensor3D;
}

/** W, and z of linear attention. */
export type FastWeights = { fastWeights: Tensor4D; normalizer?: Tensor3D | undefined };

/** `[batch, length, heads, size]` → `[batch, heads, length, size]`, and back */
export function swapHeads(x: Tensor4D): Tensor4D {
  return transpose(x, [0, 2, 1, 3]);
}

/** `[batch, length, heads]` → `[batch, heads, length]` */
function perHead(x: Tensor3D): Tensor3D {
  return transpose(x, [0, 2, 1]);
}

/** Writes by the delta rule, and reads what was written. */
export function runDeltaRule(
  { q, k, v, beta }: FastWeightInputs,
  state: FastWeights | undefined,
): { read: Tensor4D; state: FastWeights } {
  const features = (u: Tensor4D) => l2Normalize(swapHeads(mul<Tensor4D>(u, sigmoid(u))));
  const queries = mul(features(q), 1 / Math.sqrt(q.shape[3]));
  const { output, finalState } = deltaRule(queries, features(k), swapHeads(v), perHead(beta), {
    initialState: state?.fastWeights,
  });
  return { read: output, state: { fastWeights: finalState } };
}

/**
 * Adds to the sum, and reads the mean of what was added.
 *
 * @param presence zero at padding, `[batch, 1, length]`
 */
export function runLinearAttention(
  { q, k, v }: Omit<FastWeightInputs, 'beta'>,
  state: FastWeights | undefined,
  presence: Tensor3D | undefined,
): { read: Tensor4D; state: FastWeights } {
  const features = (u: Tensor4D) => eluPlusOne(swapHeads(u));
  const { output, finalState, finalNormalizer } = linearAttention(
    features(q),
    wherePresent(features(k), presence),
    swapHeads(v),
    { normalize: true, initialState: state?.fastWeights, initialNormalizer: state?.normalizer },
  );
  return { read: output, state: { fastWeights: finalState, normalizer: finalNormalizer } };
}
