/**
 * The Delta RNN (Irie, Schlag, Csordás, Schmidhuber, 2021, section 3.1): a DeltaNet whose fast net is recurrent. For each
 * head, with k, q = φ / Σ φ of what W makes of x_t, the recurrent keys a softmax and all β a sigmoid of it,
 *
 *     W_t = W_{t−1} + β_t (v_t − W_{t−1} k_t) k_tᵀ        R_t = R_{t−1} + β′_t (v′_t − R_{t−1} k′_t) k′_tᵀ
 *     y_t = W_t q_t + R_t softmax(y_{t−1})                output = W_o [y of all heads]
 *
 * x [batch, length, size]; y is given on as it is. That is version 2, with φ = ELU + 1; version 1 of the paper's appendix has
 * y_t = softmax(W_t q_t + R_t y_{t−1}) and φ = softmax. (The paper's reinforcement learning has version 2 with softmax.)
 */

import { assertOneOf, deltaRnn } from '@fwp/core';
import type { Passage, ShapesOf } from '@fwp/deltanet';
import { sigmoid, softmax, squeeze, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import { FastNetLayer, type FastNetLayerOptions, type FeatureOptions, Features } from './fast-net-layer.ts';

/** Options of {@link DeltaRnn}. */
export interface DeltaRnnLayerOptions extends FastNetLayerOptions, FeatureOptions {
  /** Which of the two. Default 2. */
  version?: 1 | 2 | undefined;
}

/** State of a {@link DeltaRnn}. */
export type DeltaRnnLayerState = {
  /** W, `[batch, heads, valueSize, features]`. */
  fastWeights: Tensor4D;
  /** R, `[batch, heads, valueSize, valueSize]`. */
  recurrentWeights: Tensor4D;
  /** y of the last element, `[batch, heads, valueSize]`. */
  read: Tensor3D;
};

/** The delta rule with a recurrent fast net. */
export class DeltaRnn extends FastNetLayer<DeltaRnnLayerState> {
  readonly version: 1 | 2;
  readonly #features: Features;

  constructor(options: DeltaRnnLayerOptions) {
    const { version = 2 } = options;
    assertOneOf('DeltaRnn: version', version, [1, 2]);
    super('DeltaRnn', options, ({ headSize, valueSize }) => 2 * headSize + 3 * valueSize + 2);
    this.version = version;
    try {
      this.#features = new Features('DeltaRnn', options, this.headSize, this.version === 1 ? 'softmax' : 'eluPlusOne');
      this.addModule('featureMap', this.#features.map);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected override stateShapes(batch: number): ShapesOf<DeltaRnnLayerState> {
    const { heads, valueSize } = this;
    return {
      fastWeights: [batch, heads, valueSize, this.#features.map.featureSize],
      recurrentWeights: [batch, heads, valueSize, valueSize],
      read: [batch, heads, valueSize],
    };
  }

  protected override run({ x, state }: Passage<DeltaRnnLayerState>): { output: Tensor3D; state: DeltaRnnLayerState } {
    const { headSize, valueSize, version } = this;
    const parts = this.parts(x, [headSize, headSize, valueSize, valueSize, valueSize, 1, 1]);
    const [q, k, v, recurrentK, recurrentV, b, recurrentB] = parts as [Tensor4D, Tensor4D, Tensor4D, ...Four];
    const { output, finalState } = deltaRnn(
      {
        q: this.#features.of(q),
        k: this.#features.of(k),
        v,
        beta: sigmoid(squeeze(b, [3])),
        recurrentK: softmax(recurrentK),
        recurrentV,
        recurrentBeta: sigmoid(squeeze(recurrentB, [3])),
      },
      { version, initialState: state && { ...state, output: state.read } },
    );
    const { fastWeights, recurrentWeights, output: read } = finalState;
    return { output: this.finish(output), state: { fastWeights, recurrentWeights, read } as DeltaRnnLayerState };
  }
}

type Four = [Tensor4D, Tensor4D, Tensor4D, Tensor4D];
