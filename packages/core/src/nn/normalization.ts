/**
 * Normalisation over the last dimension:
 *
 *     LayerNorm   y = (x − mean x) / √(var x + ε) ∘ gain + bias       Ba, Kiros and Hinton, 2016, equation 4
 *     RmsNorm     y = x / √(mean x² + ε) ∘ gain                       Zhang and Sennrich, 2019, equation 4
 *
 * x [..., size], gain and bias [size]. Initially gain = 1 and bias = 0.
 */

import { ones, type Tensor, type Tensor1D, type Variable, zeros } from '@tensorflow/tfjs-core';
import { addLayerNorm, layerNorm } from '../ops/layer-norm.ts';
import { addRmsNorm, rmsNorm } from '../ops/rms-norm.ts';
import { assertCount, assertNumber } from '../shape-checks.ts';
import { Module } from './module.ts';

/** Options of {@link LayerNorm} and {@link RmsNorm}. */
export interface NormalizationOptions {
  /** Size of the last dimension. */
  size: number;
  /** ε. Default 1e-5. */
  epsilon?: number;
}

/** A normalisation that residual blocks can use. */
export interface Normalization extends Module {
  /** Normalises `[..., size]`. */
  forward<T extends Tensor>(x: T): T;
  /** Adds a residual branch and normalises the sum: `sum` = x + residual, `output` = forward(sum). */
  addAndNormalize<T extends Tensor>(x: T, residual: T): { sum: T; output: T };
}

/** Layer normalisation. */
export class LayerNorm extends Module implements Normalization {
  /** `[size]` */
  readonly gain: Variable & Tensor1D;
  /** `[size]` */
  readonly bias: Variable & Tensor1D;
  readonly #epsilon: number;

  constructor(options: NormalizationOptions) {
    super();
    const { size, epsilon = 1e-5 } = options;
    assertCount('LayerNorm: size', size);
    assertNumber('LayerNorm: epsilon', epsilon, 0);
    this.#epsilon = epsilon;
    this.gain = this.addParameter('gain', ones([size]) as Tensor1D);
    this.bias = this.addParameter('bias', zeros([size]) as Tensor1D);
  }

  forward<T extends Tensor>(x: T): T {
    return layerNorm(x, this.gain, this.bias, { epsilon: this.#epsilon });
  }

  addAndNormalize<T extends Tensor>(x: T, residual: T): { sum: T; output: T } {
    return addLayerNorm(x, residual, this.gain, this.bias, { epsilon: this.#epsilon });
  }
}

/** Root-mean-square normalisation. */
export class RmsNorm extends Module implements Normalization {
  /** `[size]` */
  readonly gain: Variable & Tensor1D;
  readonly #epsilon: number;

  constructor(options: NormalizationOptions) {
    super();
    const { size, epsilon = 1e-5 } = options;
    assertCount('RmsNorm: size', size);
    assertNumber('RmsNorm: epsilon', epsilon, 0);
    this.#epsilon = epsilon;
    this.gain = this.addParameter('gain', ones([size]) as Tensor1D);
  }

  forward<T extends Tensor>(x: T): T {
    return rmsNorm(x, this.gain, { epsilon: this.#epsilon });
  }

  addAndNormalize<T extends Tensor>(x: T, residual: T): { sum: T; output: T } {
    return addRmsNorm(x, residual, this.gain, { epsilon: this.#epsilon });
  }
}
