/**
 * Transformers from sentences to sentences, in the variants of "The Devil is in the Detail" (Csordás, Irie and Schmidhuber,
 * 2021): absolute or relative positions, shared (universal) layers or not, and three ways to weigh embeddings E against
 * positions p, by name:
 *
 *     none                    E ~ N(0, 1)                  x = E[t] + p
 *     tokenUpscaling          E Xavier uniform             x = √size E[t] + p
 *     positionDownscaling     E ~ N(0, 2 / size)           x = E[t] + p / √size
 *
 * With relative positions E is Xavier uniform and x = E[t]. With absolute ones the sum has dropout 0.1, whatever the rate
 * elsewhere, as published. Output scores are tied, y E_outᵀ + b.
 *
 * Weights begin as the authors' do: W₁ of the feed-forward parts Xavier uniform with gain √2, W₂ and attention Xavier uniform;
 * but self-attention with relative positions U(±1/√size), the default of their framework.
 *
 * Sentences go from `start` to `end` (tokens 1 and 2); 0 is padding. A decoder reads all columns of the target but the last
 * and predicts all but the first.
 */

import {
  type AttentionState,
  assertCount,
  assertOneOf,
  assertShape,
  assertTensor,
  type CrossAttentionState,
  Dropout,
  Embedding,
  fanInUniform,
  type Initializer,
  inTidy,
  Module,
  normalInitializer,
  type RandomStream,
  repeatLayer,
  softmaxCrossEntropy,
  TransformerBlock,
  xavierUniform,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { DecoderLayer } from './decoder-layer.ts';
import { assertLengths, presence } from './sequence-classifier.ts';
import { sinusoidalPositions } from './sinusoidal-positions.ts';

/** How embeddings are weighed against absolute positions. */
export const EMBEDDING_SCALINGS = ['none', 'tokenUpscaling', 'positionDownscaling'] as const;

/** Name of a scaling. */
export type EmbeddingScaling = (typeof EMBEDDING_SCALINGS)[number];

/** Options of {@link EncoderDecoder}. */
export interface EncoderDecoderOptions {
  /** Number of input symbols. */
  inputVocabularySize: number;
  /** Number of output symbols. */
  outputVocabularySize: number;
  /** Size of a vector. */
  size: number;
  /** Number of hidden units. Default 2 · size. */
  hiddenSize?: number | undefined;
  /** Number of heads. */
  heads: number;
  /** Layers of the encoder, and of the decoder; or how often each one's only layer is applied. */
  layers: number;
  /** Whether encoder and decoder have one layer each, which is applied `layers` times. Default false. */
  universal?: boolean | undefined;
  /** Default `'absolute'`. */
  positions?: 'absolute' | 'relative' | undefined;
  /** Of self-attention with relative positions. Default U(±1/√size). */
  relativeInitializer?: Initializer | undefined;
  /** For absolute positions. Default `'none'`. */
  scaling?: EmbeddingScaling | undefined;
  /** Dropout rate of branches and hidden units. Default 0. */
  dropout?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Tokens `[batch, length]` with the number of tokens of each sentence `[batch]`; both int32. */
export interface Sentences {
  readonly tokens: tf.Tensor2D;
  readonly lengths: tf.Tensor1D;
}

const [START, END] = [1, 2];
const POSITION_DROPOUT = 0.1;

/** An encoder-decoder Transformer. */
export class EncoderDecoder extends Module {
  readonly size: number;
  readonly layers: number;
  readonly inputEmbedding: Embedding;
  readonly outputEmbedding: Embedding;
  readonly encoder: readonly TransformerBlock[];
  readonly decoder: readonly DecoderLayer[];
  readonly outputBias: tf.Variable & tf.Tensor1D;
  readonly #positions: 'absolute' | 'relative';
  readonly #scaling: EmbeddingScaling;
  readonly #dropout: Dropout;

  constructor(options: EncoderDecoderOptions) {
    super();
    const { inputVocabularySize, outputVocabularySize, size, hiddenSize = 2 * size, heads, layers, random } = options;
    const { universal = false, positions = 'absolute', scaling = 'none', dropout = 0 } = options;
    assertCount('EncoderDecoder: layers', layers);
    assertOneOf('EncoderDecoder: positions', positions, ['absolute', 'relative']);
    assertOneOf('EncoderDecoder: scaling', scaling, EMBEDDING_SCALINGS);
    this.size = size;
    this.layers = layers;
    this.#positions = positions;
    this.#scaling = scaling;
    const initializer = positions === 'relative' ? xavierUniform() : embeddingInitializer(scaling, size);
    const count = universal ? 1 : layers;
    const encoder: TransformerBlock[] = [];
    const decoder: DecoderLayer[] = [];
    try {
      const table = (vocabularySize: number) => new Embedding({ vocabularySize, size, random, initializer });
      this.inputEmbedding = this.addModule('inputEmbedding', table(inputVocabularySize));
      this.outputEmbedding = this.addModule('outputEmbedding', table(outputVocabularySize));
      const isRelative = positions === 'relative';
      const selfAttention = {
        heads,
        positions: isRelative ? 'relative' : 'none',
        ...(isRelative ? { weightInitializer: options.relativeInitializer ?? fanInUniform() } : {}),
      } as const;
      const initializers = { weightInitializer: xavierUniform(Math.SQRT2), outputInitializer: xavierUniform() };
      const feedForward = { hiddenSize, dropout, ...initializers };
      for (let i = 0; i < count; i++) {
        encoder.push(
          new TransformerBlock({
            size,
            mixer: { ...selfAttention, causal: false, bias: false },
            feedForward,
            placement: 'post',
            dropout,
            random,
          }),
        );
        decoder.push(new DecoderLayer({ size, selfAttention, feedForward, dropout, random }));
      }
      this.encoder = this.addModules('encoder', encoder);
      this.decoder = this.addModules('decoder', decoder);
      this.outputBias = this.addParameter('outputBias', tf.zeros([outputVocabularySize]) as tf.Tensor1D);
      this.#dropout = this.addModule('dropout', new Dropout({ rate: POSITION_DROPOUT, random }));
    } catch (error) {
      for (const layer of [...encoder, ...decoder]) layer.dispose();
      this.dispose();
      throw error;
    }
  }

  /**
   * Scores of each next output symbol, given those before.
   *
   * @param inputs sentences
   * @param previous output symbols so far, int32 `[batch, targetLength]`, from `start` on
   * @param previousLengths int32 `[batch]`: what follows is padding
   * @returns float32 `[batch, targetLength, outputVocabularySize]`
   */
  forward(inputs: Sentences, previous: tf.Tensor2D, previousLengths?: tf.Tensor1D): tf.Tensor3D {
    this.#assertTokens('previous', previous);
    return tf.tidy(() => {
      const { encoded, paddingMask } = this.#encode(inputs);
      const mask = previousLengths && presence(previousLengths, previous.shape[1]);
      let y = this.#embed(this.outputEmbedding, previous, 0);
      const apply = (layer: DecoderLayer, h: tf.Tensor3D): tf.Tensor3D =>
        layer.apply(h, layer.crossAttention.prepare(encoded, paddingMask), mask);
      y = this.#through(this.decoder, y, apply);
      return this.#scores(y);
    });
  }

  /**
   * Mean cross-entropy of all target symbols behind `start`, `end` included.
   *
   * @param inputs sentences
   * @param targets sentences
   */
  loss(inputs: Sentences, targets: Sentences): tf.Scalar {
    const sizes = this.#assertTokens('targets', targets.tokens);
    assertLengths('EncoderDecoder: targets.lengths', targets.lengths, sizes);
    return tf.tidy(() => {
      const [batch, length] = targets.tokens.shape;
      const previous = tf.slice(targets.tokens, [0, 0], [batch, length - 1]);
      const next = tf.slice(targets.tokens, [0, 1], [batch, length - 1]);
      const counted = tf.sub(targets.lengths, tf.scalar(1, 'int32')) as tf.Tensor1D;
      const logits = this.forward(inputs, previous, counted);
      return softmaxCrossEntropy(logits, next, { mask: presence(counted, length - 1) }) as tf.Scalar;
    });
  }

  /**
   * The most probable output, symbol by symbol, in evaluation mode; keys and values of the symbols so far are kept.
   *
   * @param inputs sentences
   * @param options `length`: symbols at most; `forbidEnd`: `end` is never chosen, so that all outputs have that length
   * @returns for each sentence the symbols up to `end` (left out) or up to the limit
   */
  generate(inputs: Sentences, { length, forbidEnd = false }: { length: number; forbidEnd?: boolean }): number[][] {
    assertCount('EncoderDecoder: length', length, 0);
    const wasTraining = this.training;
    this.eval();
    try {
      return this.#generated(inputs, length, forbidEnd);
    } finally {
      this.train(wasTraining);
    }
  }

  #generated(inputs: Sentences, length: number, forbidEnd: boolean): number[][] {
    const batch = inputs.tokens.shape[0];
    const outputs = Array.from({ length: batch }, (): number[] => []);
    const hasEnded = new Array<boolean>(batch).fill(false);
    const sources = inTidy((): CrossAttentionState[] => {
      const { encoded, paddingMask } = this.#encode(inputs);
      return this.decoder.map((layer) => layer.crossAttention.prepare(encoded, paddingMask));
    });
    const layerOf = (l: number): DecoderLayer => this.decoder[l % this.decoder.length] as DecoderLayer;
    let states = inTidy(() =>
      Array.from({ length: this.layers }, (_, l) => layerOf(l).selfAttention.initialState(batch)),
    );
    let tokens = new Int32Array(batch).fill(START);
    for (let t = 0; t < length && !hasEnded.every(Boolean); t++) {
      const step = inTidy(() => {
        let y = this.#embed(this.outputEmbedding, tf.tensor2d(tokens, [batch, 1], 'int32'), t);
        const next: AttentionState[] = [];
        for (let l = 0; l < this.layers; l++) {
          const source = sources[l % sources.length] as CrossAttentionState;
          const result = layerOf(l).forward(y, source, states[l] as AttentionState);
          y = result.output;
          next.push(result.state);
        }
        return { scores: tf.squeeze(this.#scores(y), [1]) as tf.Tensor2D, next };
      });
      const scores = step.scores.dataSync();
      tf.dispose([states, step.scores]);
      states = step.next;
      const symbols = scores.length / batch;
      tokens = Int32Array.from({ length: batch }, (_, row) => {
        const values = Array.from(scores.subarray(row * symbols, (row + 1) * symbols));
        if (forbidEnd) values[END] = Number.NEGATIVE_INFINITY;
        return values.indexOf(Math.max(...values));
      });
      for (const [row, token] of tokens.entries()) {
        if (token === END) hasEnded[row] = true;
        if (!hasEnded[row]) outputs[row]?.push(token);
      }
    }
    tf.dispose([states, sources] as unknown as tf.TensorContainer);
    return outputs;
  }

  #encode({ tokens, lengths }: Sentences): { encoded: tf.Tensor3D; paddingMask: tf.Tensor2D } {
    const sizes = this.#assertTokens('inputs.tokens', tokens);
    assertLengths('EncoderDecoder: inputs.lengths', lengths, sizes);
    const paddingMask = presence(lengths, tokens.shape[1]);
    const x = this.#embed(this.inputEmbedding, tokens, 0);
    const encoded = this.#through(this.encoder, x, (layer, h) => layer.apply(h, { paddingMask }));
    return { encoded, paddingMask };
  }

  /** All layers one after the other, or the only one again and again. */
  #through<L extends Module>(
    layers: readonly L[],
    x: tf.Tensor3D,
    apply: (layer: L, h: tf.Tensor3D) => tf.Tensor3D,
  ): tf.Tensor3D {
    const [only] = layers;
    if (layers.length === 1 && only !== undefined) {
      return repeatLayer(only, x, (h) => apply(only, h), { times: this.layers });
    }
    return layers.reduce((h, layer) => apply(layer, h), x);
  }

  #embed(table: Embedding, tokens: tf.Tensor2D, first: number): tf.Tensor3D {
    const vectors = table.forward(tokens) as tf.Tensor3D;
    if (this.#positions === 'relative') return vectors;
    const positions = Array.from({ length: tokens.shape[1] }, (_, t) => first + t);
    const root = Math.sqrt(this.size);
    const p = sinusoidalPositions(positions, this.size);
    const placed =
      this.#scaling === 'tokenUpscaling'
        ? tf.add(tf.mul(vectors, root), p)
        : tf.add(vectors, this.#scaling === 'positionDownscaling' ? tf.div(p, root) : p);
    return this.#dropout.forward(placed as tf.Tensor3D);
  }

  #scores(y: tf.Tensor3D): tf.Tensor3D {
    return tf.add<tf.Tensor3D>(this.outputEmbedding.logits(y), this.outputBias);
  }

  #assertTokens(name: string, tokens: tf.Tensor2D): { batch: number; length: number } {
    assertTensor(`EncoderDecoder: ${name}`, tokens, 'int32');
    return assertShape(`EncoderDecoder: ${name}`, tokens, ['batch', 'length']) as { batch: number; length: number };
  }
}

function embeddingInitializer(scaling: EmbeddingScaling, size: number): Initializer {
  if (scaling === 'tokenUpscaling') return xavierUniform();
  return normalInitializer(scaling === 'none' ? 1 : Math.sqrt(2 / size));
}
