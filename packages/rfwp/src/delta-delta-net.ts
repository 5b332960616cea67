/**
 * The Delta Delta Net (Irie, Schlag, Csordás, Schmidhuber, 2021, section 3.1): a DeltaNet whose fast net is a DeltaNet. For each
 * head, with φ = (ELU + 1) / Σ (ELU + 1),
 *
 *     W_t written under φ(k_t) by the delta rule          [q′, k′, v′, b′] = W_t φ(q_t)
 *     S_t written with v′ under φ(k′), at the rate σ(b′)   y_t = S_t φ(q′)        output = W_o [y of all heads]
 *
 * x [batch, length, size], W [2 headSize + valueSize + 1, headSize]. W begins as zeros or, with `trainableStart`, as slow weights
 * that are drawn from U(1, 2) and trained.
 */

import { assertNumber, deltaDelta, eluPlusOne, randomUniform } from '@fwp/core';
import type { Passage, ShapesOf } from '@fwp/deltanet';
import {
  add,
  expandDims,
  sigmoid,
  squeeze,
  sub,
  type Tensor3D,
  type Tensor4D,
  tile,
  type Variable,
  zeros,
} from '@tensorflow/tfjs-core';
import { FastNetLayer, type FastNetLayerOptions, type FeatureOptions } from './fast-net-layer.ts';

/** Options of {@link DeltaDeltaNet}. */
export interface DeltaDeltaNetOptions extends FastNetLayerOptions, Pick<FeatureOptions, 'epsilon'> {
  /** Whether W begins as slow weights instead of zeros. Default false. */
  trainableStart?: boolean | undefined;
}

/** State of a {@link DeltaDeltaNet}. */
export type DeltaDeltaNetState = {
  /** W minus what it began as, `[batch, heads, 2 · headSize + valueSize + 1, headSize]`. */
  outer: Tensor4D;
  /** S, `[batch, heads, valueSize, headSize]`. */
  inner: Tensor4D;
};

/** Two delta rules, the second programmed by the first. */
export class DeltaDeltaNet extends FastNetLayer<DeltaDeltaNetState> {
  /** W at the beginning of sequences, `[heads, 2 · headSize + valueSize + 1, headSize]`; only with a trainable start. */
  readonly start: (Variable & Tensor3D) | undefined;
  readonly #epsilon: number;

  constructor(options: DeltaDeltaNetOptions) {
    const { epsilon = 1e-6 } = options;
    assertNumber('DeltaDeltaNet: epsilon', epsilon, 0);
    super('DeltaDeltaNet', options, ({ headSize, valueSize }) => 4 * headSize + valueSize + 2);
    this.#epsilon = epsilon;
    const { heads, headSize } = this;
    if (options.trainableStart) {
      const draw = randomUniform(options.random, [heads, this.#width, headSize], { low: 1, high: 2 });
      this.start = this.addParameter('start', draw as Tensor3D);
    }
  }

  protected override stateShapes(batch: number): ShapesOf<DeltaDeltaNetState> {
    const { heads, headSize, valueSize } = this;
    return { outer: [batch, heads, this.#width, headSize], inner: [batch, heads, valueSize, headSize] };
  }

  protected override run({ x, state }: Passage<DeltaDeltaNetState>): { output: Tensor3D; state: DeltaDeltaNetState } {
    const { headSize } = this;
    const [q, k, v, b] = this.parts(x, [headSize, headSize, this.#width, 1]) as [
      Tensor4D,
      Tensor4D,
      Tensor4D,
      Tensor4D,
    ];
    const features = { normalization: 'sum', epsilon: this.#epsilon } as const;
    const batch = x.shape[0];
    const start = this.start && (tile(expandDims(this.start, 0), [batch, 1, 1, 1]) as Tensor4D);
    const { output, finalState } = deltaDelta(
      { q: eluPlusOne(q, features), k: eluPlusOne(k, features), v, beta: sigmoid(squeeze(b, [3])) },
      { innerKeyDim: headSize, epsilon: this.#epsilon, initialState: this.#initial(state, start, batch) },
    );
    const outer = start === undefined ? finalState.outer : sub(finalState.outer, start);
    return { output: this.finish(output), state: { outer, inner: finalState.inner } as DeltaDeltaNetState };
  }

  /** States are what was added to the start, so that zeros are the beginning of sequences. */
  #initial(state: DeltaDeltaNetState | undefined, start: Tensor4D | undefined, batch: number) {
    if (start === undefined) return state;
    const inner = state?.inner ?? zeros([batch, this.heads, this.valueSize, this.headSize]);
    return { outer: state === undefined ? start : add(state.outer, start), inner };
  }

  /** Of what W gives: query, key, value and rate. */
  get #width(): number {
    return 2 * this.headSize + this.valueSize + 1;
  }
}
