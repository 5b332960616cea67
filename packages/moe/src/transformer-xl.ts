/**
 * A language model in the manner of Transformer-XL (Dai et al., 2019, section 3), as the papers on mixtures of experts use it:
 * pre-norm, with any attention block and any feed-forward block. For tokens of a segment and each layer l = 1 … layers,
 *
 *     h⁰ = embeddingScale · E[tokens]
 *     u  = h^{l−1} + dropout(attention_l(norm(h^{l−1}), memory: norm(m^{l−1})))
 *     h^l = u + dropout(feedForward_l(norm(u)))
 *     logits = norm(h^layers) W + b                with tied weights: norm(h^layers) Eᵀ
 *
 * tokens int32 [batch, length], h [batch, length, size], logits [batch, length, vocabularySize]. The memory m^{l−1} holds the
 * last `memoryLength` inputs h^{l−1} of the segments before, as constants: what a segment learns stops at its beginning, what
 * it sees does not. Behind a segment the memory is the last `memoryLength` of [m; h].
 */

import {
  assertCount,
  assertNumber,
  assertShape,
  assertTensor,
  Embedding,
  type Initializer,
  inTidy,
  LayerNorm,
  Linear,
  Module,
  type RandomStream,
  stopGradient,
  xavierUniform,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import type { AttentionBlock } from './attention-block.ts';
import type { FeedForwardBlock } from './feed-forward-block.ts';
import { type LayerSelections, TransformerXlLayer } from './transformer-xl-layer.ts';

/** Options of {@link TransformerXl}. */
export interface TransformerXlOptions {
  /** Number of symbols; tokens are below. */
  vocabularySize: number;
  /** Size of embeddings and hidden vectors. */
  size: number;
  /** Number of layers. */
  layers: number;
  /** Makes the attention block of each layer, counted from 0. The model takes it over. */
  attention: (layer: number) => AttentionBlock;
  /** Makes the feed-forward block of each layer, counted from 0. The model takes it over. */
  feedForward: (layer: number) => FeedForwardBlock;
  /** How many elements before a segment it sees, at most. Default 0: none. */
  memoryLength?: number;
  /** Dropout rate of both branches of a layer. Default 0. */
  dropout?: number;
  /** Whether the output matrix is that of the embeddings. Default false. */
  tieWeights?: boolean;
  /** Factor of the embeddings. Default 1. */
  embeddingScale?: number;
  /** Of the embeddings. Default: Xavier uniform. */
  embeddingInitializer?: Initializer;
  /** Draws the initial values. */
  random: RandomStream;
}

/** What a model keeps of the segments before: for each layer its last inputs, float32 `[batch, elements, size]`. */
export type TransformerXlState = {
  memories: tf.Tensor3D[];
};

/** What {@link TransformerXl.forward} returns; the caller disposes of all of it, or runs in `tf.tidy`. */
export interface TransformerXlResult {
  /** float32 `[batch, length, vocabularySize]` */
  readonly logits: tf.Tensor3D;
  /** The state behind the segment. */
  readonly state: TransformerXlState;
  /**
   * Sum over layers of the terms that balance experts, without their weight γ: train on cross entropy + γ · regularization.
   * Absent where no block has one.
   */
  readonly regularization?: tf.Scalar;
  /** What was chosen, by layer. */
  readonly selections: readonly LayerSelections[];
}

/** Options of {@link TransformerXl.forward}. */
export interface TransformerXlCall {
  /** Overrides the model's, for example for a longer memory in evaluation. */
  readonly memoryLength?: number;
}

/** A language model with memory. */
export class TransformerXl extends Module {
  readonly vocabularySize: number;
  readonly size: number;
  readonly memoryLength: number;
  readonly embedding: Embedding;
  readonly layers: readonly TransformerXlLayer[];
  readonly norm: LayerNorm;
  /** Only without tied weights. */
  readonly scores: Linear | undefined;
  readonly #embeddingScale: number;

  constructor(options: TransformerXlOptions) {
    super();
    const { vocabularySize, size, layers, attention, feedForward, random } = options;
    const { memoryLength = 0, dropout = 0, tieWeights = false, embeddingScale = 1 } = options;
    const { embeddingInitializer = xavierUniform() } = options;
    assertCount('TransformerXl: layers', layers, 0);
    assertCount('TransformerXl: memoryLength', memoryLength, 0);
    assertNumber('TransformerXl: embeddingScale', embeddingScale);
    this.vocabularySize = vocabularySize;
    this.size = size;
    this.memoryLength = memoryLength;
    this.#embeddingScale = embeddingScale;
    const made: TransformerXlLayer[] = [];
    try {
      const table = new Embedding({ vocabularySize, size, random, initializer: embeddingInitializer });
      this.embedding = this.addModule('embedding', table);
      for (let layer = 0; layer < layers; layer++) {
        const blocks = { attention: attention(layer), feedForward: feedForward(layer) };
        made.push(new TransformerXlLayer({ size, ...blocks, dropout, random }));
      }
      this.layers = this.addModules('layers', made);
      this.norm = this.addModule('norm', new LayerNorm({ size }));
      if (!tieWeights) {
        this.scores = this.addModule('scores', new Linear({ inputSize: size, outputSize: vocabularySize, random }));
      }
    } catch (error) {
      for (const layer of made) layer.dispose();
      this.dispose();
      throw error;
    }
  }

  /**
   * Predicts what follows each token of a segment.
   *
   * @param tokens int32 `[batch, length]`
   * @param state behind the segment before; default: nothing comes before
   * @param call a memory of another length
   * @throws TypeError or RangeError if an argument has another dtype or shape
   */
  forward(tokens: tf.Tensor2D, state?: TransformerXlState, call: TransformerXlCall = {}): TransformerXlResult {
    const { memoryLength = this.memoryLength } = call;
    assertCount('TransformerXl: memoryLength', memoryLength, 0);
    assertTensor('TransformerXl: tokens', tokens, 'int32');
    const { batch } = assertShape('TransformerXl: tokens', tokens, ['batch', 'length']) as { batch: number };
    if (state !== undefined) this.#assertState(state, batch);
    return inTidy(() => {
      let x = tf.mul(this.embedding.forward(tokens), this.#embeddingScale) as tf.Tensor3D;
      const memories: tf.Tensor3D[] = [];
      const selections: LayerSelections[] = [];
      let regularization: tf.Scalar | undefined;
      for (const [i, layer] of this.layers.entries()) {
        const before = state?.memories[i];
        const memory = before === undefined ? undefined : last(before, memoryLength);
        memories.push(stopGradient(remember(memory, x, memoryLength)));
        const result = layer.apply(x, memory);
        x = result.outputs;
        selections.push(result.selections);
        if (result.regularization === undefined) continue;
        regularization =
          regularization === undefined
            ? result.regularization
            : tf.add<tf.Scalar>(regularization, result.regularization);
      }
      const hidden = this.norm.forward(x);
      const logits = (this.scores?.forward(hidden) ?? this.embedding.logits(hidden)) as tf.Tensor3D;
      const result = { logits, state: { memories }, selections };
      return regularization === undefined ? result : { ...result, regularization };
    });
  }

  /** Multiply-adds of a token in the feed-forward blocks, forward, summed over layers. */
  get feedForwardMultiplyAdds(): number {
    return this.layers.reduce((sum, { feedForward }) => sum + feedForward.multiplyAdds, 0);
  }

  #assertState({ memories }: TransformerXlState, batch: number): void {
    if (memories.length !== this.layers.length) {
      throw new RangeError(
        `TransformerXl: state.memories has ${memories.length} memories for ${this.layers.length} layers; pass the state that ` +
          'forward of this model returned.',
      );
    }
    for (const [i, memory] of memories.entries()) {
      const name = `TransformerXl: state.memories[${i}]`;
      assertTensor(name, memory, 'float32');
      assertShape(name, memory, ['batch', 'elements', this.size], { batch });
    }
  }
}

/** The last `count` elements of a memory; `undefined` for none. */
function last(memory: tf.Tensor3D, count: number): tf.Tensor3D | undefined {
  const [batch, elements, size] = memory.shape;
  if (count === 0 || elements === 0) return undefined;
  if (elements <= count) return memory;
  return tf.slice(memory, [0, elements - count, 0], [batch, count, size]);
}

/** The memory behind a segment: the last `count` elements of what was remembered and of the segment. */
function remember(memory: tf.Tensor3D | undefined, x: tf.Tensor3D, count: number): tf.Tensor3D {
  const [batch, length, size] = x.shape;
  const both = memory === undefined || length >= count ? x : tf.concat([memory, x], 1);
  // A memory outlives the segment: a slice of all of it is a tensor of its own.
  const kept = Math.min(count, both.shape[1]);
  return tf.slice(both, [0, both.shape[1] - kept, 0], [batch, kept, size]);
}
