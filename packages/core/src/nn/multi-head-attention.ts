/**
 * Multi-head self-attention (Vaswani et al., 2017, section 3.2): for each head h,
 *
 *     q = x W_q + b_q   k = x W_k + b_k   v = x W_v + b_v        head_h = softmax(scale q_h k_hᵀ + positions) v_h
 *     y = [head_1 … head_H] W_o + b_o
 *
 * x [batch, length, size]; W_q, W_k, W_v [size, heads · headSize] lie side by side in one matrix, so that one product
 * makes all three; W_o [heads · headSize, outputSize]. Initially each matrix is Xavier uniform and each bias 0.
 *
 * Positions: none (the input carries them), rotary, or relative as in Transformer-XL. The state of a causal layer is the
 * keys and values of all elements so far, or with a window of the last ones.
 */

import {
  cast,
  concat,
  expandDims,
  ones,
  reshape,
  slice,
  squeeze,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tidy,
  unstack,
  zeros,
} from '@tensorflow/tfjs-core';
import { attention, type SelfAttentionOptions, selfAttention } from '../ops/attention.ts';
import type { RandomStream } from '../random/stream.ts';
import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  assertShape,
  assertTensor,
} from '../shape-checks.ts';
import { constantInitializer, type Initializer, xavierUniform } from './initializers.ts';
import { Linear } from './linear.ts';
import { Module } from './module.ts';
import { RelativePositions } from './relative-positions.ts';
import { applyRotaryPositions } from './rotary-positions.ts';
import { assertPaddingMask, type MixerOptions, type SequenceMixer } from './sequence-mixer.ts';

/** How {@link MultiHeadAttention} knows positions. */
export const ATTENTION_POSITIONS = ['none', 'rotary', 'relative', 'relativeLearned'] as const;

/** Name of a way to know positions. */
export type AttentionPositions = (typeof ATTENTION_POSITIONS)[number];

/** Options of {@link MultiHeadAttention}. */
export interface MultiHeadAttentionOptions {
  /** Size of an input vector. */
  size: number;
  /** Number of heads. */
  heads: number;
  /** Size of queries, keys and values of one head. Default size / heads. */
  headSize?: number;
  /** Size of an output vector. Default size. */
  outputSize?: number;
  /** Whether an element sees no later ones. Default true; streaming needs it. */
  causal?: boolean;
  /**
   * Number of elements that an element of a causal layer sees, itself included, padding included: a sliding window, with a
   * state of constant size. Default: all before it.
   */
  window?: number | undefined;
  /** Default `'none'`. `'relative'` has sinusoidal vectors, `'relativeLearned'` a learned table. */
  positions?: AttentionPositions;
  /** Base of the rotary angles. Default 10000. */
  rotaryBase?: number;
  /** Largest distance with a learned vector of its own. Default 128. */
  maxDistance?: number;
  /** Factor of the scores. Default 1 / √headSize. */
  scale?: number;
  /** Whether the projections have biases. Default true. */
  bias?: boolean;
  /** Draws the initial values. */
  random: RandomStream;
  /** Of the projections, that of relative positions included. Default: Xavier uniform for each of the matrices. */
  weightInitializer?: Initializer;
}

/** What a batch may bring along. */
export interface AttentionMaskOptions extends MixerOptions {
  /** What may be seen, broadcastable to `[batch, heads, queries, keys]`: bool, or float32 added to the scores. */
  mask?: Tensor | undefined;
}

/** Keys and values so far; with a window, those that the next element sees. */
export type AttentionState = {
  /** `[batch, elements, heads, headSize]` */
  keys: Tensor4D;
  /** `[batch, elements, heads, headSize]` */
  values: Tensor4D;
  /** bool `[batch, elements]`; absent as long as there was no padding. */
  paddingMask?: Tensor | undefined;
  /** Number of elements so far; only with a window. */
  position?: number | undefined;
};

/** Multi-head self-attention. */
export class MultiHeadAttention extends Module implements SequenceMixer<AttentionState> {
  readonly size: number;
  readonly outputSize: number;
  readonly heads: number;
  readonly headSize: number;
  /** x → queries, keys and values. */
  readonly queryKeyValue: Linear;
  /** Heads → y. */
  readonly output: Linear;
  readonly relativePositions: RelativePositions | undefined;
  readonly #causal: boolean;
  readonly #window: number | undefined;
  readonly #scale: number;
  readonly #rotaryBase: number | undefined;

