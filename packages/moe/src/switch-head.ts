/**
 * SwitchHead (Csordás, Piękos, Irie & Schmidhuber, 2023, section 2): attention with few heads, of which each has experts for its
 * values and for its output. For inputs x, sources z = [memory; x] and each head h,
 *
 *     s^V = σ(z S_V)    I^V = topK(s^V)    v_s = Σ_{e ∈ I^V_s} s^V_se z_s W_V[h, e]       equation 8, chosen per source
 *     q = x W_q         k = z W_k          o = attention(q, k, v)                         in `positioned-heads.ts`
 *     s^O = σ(x S_O)    I^O = topK(s^O)    y_t = Σ_h Σ_{e ∈ I^O_t} s^O_te o_th W_O[h, e]    equation 9, chosen per destination
 *
 * x [batch, length, size]   W_q, W_k [size, heads · headSize]   W_V [heads · experts, size, headSize]
 * W_O [heads · experts, headSize, size]   S_V, S_O [size, heads · experts]. No biases; weights s are not renormalised. The attention
 * itself is dense, and no balancing is needed.
 *
 * Initial deviations: s / √size, and s / √(heads · headSize) of W_O.
 */

import { assertCount, expertMatMul, Linear, normalInitializer, type RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { AttentionBlock, type AttentionBlockOptions, type AttentionResult, joinSources } from './attention-block.ts';
import { assertActive, best } from './choices.ts';
import { attendMultiplyAdds, type HeadPositions, PositionedHeads } from './positioned-heads.ts';
import { Router } from './router.ts';
import type { Selection } from './selection.ts';

/** Options of {@link SwitchHead}. */
export interface SwitchHeadOptions {
  /** Size of input and output. */
  size: number;
  /** Number of heads. */
  heads: number;
  /** Size of queries, keys and values of one head. */
  headSize: number;
  /** Experts of one head, for values and for outputs. */
  experts: number;
  /** How many of them are active. */
  active: number;
  /** Default `'relative'`. */
  positions?: HeadPositions;
  /** Share of the channels that rotary positions turn. Default 0.5. */
  rotaryFraction?: number;
  /** Whether the routers' vectors start with equal lengths; those of the authors' runs do not. Default false. */
  normalizeRouters?: boolean;
  /** Scale s of the initial weights; see `preNormScale`. Default 1. */
  initialScale?: number;
  /** Draws the initial values. */
  random: RandomStream;
}

/** Attention with experts. */
export class SwitchHead extends AttentionBlock {
  readonly size: number;
  readonly heads: number;
  readonly headSize: number;
  readonly experts: number;
  readonly active: number;
  readonly queries: Linear;
  readonly keys: Linear;
  readonly valueRouter: Router;
  readonly outputRouter: Router;
  readonly attention: PositionedHeads;
  /** W_V `[heads · experts, size, headSize]` */
  readonly values: tf.Variable & tf.Tensor3D;
  /** W_O `[heads · experts, headSize, size]` */
  readonly output: tf.Variable & tf.Tensor3D;

  constructor(options: SwitchHeadOptions) {
    super();
    const { size, heads, headSize, experts, active, positions = 'relative', initialScale = 1, random } = options;
    const { rotaryFraction = 0.5, normalizeRouters = false } = options;
    assertCount('SwitchHead: size', size);
    assertCount('SwitchHead: heads', heads);
    assertCount('SwitchHead: headSize', headSize);
    assertCount('SwitchHead: experts', experts);
    assertActive('SwitchHead: active', active, experts, 'experts of a head');
    this.size = size;
    this.heads = heads;
    this.headSize = headSize;
    this.experts = experts;
    this.active = active;
    const width = heads * headSize;
    const normal = (fanIn: number) => normalInitializer(initialScale / Math.sqrt(fanIn));
    const map = { inputSize: size, outputSize: width, bias: false, weightInitializer: normal(size), random };
    const router = { size, experts: heads * experts, normalize: normalizeRouters, initialScale, random };
    const shared = { size, heads, headSize, positions, rotaryFraction, initialScale, random };
    try {
      this.queries = this.addModule('queries', new Linear(map));
      this.keys = this.addModule('keys', new Linear(map));
      this.values = this.addParameter('values', normal(size)([heads * experts, size, headSize], random) as tf.Tensor3D);
      this.output = this.addParameter(
        'output',
        normal(width)([heads * experts, headSize, size], random) as tf.Tensor3D,
      );
      this.valueRouter = this.addModule('valueRouter', new Router(router));
      this.outputRouter = this.addModule('outputRouter', new Router(router));
      this.attention = this.addModule('attention', new PositionedHeads(shared));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** See {@link AttentionBlock.apply}. Selections are of `valueExperts`, for each source, and of `outputExperts`. */
  apply(inputs: tf.Tensor3D, { memory, paddingMask }: AttentionBlockOptions = {}): AttentionResult {
    return tf.tidy(() => {
      const { batch, length, sources } = joinSources('SwitchHead', inputs, memory, this.size);
      const count = sources.shape[1];
      const inHeads = (x: tf.Tensor, elements: number): tf.Tensor4D =>
        tf.reshape(x, [batch, elements, this.heads, this.headSize]);
      const rows = (x: tf.Tensor, width: number) => tf.reshape(x, [x.size / width, width]) as tf.Tensor2D;

      const forValues = this.#choose('valueExperts', this.valueRouter, rows(sources, this.size));
      const values = expertMatMul(rows(sources, this.size), this.values, forValues.places, {
        gates: forValues.selection.weights,
        outputRows: batch * count * this.heads,
      });
      const attended = this.attention.attend(
        inHeads(this.queries.forward(inputs), length),
        inHeads(this.keys.forward(sources), count),
        inHeads(values, count),
        paddingMask,
      );
      const forOutputs = this.#choose('outputExperts', this.outputRouter, rows(inputs, this.size));
      const outputs = expertMatMul(rows(attended, this.headSize), this.output, forOutputs.places, {
        gates: forOutputs.selection.weights,
        outputRows: batch * length,
      });
      return {
        outputs: tf.reshape(outputs, [batch, length, this.size]) as tf.Tensor3D,
        selections: [forValues.selection, forOutputs.selection],
      };
    });
  }

  /** See {@link AttentionBlock.multiplyAdds}. */
  multiplyAdds(length: number, memoryLength: number): number {
    const sources = memoryLength + length;
    const width = this.heads * this.headSize;
    const maps = (1 + this.active) * this.size * width + this.size * this.heads * this.experts;
    return maps * (length + sources) + attendMultiplyAdds(this.attention, width, length, sources);
  }

  /** Experts of each head and token, and where they lie among those of all heads: int32 `[tokens, heads, active]`. */
  #choose(of: string, router: Router, x: tf.Tensor2D): { selection: Selection; places: tf.Tensor3D } {
    const logits = tf.reshape(router.forward(x), [x.shape[0], this.heads, this.experts]);
    const { values: weights, indices } = best(tf.sigmoid(logits), this.active);
    const begins = tf.range(0, this.heads * this.experts, this.experts, 'int32');
    const places = tf.add(indices, tf.reshape(begins, [this.heads, 1])) as tf.Tensor3D;
    return {
      selection: { of, choices: this.experts, indices: indices as tf.Tensor3D, weights: weights as tf.Tensor3D },
      places,
    };
  }
}
