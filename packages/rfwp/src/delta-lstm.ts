/**
 * The Delta LSTM (Irie, Schlag, Csordás, Schmidhuber, 2021, section 3.1): a DeltaNet whose fast net is an LSTM. For each head
 * and each of the gates g = i, u, o, with keys and queries as in `delta-rnn.ts`,
 *
 *     p^g_t = W^g_t q^g_t + R^g_t softmax(h_{t−1})        W^g and R^g written by the delta rule
 *     c_t = σ(p^i_t) ∘ p^u_t + (1 − σ(p^i_t)) ∘ c_{t−1}   h_t = σ(p^o_t) ∘ c_t        output = W_o [h of all heads]
 *
 * x [batch, length, size]. That is version 4, the paper's; the others are in the description of `deltaLstm` in `@fwp/core`.
 */

import { assertOneOf, deltaLstm } from '@fwp/core';
import { type Passage, type ShapesOf, splitHeads } from '@fwp/deltanet';
import {
  reshape,
  sigmoid,
  softmax,
  split,
  squeeze,
  type Tensor,
  type Tensor3D,
  type Tensor5D,
  transpose,
} from '@tensorflow/tfjs-core';
import { FastNetLayer, type FastNetLayerOptions, type FeatureOptions, Features } from './fast-net-layer.ts';

/** Options of {@link DeltaLstm}. */
export interface DeltaLstmLayerOptions extends FastNetLayerOptions, FeatureOptions {
  /** Which of the four. Default 4. */
  version?: 1 | 2 | 3 | 4 | undefined;
}

/** State of a {@link DeltaLstm}; gates in the order i, u, o. */
export type DeltaLstmLayerState = {
  /** W, `[batch, heads, 3, valueSize, features]`. */
  fastWeights: Tensor5D;
  /** R, `[batch, heads, 3, valueSize, valueSize]`. */
  recurrentWeights: Tensor5D;
  /** h of the last element, `[batch, heads, valueSize]`. */
  read: Tensor3D;
  /** c, `[batch, heads, valueSize]`. */
  cell: Tensor3D;
};

const GATES = 3;

/** The delta rule with a fast net that is an LSTM. */
export class DeltaLstm extends FastNetLayer<DeltaLstmLayerState> {
  readonly version: 1 | 2 | 3 | 4;
  readonly #features: Features;

  constructor(options: DeltaLstmLayerOptions) {
    const { version = 4 } = options;
    assertOneOf('DeltaLstm: version', version, [1, 2, 3, 4]);
    super('DeltaLstm', options, ({ headSize, valueSize }) => GATES * (2 * headSize + 3 * valueSize + 2));
    this.version = version;
    try {
      this.#features = new Features('DeltaLstm', options, this.headSize, 'eluPlusOne');
      this.addModule('featureMap', this.#features.map);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected override stateShapes(batch: number): ShapesOf<DeltaLstmLayerState> {
    const { heads, valueSize } = this;
    return {
      fastWeights: [batch, heads, GATES, valueSize, this.#features.map.featureSize],
      recurrentWeights: [batch, heads, GATES, valueSize, valueSize],
      read: [batch, heads, valueSize],
      cell: [batch, heads, valueSize],
    };
  }

  protected override run({ x, state }: Passage<DeltaLstmLayerState>): { output: Tensor3D; state: DeltaLstmLayerState } {
    const { heads, headSize, valueSize, version } = this;
    const all = splitHeads(this.projection.forward(x), heads);
    const [batch, , length, width] = all.shape;
    const gates = transpose(reshape(all, [batch, heads, length, GATES, width / GATES]), [0, 1, 3, 2, 4]);
    const parts = split(gates, [headSize, headSize, valueSize, valueSize, valueSize, 1, 1], 4);
    const [q, k, v, recurrentK, recurrentV, b, recurrentB] = parts as [Tensor, Tensor, Tensor, ...Four];
    const { output, finalState } = deltaLstm(
      {
        q: this.#features.of(q),
        k: this.#features.of(k),
        v,
        beta: sigmoid(squeeze(b, [4])),
        recurrentK: softmax(recurrentK),
        recurrentV,
        recurrentBeta: sigmoid(squeeze(recurrentB, [4])),
      },
      { version, initialState: state && { ...state, output: state.read } },
    );
    const { output: read, ...matrices } = finalState;
    return { output: this.finish(output), state: { ...matrices, read } as DeltaLstmLayerState };
  }
}

type Four = [Tensor, Tensor, Tensor, Tensor];
