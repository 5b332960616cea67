/**
 * The Linear Transformer's layer (Katharopoulos et al., 2020, equations 16 to 20): causal attention with a feature map in
 * place of the softmax, which is a fast weight programmer with the sum rule (Schlag et al., 2021, equations 17 to 19). For
 * each head,
 *
 *     S_t = S_{t−1} + v_t φ(k_t)ᵀ      z_t = z_{t−1} + φ(k_t)      y_t = S_t φ(q_t) / (z_t · φ(q_t) + ε)
 *
 * in the wiring of `feature-map-layer.ts`. With `normalizer: 'sum'`, φ(q) and φ(k) are divided by the sums of their elements
 * (plus ε) instead, and there is no z: for states that are carried over many segments, in which z would grow without bounds.
 */

import { assertOneOf, linearAttention } from '@fwp/core';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { FastWeightState, StateShapes } from './fast-weight-layer.ts';
import { FeatureMapLayer, type FeatureMapLayerOptions, type RuleInputs } from './feature-map-layer.ts';

/** What keeps outputs of {@link LinearAttention} in bounds: the attention's denominator, sums of features, or nothing. */
export const NORMALIZERS = ['attention', 'sum', 'none'] as const;

/** Name of a normaliser. */
export type Normalizer = (typeof NORMALIZERS)[number];

/** Options of {@link LinearAttention}. */
export interface LinearAttentionOptions extends FeatureMapLayerOptions {
  /** Default `'attention'`. */
  normalizer?: Normalizer | undefined;
}

/** Linear attention; the feature map is ELU + 1 by default. */
export class LinearAttention extends FeatureMapLayer {
  readonly #normalize: boolean;

  constructor(options: LinearAttentionOptions) {
    const { normalizer = 'attention' } = options;
    assertOneOf('LinearAttention: normalizer', normalizer, NORMALIZERS);
    super(options, {
      name: 'LinearAttention',
      featureMap: 'eluPlusOne',
      normalization: normalizer === 'sum' ? 'sum' : 'none',
      writeStrengths: false,
    });
    this.#normalize = normalizer === 'attention';
  }

  protected override stateShapes(batch: number): StateShapes {
    const shapes = super.stateShapes(batch);
    return this.#normalize ? { ...shapes, normalizer: [batch, this.heads, this.featureMap.featureSize] } : shapes;
  }

  protected override rule({ q, k, v, state }: RuleInputs): { output: Tensor4D; state: FastWeightState } {
    const { output, finalState, finalNormalizer } = linearAttention(q, k, v, {
      normalize: this.#normalize,
      epsilon: this.epsilon,
      initialState: state?.fastWeights,
      initialNormalizer: state?.normalizer,
    });
    const normalizer = finalNormalizer === undefined ? {} : { normalizer: finalNormalizer };
    return { output, state: { fastWeights: finalState, ...normalizer } };
  }
}
