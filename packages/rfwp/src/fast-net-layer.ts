/**
 * What the layers of this package share: one matrix W without bias makes everything that a head is given, side by side, and
 * another one the output of what its fast net gave,
 *
 *     [parts of all heads] = W x_t        output = W_o [y of all heads] · outputScale
 *
 * x [batch, length, size]. Columns of W come head by head. In most of these nets what is written depends on what was read, so
 * that padding cannot be left out in the middle; it must stand at the end of sequences.
 */

import {
  assertFloatShape,
  assertNoPadding,
  assertNumber,
  assertPaddingAtEnd,
  type FeatureNormalization,
  type Initializer,
  Linear,
  type MixerOptions,
} from '@fwp/core';
import {
  createFeatureMap,
  FastWeightLayer,
  type FastWeightLayerOptions,
  type FeatureMap,
  type FeatureMapName,
  type FeatureMapSettings,
  layerSizes,
  mergeHeads,
  splitHeads,
} from '@fwp/deltanet';
import {
  mul,
  split,
  type Tensor,
  type Tensor3D,
  type Tensor4D,
  type TensorContainer,
  tidy,
} from '@tensorflow/tfjs-core';

/** Options of every layer of this package. */
export interface FastNetLayerOptions extends FastWeightLayerOptions {
  /** Factor of what is read. Default 1; the paper's language models have 1 / √headSize. */
  outputScale?: number | undefined;
  /** Of the projections. Default: that of `Linear`, U(−1/√inputs, 1/√inputs). */
  weightInitializer?: Initializer | undefined;
}

/** Options of layers that have a feature map for queries and keys. */
export interface FeatureOptions extends Pick<FeatureMapSettings, 'featureMap' | 'nu'> {
  /** ε of features that are divided by their sum. Default 1e-6. */
  epsilon?: number | undefined;
}

/** Base of the layers. */
export abstract class FastNetLayer<State extends TensorContainer> extends FastWeightLayer<State> {
  /** x → the parts of all heads. */
  readonly projection: Linear;
  /** Heads → output. */
  readonly output: Linear;
  readonly #outputScale: number;

  /**
   * @param name of the layer, for messages
   * @param options as given
   * @param width number of columns of W for a head of these sizes
   */
  constructor(
    name: string,
    options: FastNetLayerOptions,
    width: (sizes: { readonly headSize: number; readonly valueSize: number }) => number,
  ) {
    const sizes = layerSizes(name, options);
    const { size, heads, valueSize, outputSize } = sizes;
    const { random, outputScale = 1, weightInitializer } = options;
    assertNumber(`${name}: outputScale`, outputScale);
    super(sizes);
    this.#outputScale = outputScale;
    const common = { bias: false, random, ...(weightInitializer === undefined ? {} : { weightInitializer }) };
    try {
      const projection = new Linear({ ...common, inputSize: size, outputSize: heads * width(sizes) });
      this.projection = this.addModule('projection', projection);
      this.output = this.addModule('output', new Linear({ ...common, inputSize: heads * valueSize, outputSize }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param options padding, which must stand at the end of sequences
   * @returns float32 `[batch, length, outputSize]`
   * @throws TypeError or RangeError if an argument has another dtype or shape, or if elements stand behind padding
   */
  override apply(x: Tensor3D, options: MixerOptions = {}): Tensor3D {
    const name = this.constructor.name;
    assertPaddingAtEnd(name, options, assertFloatShape(`${name}: x`, x, ['batch', 'length', this.size]));
    return tidy(() => super.forward(x, undefined, options).output);
  }

  /**
   * @param x float32 `[batch, length, size]`
   * @param state what came before; default: nothing
   * @param options no padding here: the state behind it would be that of the padding
   * @returns float32 `[batch, length, outputSize]`, and the state behind x
   */
  override forward(x: Tensor3D, state?: State, options: MixerOptions = {}): { output: Tensor3D; state: State } {
    assertNoPadding(this.constructor.name, options);
    return super.forward(x, state);
  }

  /** What W makes of x, cut into parts of the given sizes: each `[batch, heads, length, size]`. */
  protected parts(x: Tensor3D, sizes: readonly number[]): Tensor4D[] {
    return split(splitHeads(this.projection.forward(x), this.heads), [...sizes], 3);
  }

  /** The output, of what the heads read, `[batch, heads, length, valueSize]`. */
  protected finish(read: Tensor4D): Tensor3D {
    const merged = mergeHeads(read);
    return this.output.forward(this.#outputScale === 1 ? merged : mul<Tensor3D>(merged, this.#outputScale));
  }
}

/** Makes features of queries and keys, which add up to 1. */
export class Features {
  readonly map: FeatureMap;
  readonly #options: { readonly normalization: FeatureNormalization; readonly epsilon: number };

  /**
   * @param name of the layer, for messages
   * @param options as given
   * @param headSize size of queries and keys
   * @param featureMap the default
   * @throws RangeError for bad options, among them a feature map with negative features
   */
  constructor(
    name: string,
    options: FeatureOptions & Pick<FastWeightLayerOptions, 'random'>,
    headSize: number,
    featureMap: FeatureMapName,
  ) {
    const { epsilon = 1e-6, random } = options;
    assertNumber(`${name}: epsilon`, epsilon, 0);
    const normalization = 'sum';
    const settings = { ...options, featureMap: options.featureMap ?? featureMap, normalization } as const;
    this.map = createFeatureMap(settings, headSize, random);
    this.#options = { normalization, epsilon };
  }

  of<T extends Tensor>(x: T): T {
    return this.map.forward(x, this.#options) as T;
  }
}
