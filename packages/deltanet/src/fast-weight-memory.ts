/**
 * The layer with the update rule of the Fast Weight Memory (Schlag, Munkhdalai and Schmidhuber, 2021), in the form in which
 * Schlag, Irie and Schmidhuber, 2021, compare it with the DeltaNet. For each head,
 *
 *     S_t = bounded(S_{t−1} + β_t (v_t − S_{t−1} φ(k_t)) φ(k_t)ᵀ)        y_t = LayerNorm(S_t φ(q_t))
 *
 * in the wiring of `feature-map-layer.ts`; `bounded` and the rest of the rule are in `fast-weight-memory-rule.ts`.
 */

import type { Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import type { FastWeightState } from './fast-weight-layer.ts';
import { fastWeightMemory } from './fast-weight-memory-rule.ts';
import { FeatureMapLayer, type FeatureMapLayerOptions, type RuleInputs } from './feature-map-layer.ts';

/** Options of {@link FastWeightMemory}; `epsilon` is that of the LayerNorm, 1e-5 by default. */
export type FastWeightMemoryOptions = FeatureMapLayerOptions;

/** The bounded delta rule with normalised reads; the feature map is tanh by default. */
export class FastWeightMemory extends FeatureMapLayer {
  constructor(options: FastWeightMemoryOptions) {
    super(
      { epsilon: 1e-5, ...options },
      { name: 'FastWeightMemory', featureMap: 'tanh', normalization: 'none', writeStrengths: true },
    );
  }

  protected override rule({ q, k, v, beta, state }: RuleInputs): { output: Tensor4D; state: FastWeightState } {
    const { output, finalState } = fastWeightMemory(q, k, v, beta as Tensor3D, {
      initialState: state?.fastWeights,
      epsilon: this.epsilon,
    });
    return { output, state: { fastWeights: finalState } };
  }
}
