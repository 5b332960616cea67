/**
 * A prefix-scannable layer (Yau et al., "Sequential-Parallel Duality in Prefix-Scannable Models", 2025, section 3): chunks of a
 * sequence are merged by a learned binary function along a Blelloch tree, and each chunk is read behind the prefix of all before it.
 *
 *     C_i = x_{ic} … x_{ic+c−1} + P        e_i = Enc(C_i)        s_i = e_0 ⊕ … ⊕ e_{i−1},  ⊕ = Agg, bracketed as the tree does
 *     y_{ic} … y_{ic+c−1} = right half of Inf([s_i + P' | C_i]),    of the first chunk Inf(C_0)
 *
 * x [batch, length, size], P and P' [chunkSize, size] learned, e_i and s_i [batch, chunkSize, size], y [batch, length, outputSize]. Agg is
 * any function of two chunks, Inf any causal sequence layer, Enc any function of a chunk (default: none). s_0 is a dummy: nothing is
 * put in its place, neither in Agg nor in Inf.
 *
 * Training evaluates the tree level by level: work linear in the length, depth logarithmic. A stream keeps the tree's live roots, one
 * for each bit of the number of chunks that is 1, and what Inf has read of the current chunk: memory O(log length), and less than two
 * applications of Agg for each chunk.
 */

import {
  assertCount,
  assertFloatShape,
  assertNoPadding,
  assertPaddingAtEnd,
  insertElement,
  inTidy,
  type MixerOptions,
  Module,
  normalInitializer,
  type PrefixRoots,
  prefixOf,
  prefixScan,
  prefixScanWithState,
  type RandomStream,
  type SequenceMixer,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Aggregator } from './aggregator.ts';

/** A function of a chunk, `[nodes, chunkSize, size]` to the same shape. */
export interface ChunkEncoder extends Module {
  forward(chunk: tf.Tensor3D): tf.Tensor3D;
}

/** Inf: a causal layer. */
export interface Inference<State extends tf.TensorContainer = tf.TensorContainer> extends SequenceMixer<State> {
  /**
   * What `apply` returns for the last elements, where that takes less than all outputs: what stands before a chunk, its prefix,
   * needs none. Without this method the outputs of prefixes are computed and left out.
   *
   * @param x float32 `[nodes, length, size]`
   * @param count number of elements
   * @param options padding
   * @returns float32 `[nodes, count, outputSize]`
   */
  applyToLast?(x: tf.Tensor3D, count: number, options?: MixerOptions): tf.Tensor3D;
}

/** Options of {@link PrefixScannableLayer}. */
export interface PrefixScannableLayerOptions {
  /** c: elements of a chunk. */
  chunkSize: number;
  /** Size of an input vector. */
  size: number;
  /** Agg. The layer takes it over, as it does with the other parts. */
  aggregator: Aggregator;
  /** Inf: a causal layer from vectors of `size`. */
  inference: Inference;
  /** Enc. Default: the chunk as it is. */
  encoder?: ChunkEncoder | undefined;
  /** Whether P and P' exist, by which places within a chunk are told apart. Default true. */
  positions?: boolean | undefined;
  /** Draws the initial values of P and P', N(0, 0.02²). */
  random: RandomStream;
}

/** What a stream has to remember. */
export type PrefixScannableState = {
  /** Live roots of the tree, from the highest to the lowest; their values are `[batch, chunkSize, size]`. */
  roots: PrefixRoots<tf.Tensor3D>;
  /** Elements of the current chunk so far, `[batch, 0 … chunkSize − 1, size]`. */
  chunk: tf.Tensor3D;
  /** Inf behind the prefix and the current chunk so far. */
  inference: tf.TensorContainer;
};

