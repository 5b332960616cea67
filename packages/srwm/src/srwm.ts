/**
 * The self-referential weight matrix as a layer (Irie, Schlag, Csordás and Schmidhuber, 2022, section 3). Each head takes its
 * part of x, and has a matrix W that makes its output and rewrites itself:
 *
 *     (y_t, q_t, k_t, b_t) = φ(x_t) W_{t−1}
 *     W_t = W_{t−1} + softmax(k_t)ᵀ (σ(b_t) ∘ (softmax(q_t) W_{t−1} − softmax(k_t) W_{t−1}))        equations 5 to 8
 *     output = [y of all heads] W_out
 *
 * x [batch, length, size], a head's part d = size / heads, W [d, d + d + d + 4]. φ is the softmax over a head's part, or nothing.
 * There is no slow net: what is trained is W_0, shared by all sequences, and W_out. Residual and normalisation belong to
 * the block (`srwm-block.ts`).
 */

import { assertFloatShape, selfReferential, selfReferentialRead } from '@fwp/core';
import { type FastWeightState, mergeHeads, type Passage, type StateShapes } from '@fwp/deltanet';
import { type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import {
  columnCount,
  drawSelfReferentialWeights,
  SelfReferentialLayer,
  type SelfReferentialLayerOptions,
  type SelfReferentialWeightOptions,
} from './self-referential-layer.ts';

/** Options of {@link Srwm}. */
export interface SrwmOptions extends SelfReferentialLayerOptions, SelfReferentialWeightOptions {}

/**
 * A layer that rewrites its own weights. `weights` is W_0, `[heads, d, 3 d + 4]`: columns of the output, the query, the key and
 * the learning rates. The state is W − W_0 of all heads, `[batch, heads, d, 3 d + 4]`.
 */
export class Srwm extends SelfReferentialLayer {
  constructor(options: SrwmOptions) {
    super('Srwm', options, (heads, headSize, random) =>
      drawSelfReferentialWeights('Srwm', [heads, headSize, headSize], options, random),
    );
  }

  /**
   * What the layer answers to each of several inputs from the same state, without rewriting itself: `forward` on one of
   * them gives the same output.
   *
   * @param x float32 `[batch, queries, size]`
   * @param state default: that of the beginning
   * @returns float32 `[batch, queries, outputSize]`
   * @throws TypeError or RangeError if an argument has another dtype or shape
   */
  read(x: Tensor3D, state?: FastWeightState): Tensor3D {
    assertFloatShape('Srwm: x', x, ['batch', 'queries', this.size]);
    return tidy(() => {
      const read = selfReferentialRead(this.headInputs(x, undefined), this.weights, state?.fastWeights);
      return this.output.forward(mergeHeads(read));
    });
  }

  protected override stateShapes(batch: number): StateShapes {
    return { fastWeights: [batch, this.heads, this.headSize, columnCount(this.headSize, this.headSize)] };
  }

  protected override run({ x, state, presence }: Passage): { output: Tensor3D; state: FastWeightState } {
    const { output, finalState } = selfReferential(this.headInputs(x, presence), this.weights, {
      initialState: state?.fastWeights,
    });
    return { output: this.output.forward(mergeHeads(output)), state: { fastWeights: finalState } };
  }
}
