/**
 * Hybrid quadratic-linear memory (Irie, Yau, Gershman, 2025, "Blending Complementary Memory Systems in Hybrid
 * Quadratic-Linear Transformers"): one layer whose queries, keys and values serve two memories. Softmax attention over the last
 * S elements is precise, but forgets the rest; fast weights written by the delta rule hold all of the past, less precisely,
 * and can track states. For each head,
 *
 *     [q, k, v] = shared projections of x            β = 2 sigmoid(W_β x)      (`shared-projection.ts`)
 *     y_KV = attention over the window               y_FW = W φ(q) / √headSize (`recent-pairs.ts`, `fast-weight-memory.ts`)
 *     y = mixture of y_FW and y_KV                   output = W_o (RMSNorm(y) ∘ SiLU(W_g x))       (`memory-mixer.ts`)
 *
 * Which pairs the memories hold is a matter of the blend (`blends.ts`). Only fast weights that get every pair at once can use
 * what they hold already in the next element's transition, as state tracking needs.
 *
 * x [batch, length, size]. The state has S (headSize + valueSize) + headSize · valueSize numbers for each head.
 */

import { assertCount, assertNumber, assertOneOf, Linear, normalInitializer } from '@fwp/core';
import {
  FastWeightLayer,
  type FastWeightLayerOptions,
  HeadOutput,
  layerSizes,
  type Passage,
  type ShapesOf,
} from '@fwp/deltanet';
import { mul, sigmoid, type Tensor3D, transpose } from '@tensorflow/tfjs-core';
import { type BlendSettings, delayedStream, synchronous } from './blends.ts';
import { delayedChunk } from './delayed-chunk.ts';
import { FAST_WEIGHT_RULES, type FastWeightRule } from './fast-weight-memory.ts';
import type { HybridState } from './hybrid-state.ts';
import { MEMORY_MIXERS, MemoryMixer, type MemoryMixerName } from './memory-mixer.ts';
import { SharedProjection } from './shared-projection.ts';

/** When pairs get to the fast weights: at once, when they leave the window, or when their chunk ends. */
export const BLENDS = ['synchronous', 'delayedStream', 'delayedChunk'] as const;

/** Name of a blend. */
export type BlendName = (typeof BLENDS)[number];

const RUN: Readonly<Record<BlendName, typeof synchronous>> = { synchronous, delayedStream, delayedChunk };

/** Options of {@link HybridLayer}. */
export interface HybridLayerOptions extends FastWeightLayerOptions {
  /** S: elements that the attention sees, that of the query included; in chunks, their length. Default 64. */
  window?: number | undefined;
  /** Default `'synchronous'`. */
  blend?: BlendName | undefined;
  /** How the readings are mixed. Default `'vector'`. */
  mixer?: MemoryMixerName | undefined;
  /** How fast weights are written. `'linearAttention'` needs the synchronous blend. Default `'deltaRule'`. */
  rule?: FastWeightRule | undefined;
  /** Whether the attention has rotary positions; headSize must be even. Default true. */
  rotary?: boolean | undefined;
  /** Base of the rotary angles. Default 10000. */
  rotaryBase?: number | undefined;
  /** Whether β goes up to 2 instead of 1. Default true. */
  negativeEigenvalues?: boolean | undefined;
  /**
   * Number of elements that a convolution on queries, keys and values sees; 0 for none. Default 0. With a convolution,
   * padding must stand at the end of sequences, or before everything.
   */
  convolution?: number | undefined;
  /** Whether the output is gated by SiLU(W_g x). Default false. */
  outputGate?: boolean | undefined;
  /** ε of the RMSNorm. Default 1e-6. */
  epsilon?: number | undefined;
}

/** Attention over a window and fast weights, side by side. */
export class HybridLayer extends FastWeightLayer<HybridState> {
  readonly window: number;
  readonly blend: BlendName;
  readonly queryKeyValue: SharedProjection;
  /** x → logits of write strengths, one for each head; absent with linear attention. */
  readonly beta: Linear | undefined;
  readonly mixer: MemoryMixer;
  readonly output: HeadOutput;
  readonly #rule: FastWeightRule;
  readonly #settings: BlendSettings;
  readonly #betaRange: number;