/** A layer whose memory is the prefix of a learned binary function. */
export class PrefixScannableLayer extends Module implements SequenceMixer<PrefixScannableState> {
  readonly chunkSize: number;
  readonly size: number;
  readonly outputSize: number;
  readonly aggregator: Aggregator;
  readonly inference: Inference;
  readonly encoder: ChunkEncoder | undefined;
  /** P. */
  readonly chunkPositions: (tf.Variable & tf.Tensor2D) | undefined;
  /** P'. */
  readonly prefixPositions: (tf.Variable & tf.Tensor2D) | undefined;

  constructor(options: PrefixScannableLayerOptions) {
    super();
    const { chunkSize, size, aggregator, inference, encoder, positions = true, random } = options;
    assertCount('PrefixScannableLayer: chunkSize', chunkSize);
    assertCount('PrefixScannableLayer: size', size);
    if (aggregator.chunkSize !== undefined && aggregator.chunkSize !== chunkSize) {
      throw new RangeError(
        `PrefixScannableLayer: the aggregator must be for chunks of ${chunkSize} elements, but its chunkSize is ` +
          `${aggregator.chunkSize}. Give both the same.`,
      );
    }
    this.chunkSize = chunkSize;
    this.size = size;
    this.outputSize = inference.outputSize;
    this.aggregator = this.addModule('aggregator', aggregator);
    this.inference = this.addModule('inference', inference);
    if (encoder !== undefined) this.encoder = this.addModule('encoder', encoder);
    if (!positions) return;
    const table = () => normalInitializer(0.02)([chunkSize, size], random) as tf.Tensor2D;
    this.chunkPositions = this.addParameter('chunkPositions', table());
    this.prefixPositions = this.addParameter('prefixPositions', table());
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param options padding, which may only stand at the ends of sequences
   * @returns float32 `[batch, length, outputSize]`
   * @throws TypeError or RangeError if an argument has another dtype or shape, or if elements stand behind padding
   */
  apply(x: tf.Tensor3D, options: MixerOptions = {}): tf.Tensor3D {
    const sizes = this.#assertInput(x);
    const { batch, length } = sizes;
    // Padding between elements would have to be moved out of chunks and tree; at the end it has no influence anyway.
    assertPaddingAtEnd('PrefixScannableLayer', options, sizes);
    return tf.tidy(() => {
      if (length === 0) return tf.zeros([batch, 0, this.outputSize]) as tf.Tensor3D;
      const chunks = Math.ceil(length / this.chunkSize);
      const all = this.#chunks(withoutPadding(x, options.paddingMask), chunks);
      if (chunks === 1) return this.#read(undefined, all, length);
      const prefixes = prefixScan<tf.Tensor>(this.#combine, this.#encode(all), {
        exclusive: true,
      });
      return this.#read(prefixes as tf.Tensor4D, all, length);
    });
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param state what came before; default: nothing. What goes on from a state is computed chunk by chunk
   * @param options no padding: a state has none
   */
  forward(
    x: tf.Tensor3D,
    state?: PrefixScannableState,
    options: MixerOptions = {},
  ): { output: tf.Tensor3D; state: PrefixScannableState } {
    const { batch, length } = this.#assertInput(x);
    if (state !== undefined) this.#assertState(state, batch);
    assertNoPadding('PrefixScannableLayer', options, 'a state has no place for it');
    return inTidy(() => {
      const outputs: tf.Tensor3D[] = [];
      const full = state === undefined ? Math.floor(length / this.chunkSize) : 0;
      let current = copyRoots(state ?? this.initialState(batch));
      if (full > 0) {
        const beginning = this.#beginning(x, full);
        outputs.push(beginning.output);
        current = beginning.state;
      }
      for (let start = full * this.chunkSize; start < length; ) {
        const count = Math.min(this.chunkSize - current.chunk.shape[1], length - start);
        const piece = this.#placed(tf.slice(x, [0, start, 0], [batch, count, this.size]), current.chunk.shape[1]);
        const read = this.inference.forward(piece, current.inference);
        outputs.push(read.output);
        current = this.#advance(current, piece, read.state);
        start += count;
      }
      const output = outputs.length === 0 ? tf.zeros([batch, 0, this.outputSize]) : tf.concat(outputs, 1);
      return { output: output as tf.Tensor3D, state: current };
    });
  }

  /**
   * @param x float32 `[batch, size]`
   * @param state what came before
   */
  step(x: tf.Tensor2D, state: PrefixScannableState): { output: tf.Tensor2D; state: PrefixScannableState } {
    const { batch } = assertFloatShape('PrefixScannableLayer: x', x, ['batch', this.size]) as { batch: number };
    this.#assertState(state, batch);
    return inTidy(() => {
      const piece = this.#placed(tf.expandDims(x, 1) as tf.Tensor3D, state.chunk.shape[1]);
      const read = this.inference.step(tf.squeeze(piece, [1]) as tf.Tensor2D, state.inference);
      return {
        output: read.output,
        state: this.#advance(copyRoots(state), piece, read.state),
      };
    });
  }

  /** No chunk yet. */
  initialState(batch: number): PrefixScannableState {
    assertCount('PrefixScannableLayer: batch', batch, 0);
    return {
      roots: [],
      chunk: tf.zeros([batch, 0, this.size]),
      inference: this.inference.initialState(batch),
    };
  }

  readonly #combine = (earlier: tf.Tensor, later: tf.Tensor): tf.Tensor =>
    this.aggregator.combine(earlier as tf.Tensor3D, later as tf.Tensor3D);

  /** The first `count` chunks with their places, `[batch, count, chunkSize, size]`; zeros behind the end. */
  #chunks(x: tf.Tensor3D, count: number): tf.Tensor4D {
    const [batch, length] = x.shape;
    const missing = count * this.chunkSize - length;
    const whole =
      missing > 0
        ? tf.pad(x, [
            [0, 0],
            [0, missing],
            [0, 0],
          ])
        : missing < 0
          ? tf.slice(x, [0, 0, 0], [batch, length + missing, this.size])
          : x;
    const chunks = tf.reshape(whole, [batch, count, this.chunkSize, this.size]);
    return (this.chunkPositions === undefined ? chunks : tf.add(chunks, this.chunkPositions)) as tf.Tensor4D;
  }

