/**
 * SR-Delta (Irie, Schlag, Csordás and Schmidhuber, 2022, for tasks that need memory): the output of a self-referential
 * matrix programs the fast weights of a DeltaNet. For each head,
 *
 *     (q_t, k_t, v_t, b_t) = y_t, the output of the matrix of `srwm.ts` with 3 d + 1 columns for it
 *     S_t = S_{t−1} + σ(b_t) (v_t − S_{t−1} softmax(k_t)) softmax(k_t)ᵀ
 *     output = [S_t softmax(q_t) of all heads] W_out
 *
 * x [batch, length, size], d = size / heads, W [d, (3 d + 1) + d + d + 4], S [d, d].
 */

import { deltaRule, selfReferential, softmaxFeatures } from '@fwp/core';
import { type FastWeightState, mergeHeads, type Passage, type StateShapes, wherePresent } from '@fwp/deltanet';
import {
  concat,
  sigmoid,
  split,
  squeeze,
  type Tensor,
  type Tensor3D,
  type Tensor4D,
  transpose,
} from '@tensorflow/tfjs-core';
import { columnCount, drawSelfReferentialWeights, SelfReferentialLayer } from './self-referential-layer.ts';
import type { SrwmOptions } from './srwm.ts';

/** Options of {@link SrDelta}. */
export type SrDeltaOptions = SrwmOptions;

/**
 * A self-modifying layer with a memory beside its weights. `weights` is W_0, `[heads, d, 5 d + 5]`. The state are both matrices
 * side by side, W − W_0 and the transpose of S, `[batch, heads, d, (5 d + 5) + d]`.
 */
export class SrDelta extends SelfReferentialLayer {
  constructor(options: SrDeltaOptions) {
    super('SrDelta', options, (heads, headSize, random) =>
      drawSelfReferentialWeights('SrDelta', [heads, headSize, 3 * headSize + 1], options, random),
    );
  }

  protected override stateShapes(batch: number): StateShapes {
    return { fastWeights: [batch, this.heads, this.headSize, this.#columns + this.headSize] };
  }

  protected override run({ x, state, presence }: Passage): { output: Tensor3D; state: FastWeightState } {
    const d = this.headSize;
    const [weightState, memory] = (state ? split(state.fastWeights, [this.#columns, d], 3) : []) as [Tensor?, Tensor?];
    const program = selfReferential(this.headInputs(x, presence), this.weights, { initialState: weightState });
    const [q, k, v, b] = split(program.output, [d, d, d, 1], 3) as [Tensor4D, Tensor4D, Tensor4D, Tensor4D];
    // Without a key nothing is written.
    const key = wherePresent(softmaxFeatures(k), presence);
    const beta = sigmoid(squeeze(b, [3]));
    const read = deltaRule(softmaxFeatures(q), key, v, beta, { initialState: memory && transposed(memory) });
    return {
      output: this.output.forward(mergeHeads(read.output)),
      state: { fastWeights: concat([program.finalState, transposed(read.finalState)], 3) },
    };
  }

  get #columns(): number {
    return columnCount(this.headSize, 3 * this.headSize + 1);
  }
}

function transposed(matrix: Tensor): Tensor4D {
  return transpose(matrix, [0, 1, 3, 2]) as Tensor4D;
}