  constructor(options: HybridLayerOptions) {
    const { window = 64, blend = 'synchronous', mixer = 'vector', rule = 'deltaRule', random } = options;
    const { rotary = true, rotaryBase = 10_000, convolution = 0, outputGate = false, epsilon = 1e-6 } = options;
    const { negativeEigenvalues = true, weightInitializer = normalInitializer(0.02) } = options;
    const sizes = layerSizes('HybridLayer', options);
    assertCount('HybridLayer: window', window);
    assertOneOf('HybridLayer: blend', blend, BLENDS);
    assertOneOf('HybridLayer: mixer', mixer, MEMORY_MIXERS);
    assertOneOf('HybridLayer: rule', rule, FAST_WEIGHT_RULES);
    assertNumber('HybridLayer: rotaryBase', rotaryBase, 1);
    assertCount('HybridLayer: convolution', convolution, 0);
    assertNumber('HybridLayer: epsilon', epsilon, 0);
    if (rule === 'linearAttention' && blend !== 'synchronous') {
      throw new RangeError(
        `HybridLayer: rule 'linearAttention' needs blend 'synchronous', but it is '${blend}'; there, what is not yet in the ` +
          'fast weights would count as keys of length 1.',
      );
    }
    if (rotary && sizes.headSize % 2 !== 0) {
      throw new RangeError(
        `HybridLayer: rotary positions need an even headSize, but it is ${sizes.headSize}; choose another, or rotary: false.`,
      );
    }
    super(sizes);
    this.window = window;
    this.blend = blend;
    this.#settings = { window, rotaryBase: rotary ? rotaryBase : undefined };
    this.#rule = rule;
    this.#betaRange = negativeEigenvalues ? 2 : 1;
    const common = { random, weightInitializer };
    const { size, heads } = sizes;
    try {
      this.queryKeyValue = this.addModule('queryKeyValue', new SharedProjection({ ...common, sizes, convolution }));
      if (rule === 'deltaRule') {
        const beta = new Linear({ ...common, inputSize: size, outputSize: heads, bias: false });
        this.beta = this.addModule('beta', beta);
      }
      this.mixer = this.addModule('mixer', new MemoryMixer({ ...common, kind: mixer, sizes }));
      this.output = this.addModule('output', new HeadOutput({ ...common, sizes, gate: outputGate, epsilon }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Pairs that the state holds. */
  get recentPairs(): number {
    return this.blend === 'delayedStream' ? this.window : this.window - 1;
  }

  protected override stateShapes(batch: number): ShapesOf<HybridState> {
    const { heads, headSize, valueSize, recentPairs } = this;
    const { convolution } = this.queryKeyValue;
    return {
      fastWeights: [batch, heads, valueSize, headSize],
      ...(this.#rule === 'linearAttention' ? { normalizer: [batch, heads, headSize] } : {}),
      keys: [batch, recentPairs, heads, headSize],
      values: [batch, recentPairs, heads, valueSize],
      presence: [batch, recentPairs],
      ...(this.blend === 'delayedChunk' ? { writeStrengths: [batch, recentPairs, heads] } : {}),
      ...(convolution === undefined ? {} : { history: convolution.historyShape(batch) }),
    };
  }

  protected override run({ x, state, presence }: Passage<HybridState>): { output: Tensor3D; state: HybridState } {
    const { history, ...sequences } = this.queryKeyValue.forward(x, state?.history, presence);
    const inputs = { ...sequences, beta: this.#strengths(x, presence), presence, state };
    const readings = RUN[this.blend](inputs, this.#settings);
    const mixed = this.mixer.forward(readings.fastWeights, readings.window, x);
    return {
      output: this.output.forward(mixed, x),
      state: { ...readings.state, ...(history === undefined ? {} : { history }) },
    };
  }

  /** β `[batch, length, heads]`, zero at padding; nothing for linear attention. */
  #strengths(x: Tensor3D, presence: Tensor3D | undefined): Tensor3D | undefined {
    if (this.beta === undefined) return undefined;
    const strengths = mul<Tensor3D>(sigmoid(this.beta.forward(x)), this.#betaRange);
    return presence === undefined ? strengths : mul<Tensor3D>(strengths, transpose(presence, [0, 2, 1]));
  }
}