  /** Elements of a chunk, `[batch, count, size]`, the first of which is at `place`. */
  #placed(x: tf.Tensor3D, place: number): tf.Tensor3D {
    if (this.chunkPositions === undefined) return x;
    return tf.add(x, tf.slice(this.chunkPositions, [place, 0], [x.shape[1], this.size]));
  }

  #encode<T extends tf.Tensor>(chunks: T): T {
    if (this.encoder === undefined) return chunks;
    const flat = tf.reshape(chunks, [-1, this.chunkSize, this.size]) as tf.Tensor3D;
    return tf.reshape(this.encoder.forward(flat), chunks.shape) as T;
  }

  #marked<T extends tf.Tensor>(prefix: T): T {
    return this.prefixPositions === undefined ? prefix : tf.add(prefix, this.prefixPositions);
  }

  /** Inf on the first chunk alone, which has no prefix, and on all others at once; outputs up to `length`. */
  #read(prefixes: tf.Tensor4D | undefined, chunks: tf.Tensor4D, length: number): tf.Tensor3D {
    const [batch, count, chunkSize] = chunks.shape;
    const flat = (x: tf.Tensor4D, first: number, taken: number): tf.Tensor3D => {
      const some = taken === count ? x : tf.slice(x, [0, first], [batch, taken]);
      return tf.reshape(some, [batch * taken, chunkSize, this.size]);
    };
    let all = this.inference.apply(flat(chunks, 0, 1));
    if (prefixes !== undefined) {
      const later = count - 1;
      const inputs = tf.concat([this.#marked(flat(prefixes, 1, later)), flat(chunks, 1, later)], 1);
      const output =
        this.inference.applyToLast?.(inputs, chunkSize) ?? tf.slice(this.inference.apply(inputs), [0, chunkSize, 0]);
      all = tf.concat([all, tf.reshape(output, [batch, later * chunkSize, this.outputSize]) as tf.Tensor3D], 1);
    }
    return count * chunkSize === length ? all : tf.slice(all, [0, 0, 0], [batch, length, this.outputSize]);
  }

  /** Outputs of the first `full` chunks, all at once, and the state behind them. */
  #beginning(x: tf.Tensor3D, full: number): { output: tf.Tensor3D; state: PrefixScannableState } {
    const batch = x.shape[0];
    const chunks = this.#chunks(x, full);
    const { output: prefixes, finalState: roots } = prefixScanWithState<tf.Tensor>(
      this.#combine,
      this.#encode(chunks),
      {
        exclusive: true,
      },
    );
    const output = this.#read(full === 1 ? undefined : (prefixes as tf.Tensor4D), chunks, full * this.chunkSize);
    const live = roots as unknown as PrefixRoots<tf.Tensor3D>;
    return { output, state: this.#betweenChunks(live, batch) };
  }

  /** The state behind more elements of the current chunk, which they may complete. */
  #advance(
    { roots, chunk }: PrefixScannableState,
    piece: tf.Tensor3D,
    inference: tf.TensorContainer,
  ): PrefixScannableState {
    const grown = chunk.shape[1] === 0 ? piece : tf.concat([chunk, piece], 1);
    if (grown.shape[1] < this.chunkSize) return { roots, chunk: grown, inference };
    const combine = (earlier: tf.Tensor3D, later: tf.Tensor3D) => this.aggregator.combine(earlier, later);
    return this.#betweenChunks(insertElement(combine, roots, this.#encode(grown)), piece.shape[0]);
  }

  /** The state behind complete chunks: Inf has read their prefix. */
  #betweenChunks(roots: PrefixRoots<tf.Tensor3D>, batch: number): PrefixScannableState {
    const begin = this.inference.initialState(batch);
    const prefix = prefixOf(roots);
    const inference = prefix === undefined ? begin : this.inference.forward(this.#marked(prefix), begin).state;
    return { roots, chunk: tf.zeros([batch, 0, this.size]), inference };
  }

  #assertInput(x: tf.Tensor): { batch: number; length: number } {
    const shape = ['batch', 'length', this.size];
    return assertFloatShape('PrefixScannableLayer: x', x, shape) as {
      batch: number;
      length: number;
    };
  }

  #assertState({ roots, chunk }: PrefixScannableState, batch: number): void {
    const sizes = assertFloatShape('PrefixScannableLayer: state.chunk', chunk, ['batch', 'elements', this.size], {
      batch,
    });
    if ((sizes['elements'] as number) >= this.chunkSize) {
      throw new RangeError(
        `PrefixScannableLayer: state.chunk has ${sizes['elements']} elements, but a chunk is complete with ${this.chunkSize}.`,
      );
    }
    for (const { value, fold } of roots) {
      for (const tensor of [value, fold]) {
        assertFloatShape('PrefixScannableLayer: state.roots', tensor, ['batch', this.chunkSize, this.size], { batch });
      }
    }
  }
}

/** Roots with tensors of their own, so that the state before can be disposed. */
function copyRoots({ roots, ...rest }: PrefixScannableState): PrefixScannableState {
  const copies = roots.map(({ level, value, fold }) => ({
    level,
    value: tf.clone(value),
    fold: tf.clone(fold),
  }));
  return { ...rest, roots: copies };
}

function withoutPadding(x: tf.Tensor3D, paddingMask: tf.Tensor | undefined): tf.Tensor3D {
  if (paddingMask === undefined) return x;
  return tf.where(tf.broadcastTo(tf.expandDims(paddingMask, 2), x.shape), x, tf.zerosLike(x)) as tf.Tensor3D;
}
