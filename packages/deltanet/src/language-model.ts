/**
 * A small decoder language model around any sequence layer:
 *
 *     h = dropout(scale · E[tokens] + positions)
 *     h = block(h) for each block: sequence layer and feed-forward part with residuals, see `TransformerBlock`
 *     logits = dropout(h) Eᵀ                    with tied weights, else dropout(h) W
 *
 * tokens int32 [batch, length], E [vocabularySize, size], logits [batch, length, vocabularySize]. Pre-norm models normalise
 * h once more before the logits.
 *
 * The defaults are those of the language models of Schlag, Irie and Schmidhuber, 2021: post-norm, scale = √size, tied
 * weights, no positions, all matrices N(0, 0.02²), biases 0, gains of normalisations N(1, 0.02²).
 *
 * With layers whose state is of constant size, so is the memory of `step` and `generate`; and their state can be carried from
 * segment to segment while training: what an earlier training step computed is a constant for the next.
 */

import {
  assertCount,
  assertNumber,
  assertOneOf,
  assertShape,
  assertTensor,
  constantInitializer,
  Dropout,
  Embedding,
  type FeedForwardOptions,
  type Initializer,
  inTidy,
  LayerNorm,
  Linear,
  type MixerOptions,
  Module,
  type Normalization,
  normalInitializer,
  RandomStream,
  RmsNorm,
  randomNormal,
  type SequenceMixer,
  TransformerBlock,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { createMixer, type MixerName, type MixerSettings } from './mixers.ts';
import { sample } from './sampling.ts';
import { sinusoidalPositions } from './sinusoidal-positions.ts';

/**
 * How the model knows positions: not at all (fast weights and causal attention see the order anyway), by sinusoids that are
 * added to the embeddings, or by sinusoids that count from the end of a segment, whose last token is 0.
 */
export const MODEL_POSITIONS = ['none', 'sinusoidal', 'sinusoidalFromEnd'] as const;

/** Name of a way to know positions. */
export type ModelPositions = (typeof MODEL_POSITIONS)[number];

/** A mixer's name with its options; what the model knows is left out. */
export type MixerSpecification = {
  [Name in MixerName]: { name: Name } & Omit<MixerSettings[Name], 'size' | 'outputSize' | 'random'>;
}[MixerName];

/** Options of {@link FastWeightLanguageModel}. */
export interface LanguageModelOptions {
  /** Number of symbols; tokens are below. */
  vocabularySize: number;
  /** Size of embeddings and hidden vectors. */
  size: number;
  /** Number of blocks. */
  layers: number;
  /**
   * The sequence layer, for example `{ name: 'deltaNet', heads: 8, featureMap: 'dpfp', nu: 2 }`; or a function that makes
   * the one of each block, counted from 0. A function's layers become the model's own.
   */
  mixer: MixerSpecification | ((block: number) => SequenceMixer);
  /** The feed-forward parts. Default: 4 · size hidden units and ReLU. */
  feedForward?: Pick<FeedForwardOptions, 'hiddenSize' | 'activation' | 'bias'> | undefined;
  /** Where blocks normalise. Default `'post'`. */
  placement?: 'pre' | 'post' | undefined;
  /** How blocks normalise. Default `'layer'`. */
  normalization?: 'layer' | 'rms' | undefined;
  /** ε of the normalisations of blocks and logits. Default 1e-5. */
  epsilon?: number | undefined;
  /** Default `'none'`. With sinusoids, padding counts as a position. */
  positions?: ModelPositions | undefined;
  /** Dropout rate of embeddings, branches, hidden layers and outputs. Default 0. */
  dropout?: number | undefined;
  /** Whether the output matrix is that of the embeddings. Default true. */
  tieWeights?: boolean | undefined;
  /** Factor of the embeddings. Default √size. */
  embeddingScale?: number | undefined;
  /** Of all matrices, those of mixers made by name included. Default N(0, 0.02²). */
  weightInitializer?: Initializer | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** State of the model: those of its blocks, and how many tokens there were. */
export type LanguageModelState = {
  blocks: tf.TensorContainer[];
  position: number;
};

/** Options of {@link FastWeightLanguageModel.generate}. */
export interface GenerateOptions {
  /** Number of tokens to generate. */
  length: number;
  /** Divides the logits; 0 always takes the most probable token. Default 1. */
  temperature?: number | undefined;
  /** Tokens to choose from: the most probable ones. Default: all. */
  topK?: number | undefined;
  /** Draws the tokens. Default: a stream with seed 0. */
  random?: RandomStream | undefined;
  /** What came before the prompt. Default: nothing. */
  state?: LanguageModelState | undefined;
}

/** A decoder language model. */
export class FastWeightLanguageModel extends Module {
  readonly vocabularySize: number;
  readonly size: number;
  readonly embedding: Embedding;
  readonly blocks: readonly TransformerBlock[];
  /** Only with pre-norm blocks. */
  readonly norm: Normalization | undefined;
  /** Only without tied weights. */
  readonly scores: Linear | undefined;
  readonly #dropout: Dropout;
  readonly #positions: ModelPositions;
  readonly #embeddingScale: number;

  constructor(options: LanguageModelOptions) {
    super();
    const { vocabularySize, size, layers, mixer, positions = 'none', placement = 'post', random } = options;
    const { normalization = 'layer', epsilon = 1e-5, dropout = 0, tieWeights = true, feedForward = {} } = options;
    const { embeddingScale = Math.sqrt(size), weightInitializer = normalInitializer(0.02) } = options;
    const name = 'FastWeightLanguageModel';
    assertCount(`${name}: vocabularySize`, vocabularySize);
    assertCount(`${name}: size`, size);
    assertCount(`${name}: layers`, layers, 0);
    assertOneOf(`${name}: positions`, positions, MODEL_POSITIONS);
    assertNumber(`${name}: embeddingScale`, embeddingScale);
    assertNumber(`${name}: epsilon`, epsilon, 0);
    if (positions !== 'none' && size % 2 !== 0) {
      throw new RangeError(`${name}: sinusoidal positions need an even size, but it is ${size}.`);
    }
    this.vocabularySize = vocabularySize;
    this.size = size;
    this.#positions = positions;
    this.#embeddingScale = embeddingScale;
    const feedForwardPart = { ...feedForward, dropout, weightInitializer, biasInitializer: constantInitializer(0) };
    const blocks: TransformerBlock[] = [];
    try {
      const table = new Embedding({ vocabularySize, size, random, initializer: weightInitializer });
      this.embedding = this.addModule('embedding', table);
      this.#dropout = this.addModule('dropout', new Dropout({ rate: dropout, random }));
      for (let block = 0; block < layers; block++) {
        const layer = typeof mixer === 'function' ? mixer(block) : mixerOf(mixer, size, weightInitializer, random);
        const parts = { mixer: layer, feedForward: feedForwardPart };
        blocks.push(new TransformerBlock({ ...parts, size, placement, normalization, epsilon, dropout, random }));
      }
      this.blocks = this.addModules('blocks', blocks);
      const Norm = normalization === 'layer' ? LayerNorm : RmsNorm;
      if (placement === 'pre') this.norm = this.addModule('norm', new Norm({ size, epsilon }));
      if (!tieWeights) {
        const outward = { inputSize: size, outputSize: vocabularySize, bias: false, random, weightInitializer };
        this.scores = this.addModule('scores', new Linear(outward));
      }
      this.#drawGains(random);
    } catch (error) {
      for (const block of blocks) block.dispose();
      this.dispose();
      throw error;
    }
  }

  /**
   * Logits alone, for training on segments that continue nothing.
   *
   * @param tokens int32 `[batch, length]`
   * @param options padding, which has no influence if the blocks' layers allow it where it stands; to sinusoidal positions it is as
   *   many tokens
   * @returns float32 `[batch, length, vocabularySize]`
   */
  apply(tokens: tf.Tensor2D, options: MixerOptions = {}): tf.Tensor3D {
    this.#assertTokens(tokens, ['batch', 'length']);
    return tf.tidy(() => {
      let x = this.#embed(tokens, 0) as tf.Tensor3D;
      for (const block of this.blocks) x = block.apply(x, options);
      return this.#logits(x);
    });
  }

  /**
   * Logits, and the state behind the last token.
   *
   * @param tokens int32 `[batch, length]`
   * @param state what came before; default: nothing
   * @param options padding, as for `apply`; in the state, too, it counts as positions
   * @returns float32 `[batch, length, vocabularySize]`, and the state
   */
  forward(
    tokens: tf.Tensor2D,
    state?: LanguageModelState,
    options: MixerOptions = {},
  ): { logits: tf.Tensor3D; state: LanguageModelState } {
    this.#assertTokens(tokens, ['batch', 'length']);
    if (state !== undefined) this.#assertState(state);
    return inTidy(() => {
      const position = state?.position ?? 0;
      const states: tf.TensorContainer[] = [];
      let x = this.#embed(tokens, position) as tf.Tensor3D;
      for (const [i, block] of this.blocks.entries()) {
        const result = block.forward(x, state?.blocks[i], options);
        states.push(result.state);
        x = result.output;
      }
      return { logits: this.#logits(x), state: { blocks: states, position: position + tokens.shape[1] } };
    });
  }

  /**
   * The next token of a stream.
   *
   * @param tokens int32 `[batch]`
   * @param state what came before
   * @returns logits of the token that follows, float32 `[batch, vocabularySize]`, and the state behind `tokens`
   */
  step(tokens: tf.Tensor1D, state: LanguageModelState): { logits: tf.Tensor2D; state: LanguageModelState } {
    this.#assertTokens(tokens, ['batch']);
    this.#assertState(state);
    return inTidy(() => {
      const states: tf.TensorContainer[] = [];
      let x = tf.squeeze(this.#embed(tf.expandDims(tokens, 1), state.position), [1]) as tf.Tensor2D;
      for (const [i, block] of this.blocks.entries()) {
        const result = block.step(x, state.blocks[i] as tf.TensorContainer);
        states.push(result.state);
        x = result.output;
      }
      return { logits: this.#logits(x), state: { blocks: states, position: state.position + 1 } };
    });
  }

  /** The state before the first token. */
  initialState(batch: number): LanguageModelState {
    return { blocks: this.blocks.map((block) => block.initialState(batch)), position: 0 };
  }

  /**
   * Continues texts, token by token, in evaluation mode; with layers whose state has a constant size, memory does not grow with the
   * length.
   *
   * @param prompt int32 `[batch, promptLength]`, at least one token
   * @param options how many tokens, and how they are chosen
   * @returns the new tokens, int32 `[batch, length]`
   */
  generate(prompt: tf.Tensor2D, options: GenerateOptions): tf.Tensor2D {
    const { length, temperature = 1, topK = this.vocabularySize, random = new RandomStream(0) } = options;
    const { promptLength } = this.#assertTokens(prompt, ['batch', 'promptLength']);
    assertCount('generate: promptLength', promptLength);
    assertCount('generate: length', length, 0);
    assertNumber('generate: temperature', temperature, 0);
    assertCount('generate: topK', topK);
    const wasTraining = this.training;
    this.eval();
    try {
      return this.#sampled(prompt, length, options.state, (logits) => sample(logits, { temperature, topK, random }));
    } finally {
      this.train(wasTraining);
    }
  }

  #sampled(
    prompt: tf.Tensor2D,
    length: number,
    before: LanguageModelState | undefined,
    choose: (logits: Float32Array) => number,
  ): tf.Tensor2D {
    const [batch, promptLength] = prompt.shape;
    const chosen = new Int32Array(batch * length);
    const last = (logits: tf.Tensor3D) => tf.squeeze(tf.slice(logits, [0, promptLength - 1], [batch, 1]), [1]);
    let { logits, state } = inTidy(() => {
      const result = this.forward(prompt, before);
      return { logits: last(result.logits) as tf.Tensor2D, state: result.state };
    });
    try {
      for (let t = 0; t < length; t++) {
        const values = logits.dataSync() as Float32Array;
        const tokens = Int32Array.from({ length: batch }, (_, row) =>
          choose(values.subarray(row * this.vocabularySize, (row + 1) * this.vocabularySize)),
        );
        for (const [row, token] of tokens.entries()) chosen[row * length + t] = token;
        if (t === length - 1) break;
        const next = inTidy(() => this.step(tf.tensor1d(tokens, 'int32'), state));
        tf.dispose([logits, state]);
        ({ logits, state } = next);
      }
    } finally {
      tf.dispose([logits, state]);
    }
    return tf.tensor2d(chosen, [batch, length], 'int32');
  }

  /** Vectors of tokens `[batch, length]`, the first of which is at `position`. */
  #embed(tokens: tf.Tensor, position: number): tf.Tensor {
    const length = tokens.shape[1] as number;
    const vectors = tf.mul(this.embedding.forward(tokens), this.#embeddingScale);
    if (this.#positions === 'none') return this.#dropout.forward(vectors);
    const fromEnd = this.#positions === 'sinusoidalFromEnd';
    const positions = Array.from({ length }, (_, t) => (fromEnd ? length - 1 - t : position + t));
    return this.#dropout.forward(tf.add(vectors, sinusoidalPositions(positions, this.size)));
  }

  #logits<T extends tf.Tensor>(x: T): T {
    const hidden = this.#dropout.forward(this.norm === undefined ? x : this.norm.forward(x));
    return (this.scores === undefined ? this.embedding.logits(hidden) : this.scores.forward(hidden)) as T;
  }

  /** Gains of normalisations are N(1, 0.02²) at first; what mixers have inside is their own business. */
  #drawGains(random: RandomStream): void {
    const norms = this.blocks.flatMap(({ norm1, norm2 }) => [norm1, norm2]);
    for (const norm of this.norm === undefined ? norms : [...norms, this.norm]) {
      const gain = norm.namedParameters().get('gain') as tf.Variable;
      tf.tidy(() => gain.assign(randomNormal(random, [this.size], { mean: 1, standardDeviation: 0.02 })));
    }
  }

  #assertTokens(tokens: tf.Tensor, shape: string[]): Record<string, number> {
    assertTensor('FastWeightLanguageModel: tokens', tokens, 'int32');
    return assertShape('FastWeightLanguageModel: tokens', tokens, shape);
  }

  #assertState({ blocks }: LanguageModelState): void {
    if (blocks.length !== this.blocks.length) {
      throw new RangeError(
        `FastWeightLanguageModel: state.blocks has ${blocks.length} states instead of ${this.blocks.length}.`,
      );
    }
    if (this.#positions === 'sinusoidalFromEnd') {
      throw new Error(
        "FastWeightLanguageModel: positions 'sinusoidalFromEnd' change with every token that follows, so that nothing can " +
          "be continued; use 'sinusoidal' or 'none'.",
      );
    }
  }
}

function mixerOf(
  { name, ...options }: MixerSpecification,
  size: number,
  weightInitializer: Initializer,
  random: RandomStream,
): SequenceMixer {
  return createMixer(name, { weightInitializer, ...options, size, random } as MixerSettings[MixerName]);
}
