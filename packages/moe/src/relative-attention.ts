/**
 * Dense attention with relative positions, the baseline of both papers (Dai et al., Transformer-XL, 2019, section 3.3, with the
 * scale of Csordás, Irie & Schmidhuber, 2023): for queries, keys and values of each head h, as `dense-attention.ts` makes them,
 *
 *     a_ts = scale · ((q_t + u_h) · k_s + (q_t + w_h) · r_{t−s})     o_t = Σ_{s ≤ t} softmax_s(a_t)_s v_s     r_δ = p_δ W_p
 *
 * t and s count from the first source on. p_δ are sinusoids of the distance. u and w are 0 at first, the learned scale
 * 1 / √headSize.
 */

import { attention, RelativePositions } from '@fwp/core';
import { mul, type Scalar, scalar, type Tensor2D, type Tensor4D, type Variable } from '@tensorflow/tfjs-core';
import { DenseAttention, type DenseAttentionOptions } from './dense-attention.ts';
import { denseInitializer } from './initialization.ts';

/** Options of {@link RelativeAttention}. */
export interface RelativeAttentionOptions extends DenseAttentionOptions {}

/** Multi-head attention that sees distances, over a segment and what precedes it. */
export class RelativeAttention extends DenseAttention {
  readonly positions: RelativePositions;
  /** Factor of the scores, learned. */
  readonly scale: Variable & Scalar;

  constructor(options: RelativeAttentionOptions) {
    super('RelativeAttention', options);
    const { size, heads, headSize } = this;
    const weightInitializer = denseInitializer(options.initialScale ?? 1);
    const shape = { size, heads, headSize, kind: 'sinusoidal', maxDistance: 1 } as const;
    const { random } = options;
    this.positions = this.addModule('positions', new RelativePositions({ ...shape, random, weightInitializer }));
    this.scale = this.addParameter('scale', scalar(1 / Math.sqrt(headSize)));
  }

  protected attend(q: Tensor4D, keys: Tensor4D, values: Tensor4D, keyMask: Tensor2D | undefined): Tensor4D {
    const terms = this.positions.terms(q, keys.shape[1], true, this.scale);
    const options = { layout: 'BTHD', causal: true, scale: 1, bias: terms.bias, keyMask } as const;
    return attention(mul<Tensor4D>(terms.q, this.scale), keys, values, options);
  }

  /**
   * See {@link AttentionBlock.multiplyAdds}: the maps, those of the sources again for the memory; scores with keys and with
   * distances, and the sum of values. The map of the distances counts as for a batch of one row.
   */
  multiplyAdds(length: number, memoryLength: number): number {
    const sources = memoryLength + length;
    const width = this.heads * this.headSize;
    return width * (2 * length * this.size + 3 * sources * this.size + 3 * length * sources);
  }
}
