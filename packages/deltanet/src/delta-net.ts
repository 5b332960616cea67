/**
 * DeltaNet (Schlag, Irie and Schmidhuber, 2021, section 4.2): a fast weight programmer that corrects what it has stored under a
 * key. For each head, with k′ = φ(k) / (Σ φ(k) + ε) and q′ alike,
 *
 *     S_t = S_{t−1} + β_t (v_t − S_{t−1} k′_t) k′_tᵀ        y_t = S_t q′_t                    equations 23 to 25
 *
 * in the wiring of `feature-map-layer.ts`. Features that add up to 1 have ‖k′‖ ≤ 1, which keeps the recurrence stable; it also
 * means that β = 1 does not overwrite completely, as it does in {@link DeltaNet2024}.
 */

import { deltaRule } from '@fwp/core';
import type { Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { FastWeightState } from './fast-weight-layer.ts';
import { FeatureMapLayer, type FeatureMapLayerOptions, type RuleInputs } from './feature-map-layer.ts';

/** Options of {@link DeltaNet}. */
export type DeltaNetOptions = FeatureMapLayerOptions;

/** The delta rule with sum-normalised features; the feature map is DPFP-1 by default. */
export class DeltaNet extends FeatureMapLayer {
  constructor(options: DeltaNetOptions) {
    super(options, { name: 'DeltaNet', featureMap: 'dpfp', normalization: 'sum', writeStrengths: true });
  }

  protected override rule({ q, k, v, beta, state }: RuleInputs): { output: Tensor4D; state: FastWeightState } {
    const { output, finalState } = deltaRule(q, k, v, beta as Tensor3D, { initialState: state?.fastWeights });
    return { output, state: { fastWeights: finalState } };
  }
}
