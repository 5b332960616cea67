/**
 * Feature maps φ by name, for layers whose options choose one:
 *
 *     identity     φ(x) = x                                          size
 *     eluPlusOne   ELU(x) + 1         Katharopoulos et al., 2020     size
 *     relu         max(x, 0)                                         size
 *     softmax      softmax(x)                                        size
 *     tanh         tanh(x)            Schlag et al., 2021 (FWM)      size
 *     dpfp         DPFP-ν             Schlag et al., 2021            2 · size · ν
 *     favorPlus    FAVOR+, m draws    Choromanski et al., 2021       2 · m
 *
 * The right column is the number of features of a vector of `size` elements. The equations are those of the operations in
 * `@fwp/core`.
 */

import {
  assertCount,
  assertNumber,
  assertOneOf,
  branch,
  dpfp,
  eluPlusOne,
  type FeatureMapOptions,
  type FeatureNormalization,
  favorPlus,
  favorProjection,
  l2Normalize,
  Module,
  type RandomStream,
  reluFeatures,
  softmaxFeatures,
  sumNormalize,
} from '@fwp/core';
import { type Tensor, type Tensor2D, tanh, tidy, type Variable } from '@tensorflow/tfjs-core';

/** Names of feature maps. */
export const FEATURE_MAPS = ['identity', 'eluPlusOne', 'relu', 'softmax', 'tanh', 'dpfp', 'favorPlus'] as const;

/** Name of a feature map. */
export type FeatureMapName = (typeof FEATURE_MAPS)[number];

/** Maps whose features may be negative. */
const SIGNED_MAPS: readonly FeatureMapName[] = ['identity', 'tanh'];

/** When FAVOR+ features draw new directions: for each training pass over fresh sequences, or never. */
export const REDRAW_POLICIES = ['training', 'never'] as const;

/** Name of a policy. */
export type RedrawPolicy = (typeof REDRAW_POLICIES)[number];

/** Options of a layer that say what its feature map is. */
export interface FeatureMapSettings {
  /**
   * Which map; the layers have defaults of their own. `'identity'` and `'tanh'` have negative features, and are not for layers that
   * divide features by their sum.
   */
  featureMap?: FeatureMapName | undefined;
  /** `dpfp`: ν, the number of rolls. Default 1. */
  nu?: number | undefined;
  /** `favorPlus`: m, the number of directions; there are twice as many features. Default: the size of a head. */
  directions?: number | undefined;
  /** `favorPlus`: added to each exponential. Default 1e-4, as in the paper's language models. */
  floor?: number | undefined;
  /**
   * `favorPlus`: `'training'` draws new directions whenever a layer in training mode starts without a state, and
   * keeps the last ones in evaluation; `'never'` keeps the first ones. Default `'training'`.
   */
  redraw?: RedrawPolicy | undefined;
}

/** A feature map as a part of a layer. */
export abstract class FeatureMap extends Module {
  /** Number of features. */
  abstract readonly featureSize: number;

  /**
   * φ(x), normalised.
   *
   * @param x float32 `[..., size]`
   * @returns float32 `[..., featureSize]`
   */
  abstract forward(x: Tensor, options?: FeatureMapOptions): Tensor;

  /** Called before the first use in a pass over sequences that continue nothing. */
  startSequences(): void {}
}

/**
 * Makes a feature map.
 *
 * @param settings which one; `featureMap` is required here. `normalization`: how its features will be normalised. Default `'none'`
 * @param size of the vectors that it will get
 * @param random `favorPlus` branches a stream of its own off this one
 * @throws RangeError for an unknown name or a bad setting, and for a map with negative features that are to be divided by their sum
 */
export function createFeatureMap(
  settings: FeatureMapSettings & { featureMap: FeatureMapName; normalization?: FeatureNormalization | undefined },
  size: number,
  random: RandomStream,
): FeatureMap {
  const { featureMap, normalization, nu = 1 } = settings;
  assertOneOf('featureMap', featureMap, FEATURE_MAPS);
  if (normalization === 'sum' && SIGNED_MAPS.includes(featureMap)) {
    const others = FEATURE_MAPS.filter((name) => !SIGNED_MAPS.includes(name)).map((name) => `'${name}'`);
    throw new RangeError(
      `featureMap must have no negative features where they are divided by their sum, which may be 0, but is '${featureMap}'. ` +
        `Choose one of ${others.join(', ')}.`,
    );
  }
  if (featureMap === 'favorPlus') return new FavorPlusFeatures(settings, size, random);
  if (featureMap === 'dpfp') {
    assertCount('nu', nu);
    if (nu >= 2 * size) throw new RangeError(`nu must be below 2 · size = ${2 * size}, but is ${nu}.`);
    return new FixedFeatures(2 * size * nu, (x, options) => dpfp(x, { nu, ...options }));
  }
  return new FixedFeatures(size, ELEMENTWISE[featureMap]);
}

const ELEMENTWISE: Readonly<
  Record<Exclude<FeatureMapName, 'dpfp' | 'favorPlus'>, (x: Tensor, options: FeatureMapOptions) => Tensor>
> = {
  identity: normalized,
  eluPlusOne: (x, options) => eluPlusOne(x, options),
  relu: (x, options) => reluFeatures(x, options),
  softmax: (x, options) => softmaxFeatures(x, options),
  tanh: (x, options) => normalized(tanh(x), options),
};

function normalized(x: Tensor, { normalization = 'none', epsilon }: FeatureMapOptions): Tensor {
  const normalizations: Record<FeatureNormalization, () => Tensor> = {
    none: () => x,
    sum: () => sumNormalize(x, { epsilon }),
    l2: () => l2Normalize(x, { epsilon }),
  };
  return normalizations[normalization]();
}

/** A map without anything of its own. */
class FixedFeatures extends FeatureMap {
  readonly featureSize: number;
  readonly #map: (x: Tensor, options: FeatureMapOptions) => Tensor;

  constructor(featureSize: number, map: (x: Tensor, options: FeatureMapOptions) => Tensor) {
    super();
    this.featureSize = featureSize;
    this.#map = map;
  }

  override forward(x: Tensor, options: FeatureMapOptions = {}): Tensor {
    return tidy(() => this.#map(x, options));
  }
}

/** FAVOR+ with the directions that were drawn last; all heads share them. They are part of checkpoints. */
class FavorPlusFeatures extends FeatureMap {
  readonly featureSize: number;
  /** Ω `[size, m]` */
  readonly projection: Variable & Tensor2D;
  readonly #floor: number;
  readonly #redraw: RedrawPolicy;
  readonly #random: RandomStream;

  constructor(settings: FeatureMapSettings, size: number, random: RandomStream) {
    super();
    const { directions = size, floor = 1e-4, redraw = 'training' } = settings;
    assertCount('directions', directions);
    assertNumber('floor', floor, 0);
    assertOneOf('redraw', redraw, REDRAW_POLICIES);
    this.featureSize = 2 * directions;
    this.#floor = floor;
    this.#redraw = redraw;
    this.#random = this.addRandomStream('random', branch(random));
    this.projection = this.addBuffer('projection', favorProjection(this.#random, size, directions));
  }

  override forward(x: Tensor, options: FeatureMapOptions = {}): Tensor {
    return favorPlus(x, this.projection, { floor: this.#floor, ...options });
  }

  override startSequences(): void {
    if (this.#redraw === 'never' || !this.training) return;
    const [size, directions] = this.projection.shape as [number, number];
    tidy(() => this.projection.assign(favorProjection(this.#random, size, directions)));
  }
}
