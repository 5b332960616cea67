/**
 * What the layers of this package share: each head takes its part of x, d = size / heads elements, through a matrix of its own,
 *
 *     y = φ(x) W        output = [y of all heads] W_out
 *
 * x [batch, length, size], W [heads, d, columns]. φ is the softmax over a head's part, or nothing. Self-referential
 * matrices begin with, side by side,
 *
 *     W^y, W^k ~ N(0, 1/d)     W^q ~ N(0, queryScale² / d)     W^b ~ N(rateBias, 1/d)
 *
 * in the paper with queryScale = 1. Its follow-up (Irie, Csordás and Schmidhuber, 2025, "Metalearning continual learning
 * algorithms") has 0.01: queries begin all but uniform, so that what is written moves W towards the mean of its rows.
 */

import {
  assertNumber,
  type Initializer,
  Linear,
  normalInitializer,
  type RandomStream,
  softmaxFeatures,
} from '@fwp/core';
import { FastWeightLayer, type FastWeightLayerOptions, layerSizes, splitHeads, wherePresent } from '@fwp/deltanet';
import { concat, type Tensor3D, type Tensor4D, tidy, type Variable } from '@tensorflow/tfjs-core';

/** Options of every layer of this package. */
export interface SelfReferentialLayerOptions
  extends Pick<FastWeightLayerOptions, 'size' | 'heads' | 'outputSize' | 'random'> {
  /** Whether φ is a softmax: as in the paper's reinforcement learning, and not in its few-shot learning. Default false. */
  inputSoftmax?: boolean | undefined;
  /** Of W_out. Default: that of `Linear`. */
  weightInitializer?: Initializer | undefined;
}

/** How a self-referential matrix begins. */
export interface SelfReferentialWeightOptions {
  /** Factor of the standard deviation of the query's columns. Default 0.01, as in the follow-up paper; 1 in the first. */
  queryScale?: number | undefined;
  /** Mean of the learning rates' columns. Default 0. */
  rateBias?: number | undefined;
}

/** Base of the layers. */
export abstract class SelfReferentialLayer extends FastWeightLayer {
  /** What W is at the beginning of sequences, `[heads, d, columns]`. */
  readonly weights: Variable & Tensor3D;
  /** W_out. */
  readonly output: Linear;
  readonly #inputSoftmax: boolean;

  /**
   * @param name of the layer, for messages
   * @param options as given
   * @param drawWeights draws the initial weights of heads of a size
   */
  constructor(
    name: string,
    options: SelfReferentialLayerOptions,
    drawWeights: (heads: number, headSize: number, random: RandomStream) => Tensor3D,
  ) {
    const sizes = layerSizes(name, options);
    const { heads, headSize, outputSize } = sizes;
    const { inputSoftmax = false, random, weightInitializer } = options;
    super(sizes);
    this.#inputSoftmax = inputSoftmax;
    try {
      this.weights = this.addParameter('weights', drawWeights(heads, headSize, random));
      const initializer = weightInitializer === undefined ? {} : { weightInitializer };
      const inputSize = heads * headSize;
      this.output = this.addModule(
        'output',
        new Linear({ inputSize, outputSize, bias: false, random, ...initializer }),
      );
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** φ of heads' parts of x. At padding it is 0, which makes query and key equal, so that nothing is written. */
  protected headInputs(x: Tensor3D, presence: Tensor3D | undefined): Tensor4D {
    const parts = splitHeads(x, this.heads);
    return this.#inputSoftmax ? wherePresent(softmaxFeatures(parts) as Tensor4D, presence) : parts;
  }
}

/** Learning rates of a matrix, one for each block of its columns. */
const RATES = 4;

/** Columns of a self-referential matrix: output, query, key and learning rates. */
export function columnCount(headSize: number, outputDim: number): number {
  return outputDim + 2 * headSize + RATES;
}

/** Draws self-referential matrices, `[heads, headSize, outputDim + 2 headSize + 4]`. */
export function drawSelfReferentialWeights(
  name: string,
  [heads, headSize, outputDim]: readonly [number, number, number],
  { queryScale = 0.01, rateBias = 0 }: SelfReferentialWeightOptions,
  random: RandomStream,
): Tensor3D {
  assertNumber(`${name}: queryScale`, queryScale, 0);
  assertNumber(`${name}: rateBias`, rateBias);
  const draw = (columns: number, scale = 1, mean = 0) =>
    normalInitializer(scale / Math.sqrt(headSize), mean)([heads, headSize, columns], random) as Tensor3D;
  return tidy(() => concat([draw(outputDim), draw(headSize, queryScale), draw(headSize), draw(RATES, 1, rateBias)], 2));
}
