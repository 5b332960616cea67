/**
 * The part of attention that no expert touches: heads that attend to what precedes them, and know positions,
 *
 *     relative    a_ts = (q_t · k_s + q_t · r_{t−s}) / √headSize        r_δ = p_δ W_p    (Transformer-XL without its biases u and w)
 *     rotary      a_ts = R_t q_t · R_s k_s / √headSize                  R turns the first channels only, a fraction of them
 *
 *     o_t = Σ_{s ≤ t} softmax_s(a_t) v_s
 *
 * t and s count from the first source on, memory included.
 */

import {
  applyRotaryPositions,
  assertNumber,
  assertOneOf,
  attention,
  Module,
  normalInitializer,
  type RandomStream,
  RelativePositions,
} from '@fwp/core';
import { concat, slice, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';

/** How heads know positions. */
export const HEAD_POSITIONS = ['relative', 'rotary'] as const;

/** Name of a way to know positions. */
export type HeadPositions = (typeof HEAD_POSITIONS)[number];

/** Options of {@link PositionedHeads}. */
export interface PositionedHeadsOptions {
  /** Size of the sinusoids of relative positions. */
  size: number;
  heads: number;
  headSize: number;
  positions: HeadPositions;
  /** Share of the channels that rotary positions turn. Default 0.5. */
  rotaryFraction?: number;
  /** Scale of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  random: RandomStream;
}

/** Causal attention of heads. */
export class PositionedHeads extends Module {
  /** Has W_p. */
  readonly relative: RelativePositions | undefined;
  /** Number of channels that are turned. */
  readonly turned: number;
  readonly #scale: number;

  constructor(options: PositionedHeadsOptions) {
    super();
    const { size, heads, headSize, positions, rotaryFraction = 0.5, initialScale = 1, random } = options;
    assertOneOf('positions', positions, HEAD_POSITIONS);
    assertNumber('rotaryFraction', rotaryFraction, 0, 1);
    this.#scale = 1 / Math.sqrt(headSize);
    this.turned = positions === 'rotary' ? 2 * Math.floor((headSize * rotaryFraction) / 2) : 0;
    if (positions === 'rotary') return;
    const weightInitializer = normalInitializer(initialScale / Math.sqrt(size));
    const shape = { size, heads, headSize, kind: 'sinusoidal', maxDistance: 1 } as const;
    this.relative = this.addModule(
      'relative',
      new RelativePositions({ ...shape, biases: false, random, weightInitializer }),
    );
  }

  /**
   * @param q float32 `[batch, length, heads, headSize]`: the last ones of the sources' positions
   * @param keys float32 `[batch, sources, heads, headSize]`
   * @param values float32 `[batch, sources, heads, headSize]`
   * @param keyMask bool `[batch, sources]`: false for padding
   * @returns float32 `[batch, length, heads, headSize]`
   */
  attend(q: Tensor4D, keys: Tensor4D, values: Tensor4D, keyMask?: Tensor2D | undefined): Tensor4D {
    const options = { layout: 'BTHD', causal: true, scale: this.#scale, keyMask } as const;
    if (this.relative !== undefined) {
      const { bias } = this.relative.terms(q, keys.shape[1], true, this.#scale);
      return attention(q, keys, values, { ...options, bias });
    }
    return attention(this.#turn(q, keys.shape[1] - q.shape[1]), this.#turn(keys, 0), values, options);
  }

  #turn(x: Tensor4D, offset: number): Tensor4D {
    if (this.turned === 0) return x;
    const [batch, length, heads, headSize] = x.shape;
    const turned = applyRotaryPositions(slice(x, [0, 0, 0, 0], [batch, length, heads, this.turned]), offset);
    if (this.turned === headSize) return turned;
    return concat([turned, slice(x, [0, 0, 0, this.turned], [batch, length, heads, headSize - this.turned])], 3);
  }
}

/**
 * Multiply-adds of {@link PositionedHeads.attend} for one row of a batch, the map of distances included. Half of the scores are
 * excluded by causality and count all the same, as the papers have it.
 */
export function attendMultiplyAdds(heads: PositionedHeads, width: number, length: number, sources: number): number {
  const positions = heads.relative === undefined ? 0 : sources * width * (heads.relative.weight.shape[0] + length);
  return 2 * length * sources * width + positions;
}
