/**
 * The wiring that the layers of Schlag, Irie and Schmidhuber, 2021, share. For each head,
 *
 *     [q_t, k_t, v_t] = W x_t   or   [q_t, k_t, v_t, b_t] = W x_t,  β_t = sigmoid(b_t)
 *     S_t, y_t = rule(S_{t−1}, φ(q_t), φ(k_t), v_t, β_t)
 *     output = W_o [y of all heads] · outputScale
 *
 * x [batch, length, size]. One matrix W without bias makes everything; its columns come head by head, and within a head in
 * the order above. The scale is 1 / √headSize, on what was read and not on products of queries and keys.
 */

import { assertNumber, type FeatureNormalization, Linear, normalInitializer } from '@fwp/core';
import { mul, sigmoid, squeeze, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import {
  FastWeightLayer,
  type FastWeightLayerOptions,
  type FastWeightState,
  layerSizes,
  type Passage,
  type StateShapes,
} from './fast-weight-layer.ts';
import { createFeatureMap, type FeatureMap, type FeatureMapName, type FeatureMapSettings } from './feature-map.ts';
import { mergeHeads, splitHeads, splitParts, wherePresent } from './heads.ts';

/** Options of layers with a feature map. */
export interface FeatureMapLayerOptions extends FastWeightLayerOptions, FeatureMapSettings {
  /** ε of the normalisation. Default 1e-6; the paper's language models have 1e-5. */
  epsilon?: number | undefined;
  /** Factor of what is read. Default 1 / √headSize. */
  outputScale?: number | undefined;
}

/** What a subclass says about itself. */
export interface FeatureMapLayerKind {
  readonly name: string;
  /** Its default. */
  readonly featureMap: FeatureMapName;
  /** Of φ(q) and φ(k). */
  readonly normalization: FeatureNormalization;
  /** Whether it has write strengths. */
  readonly writeStrengths: boolean;
}

/** What an update rule gets: all `[batch, heads, length, …]`; keys are zero at padding. */
export interface RuleInputs {
  readonly q: Tensor4D;
  readonly k: Tensor4D;
  readonly v: Tensor4D;
  /** β, `[batch, heads, length]`; only with write strengths. */
  readonly beta: Tensor3D | undefined;
  readonly state: FastWeightState | undefined;
}

/** Base of {@link LinearAttention}, {@link DeltaNet} and {@link FastWeightMemory}. */
export abstract class FeatureMapLayer extends FastWeightLayer {
  readonly featureMap: FeatureMap;
  /** x → queries, keys, values, and write strengths if there are any. */
  readonly projection: Linear;
  /** Heads → output. */
  readonly output: Linear;
  protected readonly epsilon: number;
  readonly #normalization: FeatureNormalization;
  readonly #parts: readonly number[];
  readonly #outputScale: number;

  /**
   * @param options as given
   * @param kind what the subclass says about itself
   * @throws RangeError for bad options, among them a feature map with negative features where they are divided by their sum
   */
  constructor(options: FeatureMapLayerOptions, kind: FeatureMapLayerKind) {
    const sizes = layerSizes(kind.name, options);
    const { size, heads, headSize, valueSize, outputSize } = sizes;
    const { random, epsilon = 1e-6, outputScale = 1 / Math.sqrt(headSize) } = options;
    const { featureMap = kind.featureMap, weightInitializer = normalInitializer(0.02) } = options;
    assertNumber(`${kind.name}: epsilon`, epsilon, 0);
    assertNumber(`${kind.name}: outputScale`, outputScale);
    super(sizes);
    this.epsilon = epsilon;
    this.#normalization = kind.normalization;
    this.#parts = [headSize, headSize, valueSize, ...(kind.writeStrengths ? [1] : [])];
    this.#outputScale = outputScale;
    const common = { bias: false, random, weightInitializer };
    const width = heads * this.#parts.reduce((sum, part) => sum + part, 0);
    try {
      const settings = { ...options, featureMap, normalization: kind.normalization };
      this.featureMap = this.addModule('featureMap', createFeatureMap(settings, headSize, random));
      this.projection = this.addModule('projection', new Linear({ ...common, inputSize: size, outputSize: width }));
      this.output = this.addModule('output', new Linear({ ...common, inputSize: heads * valueSize, outputSize }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** The update rule: what is read, `[batch, heads, length, valueSize]`, and the state behind it. */
  protected abstract rule(inputs: RuleInputs): { output: Tensor4D; state: FastWeightState };

  protected override stateShapes(batch: number): StateShapes {
    return { fastWeights: [batch, this.heads, this.valueSize, this.featureMap.featureSize] };
  }

  protected override run({ x, state, presence }: Passage): { output: Tensor3D; state: FastWeightState } {
    if (state === undefined) this.featureMap.startSequences();
    const parts = splitParts(splitHeads(this.projection.forward(x), this.heads), this.#parts);
    const [q, k, v, b] = parts as [Tensor4D, Tensor4D, Tensor4D, Tensor4D?];
    const features = { normalization: this.#normalization, epsilon: this.epsilon };
    const read = this.rule({
      q: this.featureMap.forward(q, features) as Tensor4D,
      // Without a key nothing is written, by any rule.
      k: wherePresent(this.featureMap.forward(k, features) as Tensor4D, presence),
      v,
      beta: b === undefined ? undefined : sigmoid(squeeze(b, [3]) as Tensor3D),
      state,
    });
    return { output: this.output.forward(mul(mergeHeads(read.output), this.#outputScale)), state: read.state };
  }
}
