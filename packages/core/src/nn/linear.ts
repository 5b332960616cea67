/**
 * Linear layer:
 *
 *     y = activation(x W + b)        x [..., inputSize]   W [inputSize, outputSize]   b [outputSize]   y [..., outputSize]
 *
 * Default initialisation of both: U(−1/√inputSize, 1/√inputSize), as PyTorch's `nn.Linear`.
 */

import type { Tensor, Tensor1D, Tensor2D, Variable } from '@tensorflow/tfjs-core';
import { type LinearActivation, linear } from '../ops/linear.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape } from '../shape-checks.ts';
import { fanInUniform, type Initializer } from './initializers.ts';
import { Module } from './module.ts';

/** Options of {@link Linear}. */
export interface LinearLayerOptions {
  /** Size of the last dimension of the input. */
  inputSize: number;
  /** Size of the last dimension of the output. */
  outputSize: number;
  /** Whether something is added. Default true. */
  bias?: boolean;
  /** Default `'none'`. */
  activation?: LinearActivation;
  /** Draws the initial values. */
  random: RandomStream;
  /** Default: uniform within ±1/√inputSize. */
  weightInitializer?: Initializer;
  /** Default: uniform within ±1/√inputSize. */
  biasInitializer?: Initializer;
}

/** A linear map, with bias and activation in one pass. */
export class Linear extends Module {
  readonly inputSize: number;
  readonly outputSize: number;
  /** `[inputSize, outputSize]` */
  readonly weight: Variable & Tensor2D;
  /** `[outputSize]` */
  readonly bias: (Variable & Tensor1D) | undefined;
  readonly #activation: LinearActivation;

  constructor(options: LinearLayerOptions) {
    super();
    const { inputSize, outputSize, bias = true, activation = 'none', random } = options;
    assertCount('Linear: inputSize', inputSize);
    assertCount('Linear: outputSize', outputSize);
    const { weightInitializer = fanInUniform(), biasInitializer = fanInUniform(inputSize) } = options;
    this.inputSize = inputSize;
    this.outputSize = outputSize;
    this.#activation = activation;
    this.weight = this.addParameter('weight', weightInitializer([inputSize, outputSize], random) as Tensor2D);
    try {
      if (bias) this.bias = this.addParameter('bias', biasInitializer([outputSize], random) as Tensor1D);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param x float32 `[..., inputSize]`
   * @returns `[..., outputSize]`
   */
  forward<T extends Tensor>(x: T): T {
    assertFloatShape('Linear: x', x, ['...', this.inputSize]);
    return linear(x, this.weight, { bias: this.bias, activation: this.#activation }) as T;
  }
}
