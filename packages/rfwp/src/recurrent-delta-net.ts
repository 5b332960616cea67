/**
 * The Recurrent Delta Net, RDN (Irie, Schlag, Csordás, Schmidhuber, 2021, section 3.2): the slow net that programs the fast
 * weights of a DeltaNet also sees what was read last. For each head, with r_t = tanh(y_{t−1}),
 *
 *     q_t = softmax(W_q x_t + R_q r_t)     k_t = softmax(W_k x_t + R_k r_t)     v_t = W_v x_t + R_v r_t
 *     β_t = sigmoid(w_b x_t + r_b · r_t)
 *     S_t = S_{t−1} + β_t (v_t − S_{t−1} k_t) k_tᵀ        y_t = S_t q_t        output = W_o [y of all heads]
 *
 * x [batch, length, size]; R_q, R_k, R_v and r_b ~ N(0, 1/valueSize). Such a net has what the DeltaNet lacks: its state can
 * flip, so that it learns parity.
 */

import { type Initializer, normalInitializer, recurrentDelta } from '@fwp/core';
import type { Passage, ShapesOf } from '@fwp/deltanet';
import { squeeze, type Tensor2D, type Tensor3D, type Tensor4D, type Variable } from '@tensorflow/tfjs-core';
import { FastNetLayer, type FastNetLayerOptions } from './fast-net-layer.ts';

/** Options of {@link RecurrentDeltaNet}. */
export interface RecurrentDeltaNetOptions extends FastNetLayerOptions {
  /** Of R_q, R_k, R_v and r_b. Default N(0, 1/valueSize). */
  recurrentInitializer?: Initializer | undefined;
}

/** State of a {@link RecurrentDeltaNet}. */
export type RecurrentDeltaNetState = {
  /** S, `[batch, heads, valueSize, headSize]`. */
  fastWeights: Tensor4D;
  /** y of the last element, `[batch, heads, valueSize]`. */
  read: Tensor3D;
};

/** The delta rule with a recurrent slow net. */
export class RecurrentDeltaNet extends FastNetLayer<RecurrentDeltaNetState> {
  /** R_q, `[heads, headSize, valueSize]`. */
  readonly recurrentQuery: Variable & Tensor3D;
  /** R_k, `[heads, headSize, valueSize]`. */
  readonly recurrentKey: Variable & Tensor3D;
  /** R_v, `[heads, valueSize, valueSize]`. */
  readonly recurrentValue: Variable & Tensor3D;
  /** r_b, `[heads, valueSize]`. */
  readonly recurrentBeta: Variable & Tensor2D;

  constructor(options: RecurrentDeltaNetOptions) {
    super('RecurrentDeltaNet', options, ({ headSize, valueSize }) => 2 * headSize + valueSize + 1);
    const { heads, headSize, valueSize } = this;
    const { random, recurrentInitializer: draw = normalInitializer(1 / Math.sqrt(valueSize)) } = options;
    const matrix = (rows: number) => draw([heads, rows, valueSize], random) as Tensor3D;
    try {
      this.recurrentQuery = this.addParameter('recurrentQuery', matrix(headSize));
      this.recurrentKey = this.addParameter('recurrentKey', matrix(headSize));
      this.recurrentValue = this.addParameter('recurrentValue', matrix(valueSize));
      this.recurrentBeta = this.addParameter('recurrentBeta', draw([heads, valueSize], random) as Tensor2D);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  protected override stateShapes(batch: number): ShapesOf<RecurrentDeltaNetState> {
    const { heads, headSize, valueSize } = this;
    return { fastWeights: [batch, heads, valueSize, headSize], read: [batch, heads, valueSize] };
  }

  protected override run({ x, state }: Passage<RecurrentDeltaNetState>): {
    output: Tensor3D;
    state: RecurrentDeltaNetState;
  } {
    const { headSize, valueSize } = this;
    const [q, k, v, b] = this.parts(x, [headSize, headSize, valueSize, 1]) as [Tensor4D, Tensor4D, Tensor4D, Tensor4D];
    const { output, finalState } = recurrentDelta(
      { q, k, v, beta: squeeze(b, [3]) },
      {
        query: this.recurrentQuery,
        key: this.recurrentKey,
        value: this.recurrentValue,
        beta: this.recurrentBeta,
      },
      { initialState: state && { fastWeights: state.fastWeights, output: state.read } },
    );
    const { fastWeights, output: read } = finalState;
    return { output: this.finish(output), state: { fastWeights, read } as RecurrentDeltaNetState };
  }
}