  constructor(options: MultiHeadAttentionOptions) {
    super();
    const { size, heads, bias = true, causal = true, window, positions = 'none', random } = options;
    assertCount('MultiHeadAttention: size', size);
    assertCount('MultiHeadAttention: heads', heads);
    const { headSize = size / heads, outputSize = size } = options;
    if (options.headSize === undefined && !Number.isInteger(headSize)) {
      throw new RangeError(
        `MultiHeadAttention: size ${size} cannot be divided among ${heads} heads; give headSize to choose it freely.`,
      );
    }
    assertCount('MultiHeadAttention: headSize', headSize);
    assertCount('MultiHeadAttention: outputSize', outputSize);
    assertOneOf('MultiHeadAttention: positions', positions, ATTENTION_POSITIONS);
    const { rotaryBase = 10_000, maxDistance = 128, scale = 1 / Math.sqrt(headSize) } = options;
    assertNumber('MultiHeadAttention: scale', scale);
    assertNumber('MultiHeadAttention: rotaryBase', rotaryBase, 1);
    assertCount('MultiHeadAttention: maxDistance', maxDistance);
    if (window !== undefined) {
      assertCount('MultiHeadAttention: window', window);
      if (!causal) throw new RangeError('MultiHeadAttention: a window needs causal: true.');
    }
    if (positions === 'rotary' && headSize % 2 !== 0) {
      throw new RangeError(`MultiHeadAttention: rotary positions need an even headSize, but it is ${headSize}.`);
    }
    this.size = size;
    this.outputSize = outputSize;
    this.heads = heads;
    this.headSize = headSize;
    this.#causal = causal;
    this.#window = window;
    this.#scale = scale;
    this.#rotaryBase = positions === 'rotary' ? rotaryBase : undefined;
    const width = heads * headSize;
    const { weightInitializer = xavierUniform() } = options;
    // Queries, keys and values have a matrix each, which stand side by side.
    const ofEach =
      (fanIn: number, fanOut: number): Initializer =>
      (shape, stream) =>
        weightInitializer(shape, stream, { fanIn, fanOut });
    const common = { bias, random, biasInitializer: constantInitializer(0) };
    try {
      const inward = { inputSize: size, outputSize: 3 * width, weightInitializer: ofEach(size, width) };
      this.queryKeyValue = this.addModule('queryKeyValue', new Linear({ ...common, ...inward }));
      const outward = { inputSize: width, outputSize, weightInitializer: ofEach(width, outputSize) };
      this.output = this.addModule('output', new Linear({ ...common, ...outward }));
      if (positions === 'relative' || positions === 'relativeLearned') {
        const kind = positions === 'relative' ? 'sinusoidal' : 'learned';
        // A learned table is no projection.
        const weightInitializer = kind === 'sinusoidal' ? options.weightInitializer : undefined;
        const shape = { size, heads, headSize, kind, maxDistance } as const;
        const relative = new RelativePositions({ ...shape, random, weightInitializer });
        this.relativePositions = this.addModule('relativePositions', relative);
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param options padding and further masks
   * @returns float32 `[batch, length, outputSize]`
   */
  apply(x: Tensor3D, options: AttentionMaskOptions = {}): Tensor3D {
    const { batch, length } = this.#assertInput(x, options);
    return tidy(() => {
      const qkv = reshape(this.queryKeyValue.forward(x), [batch, length, 3, this.heads, this.headSize]);
      const restrictions = this.#restrictions(options);
      if (this.#rotaryBase === undefined && this.relativePositions === undefined) {
        return this.#project(selfAttention(qkv, restrictions));
      }
      return this.#project(this.#attend(this.#positioned(qkv, 0), restrictions));
    });
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param state keys and values before x; a causal layer only
   * @param options padding of x, and further masks over all keys
   * @returns outputs `[batch, length, outputSize]`, and keys and values up to the end of x
   */
  forward(
    x: Tensor3D,
    state?: AttentionState,
    options: AttentionMaskOptions = {},
  ): { output: Tensor3D; state: AttentionState } {
    const { batch, length } = this.#assertInput(x, options);
    if (state !== undefined) this.#assertState(state, batch);
    return tidy(() => {
      const qkv = reshape(this.queryKeyValue.forward(x), [batch, length, 3, this.heads, this.headSize]);
      const before = state?.keys.shape[1] ?? 0;
      const position = state?.position ?? before;
      const current = this.#positioned(qkv, position);
      const keys = before === 0 ? current.keys : concat([(state as AttentionState).keys, current.keys], 1);
      const values = before === 0 ? current.values : concat([(state as AttentionState).values, current.values], 1);
      const paddingMask = joinMasks(state, options.paddingMask, batch, length);
      const restrictions = this.#restrictions({ ...options, paddingMask });
      const output = this.#project(this.#attend({ q: current.q, keys, values }, restrictions));
      const seen = paddingMask === undefined ? { keys, values } : { keys, values, paddingMask };
      return {
        output,
        state: this.#window === undefined ? seen : { ...inWindow(seen, this.#window), position: position + length },
      };
    });
  }

  /**
   * @param x float32 `[batch, size]`
   * @param state keys and values before x
   */
  step(x: Tensor2D, state: AttentionState): { output: Tensor2D; state: AttentionState } {
    assertFloatShape('MultiHeadAttention: x', x, ['batch', this.size]);
    return tidy(() => {
      const { output, state: next } = this.forward(expandDims(x, 1) as Tensor3D, state);
      return { output: squeeze(output, [1]) as Tensor2D, state: next };
    });
  }

  /** No keys and values yet. */
  initialState(batch: number): AttentionState {
    assertCount('MultiHeadAttention: batch', batch, 0);
    const shape: [number, number, number, number] = [batch, 0, this.heads, this.headSize];
    const none = { keys: zeros(shape), values: zeros(shape) } as AttentionState;
    return this.#window === undefined ? none : { ...none, position: 0 };
  }

  #positioned(qkv: Tensor, offset: number): { q: Tensor4D; keys: Tensor4D; values: Tensor4D } {
    const [q, keys, values] = unstack(qkv, 2) as [Tensor4D, Tensor4D, Tensor4D];
    if (this.#rotaryBase === undefined) return { q, keys, values };
    return {
      q: applyRotaryPositions(q, offset, this.#rotaryBase),
      keys: applyRotaryPositions(keys, offset, this.#rotaryBase),
      values,
    };
  }

  #attend(
    { q, keys, values }: { q: Tensor4D; keys: Tensor4D; values: Tensor4D },
    restrictions: SelfAttentionOptions,
  ): Tensor4D {
    const layout = 'BTHD';
    if (this.relativePositions === undefined) return attention(q, keys, values, { layout, ...restrictions });
    const terms = this.relativePositions.terms(q, keys.shape[1], this.#causal, this.#scale);
    return attention(terms.q, keys, values, { layout, ...restrictions, bias: terms.bias });
  }

  #restrictions({ paddingMask, mask }: AttentionMaskOptions): SelfAttentionOptions {
    return { causal: this.#causal, window: this.#window, scale: this.#scale, keyMask: paddingMask, mask };
  }

  #project(heads: Tensor4D): Tensor3D {
    const [batch, length] = heads.shape;
    return this.output.forward(reshape(heads, [batch, length, this.heads * this.headSize]) as Tensor3D);
  }

  #assertInput(x: Tensor, options: AttentionMaskOptions): { batch: number; length: number } {
    const sizes = assertFloatShape('MultiHeadAttention: x', x, ['batch', 'length', this.size]);
    assertPaddingMask('MultiHeadAttention', options, sizes);
    return sizes as { batch: number; length: number };
  }

  #assertState({ keys, values, paddingMask }: AttentionState, batch: number): void {
    if (!this.#causal) {
      throw new Error(
        'MultiHeadAttention: going on from a state needs causal: true, as earlier outputs would change otherwise.',
      );
    }
    const shape = ['batch', 'elements', this.heads, this.headSize];
    const sizes = assertFloatShape('MultiHeadAttention: state.keys', keys, shape, { batch });
    assertFloatShape('MultiHeadAttention: state.values', values, shape, sizes);
    if (paddingMask !== undefined) {
      assertTensor('MultiHeadAttention: state.paddingMask', paddingMask, 'bool');
      assertShape('MultiHeadAttention: state.paddingMask', paddingMask, ['batch', 'elements'], sizes);
    }
  }
}

/** What the next element sees, if that is `window` elements with itself. */
function inWindow({ keys, values, paddingMask }: AttentionState, window: number): AttentionState {
  const count = Math.min(window - 1, keys.shape[1]);
  const last = <T extends Tensor>(x: T): T => slice(x, [0, (x.shape[1] as number) - count]) as T;
  const state = { keys: last(keys), values: last(values) };
  return paddingMask === undefined ? state : { ...state, paddingMask: last(paddingMask) };
}

/** The padding mask of old and new elements together, if either has one. */
function joinMasks(
  state: AttentionState | undefined,
  paddingMask: Tensor | undefined,
  batch: number,
  length: number,
): Tensor | undefined {
  const before = state?.keys.shape[1] ?? 0;
  // The state is its owner's to dispose, the mask the caller's.
  if (before === 0) return paddingMask?.clone();
  if (paddingMask === undefined && state?.paddingMask === undefined) return undefined;
  const all = (count: number): Tensor => cast(ones([batch, count]), 'bool');
  return concat([state?.paddingMask ?? all(before), paddingMask ?? all(length)], 1);
}
