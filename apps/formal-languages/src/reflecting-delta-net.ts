/**
 * A DeltaNet whose write strengths go up to 2 (Grazzi, Siems, Zela, Franke, Hutter, Pontil, "Unlocking state-tracking in linear
 * RNNs through negative eigenvalues", ICLR 2025), in the wiring of the other models. For each head,
 *
 *     q_t, k_t = SiLU(·) / ‖SiLU(·)‖ of what W makes of x_t        β_t = 2 sigmoid(·)
 *     S_t = S_{t−1} + β_t (v_t − S_{t−1} k_t) k_tᵀ        y_t = S_t q_t        output = W_o [y of all heads]
 *
 * β = 2 reflects: the transition I − β k kᵀ has the eigenvalue −1. What is read is not normalised (as it is in `DeltaNet2024`),
 * so that a state which shrinks is an error that training sees.
 */

import { deltaRule, l2Normalize } from '@fwp/core';
import type { FastWeightState, Passage, ShapesOf } from '@fwp/deltanet';
import { FastNetLayer, type FastNetLayerOptions } from '@fwp/rfwp';
import { mul, sigmoid, squeeze, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';

/** The delta rule with keys of length 1 and write strengths in (0, 2). */
export class ReflectingDeltaNet extends FastNetLayer<FastWeightState> {
  constructor(options: FastNetLayerOptions) {
    super('ReflectingDeltaNet', options, ({ headSize, valueSize }) => 2 * headSize + valueSize + 1);
  }

  protected override stateShapes(batch: number): ShapesOf<FastWeightState> {
    return { fastWeights: [batch, this.heads, this.valueSize, this.headSize] };
  }

  protected override run({ x, state }: Passage): { output: Tensor3D; state: FastWeightState } {
    const { headSize, valueSize } = this;
    const [q, k, v, b] = this.parts(x, [headSize, headSize, valueSize, 1]) as [Tensor4D, Tensor4D, Tensor4D, Tensor4D];
    const direction = (y: Tensor4D) => l2Normalize(mul<Tensor4D>(y, sigmoid(y)));
    const beta = mul<Tensor3D>(sigmoid(squeeze(b, [3])), 2);
    const { output, finalState } = deltaRule(direction(q), direction(k), v, beta, { initialState: state?.fastWeights });
    return { output: this.finish(output), state: { fastWeights: finalState } };
  }
}
