/**
 * The language model of Irie, Yau and Gershman, 2025: a decoder of pre-norm blocks with RMSNorm, of a hybrid layer and a SwiGLU
 * each,
 *
 *     h = E[tokens]       h = h + hybrid(RMSNorm(h))       h = h + SwiGLU(RMSNorm(h))       logits = RMSNorm(h) W
 *
 * tokens int32 [batch, length], logits [batch, length, vocabularySize]. No positions are added, there are no biases, and W is a
 * matrix of its own. Initially matrices are N(0, 0.02²), those whose products are added to h uniform within
 * ±1 / √(inputs · 2 layers), and gains 1. With hybrid layers, the state's size does not depend on the number of tokens.
 */

import { fanInUniform, normalInitializer, type RandomStream, type SequenceMixer } from '@fwp/core';
import { FastWeightLanguageModel } from '@fwp/deltanet';
import { mul, onesLike, tidy } from '@tensorflow/tfjs-core';
import { HybridLayer, type HybridLayerOptions } from './hybrid-layer.ts';

/** Options of {@link HybridLanguageModel}. */
export interface HybridLanguageModelOptions {
  /** Number of symbols; tokens are below. */
  vocabularySize: number;
  /** Size of embeddings and hidden vectors. */
  size: number;
  /** Number of blocks. */
  layers: number;
  /**
   * Options of the hybrid layers; or a function that makes the sequence layer of each block, counted from 0, to compare others
   * in the same model. A function's layers become the model's own.
   */
  mixer: Omit<HybridLayerOptions, 'size' | 'outputSize' | 'random'> | ((block: number) => SequenceMixer);
  /** Hidden units of each SwiGLU. Default 8/3 · size, rounded up to a multiple of 32. */
  hiddenSize?: number | undefined;
  /** ε of all normalisations, those of hybrid layers included. Default 1e-6. */
  epsilon?: number | undefined;
  /** Dropout rate of embeddings, branches, hidden layers and outputs. Default 0. */
  dropout?: number | undefined;
  /** Standard deviation of matrices at first. Default 0.02. */
  initializerRange?: number | undefined;
  /** Draws the initial values. */
  random: RandomStream;
}

/** A decoder language model of hybrid layers. */
export class HybridLanguageModel extends FastWeightLanguageModel {
  constructor(options: HybridLanguageModelOptions) {
    const { vocabularySize, size, layers, mixer, dropout = 0, initializerRange = 0.02, random } = options;
    const { hiddenSize = 32 * Math.ceil(size / 12), epsilon = 1e-6 } = options;
    const weightInitializer = normalInitializer(initializerRange);
    super({
      ...{ vocabularySize, size, layers, epsilon, dropout, weightInitializer, random },
      mixer:
        typeof mixer === 'function'
          ? mixer
          : () => new HybridLayer({ weightInitializer, epsilon, ...mixer, size, random }),
      feedForward: { hiddenSize, activation: 'swiglu', bias: false },
      placement: 'pre',
      normalization: 'rms',
      tieWeights: false,
      embeddingScale: 1,
    });
    try {
      this.#initialize(layers, random);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  #initialize(layers: number, random: RandomStream): void {
    for (const [path, variable] of this.namedParameters()) {
      tidy(() => {
        if (INTO_RESIDUAL.test(path)) {
          variable.assign(mul(fanInUniform()(variable.shape, random), 1 / Math.sqrt(2 * layers)));
        } else if (OF_NORM.test(path)) {
          variable.assign(onesLike(variable));
        }
      });
    }
  }
}

/** Matrices whose products are added to the hidden vectors: the last ones of mixers and of feed-forward parts. */
const INTO_RESIDUAL = /^blocks\.\d+\.(mixer\.output(\.projection)?|feedForward\.output)\.weight$/;
/** Gains of normalisations. */
const OF_NORM = /norm\d?\.gain$/;
