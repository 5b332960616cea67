/**
 * The layer of `srwm.ts` with self-modification removed, the baseline "fake SR" of Irie et al., 2022: a static block-diagonal
 * matrix,
 *
 *     output = [φ(x) W^y of all heads] W_out        W^y [heads, d, d]
 *
 * What such a layer does with an element does not depend on those before, so no learning in context is possible.
 */

import { normalInitializer } from '@fwp/core';
import { type FastWeightState, mergeHeads, type Passage, type StateShapes } from '@fwp/deltanet';
import { expandDims, matMul, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import { SelfReferentialLayer, type SelfReferentialLayerOptions } from './self-referential-layer.ts';

/** Options of {@link StaticSrwm}. */
export type StaticSrwmOptions = SelfReferentialLayerOptions;

/** A layer that stays what it is. `weights` is W^y; the state is empty. */
export class StaticSrwm extends SelfReferentialLayer {
  constructor(options: StaticSrwmOptions) {
    super('StaticSrwm', options, (heads, headSize, random) => {
      const draw = normalInitializer(1 / Math.sqrt(headSize));
      return draw([heads, headSize, headSize], random) as Tensor3D;
    });
  }

  protected override stateShapes(batch: number): StateShapes {
    return { fastWeights: [batch, this.heads, this.headSize, 0] };
  }

  protected override run({ x, state }: Passage): { output: Tensor3D; state: FastWeightState } {
    const y = matMul(this.headInputs(x, undefined), expandDims(this.weights, 0)) as Tensor4D;
    const next = state?.fastWeights.clone() ?? this.initialState(x.shape[0]).fastWeights;
    return { output: this.output.forward(mergeHeads(y)), state: { fastWeights: next } };
  }
}
