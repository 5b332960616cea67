/**
 * What a layer makes of the readings of its two memories, y_FW and y_KV, for each head (Irie et al., 2025, section 3):
 *
 *     sum               y = y_FW + y_KV
 *     dynamic scalar    y = a_FW y_FW + a_KV y_KV                  [a_FW, a_KV] = sigmoid(W_a x), two numbers for each head
 *     dynamic vector    y = g ∘ y_FW + (1 − g) ∘ y_KV              g = sigmoid(W_g x), one number for each element of y
 *
 * x [batch, length, size], y [batch, heads, length, valueSize]; the matrices have no biases.
 */

import { type Initializer, Linear, Module, type RandomStream } from '@fwp/core';
import { type LayerSizes, splitHeads } from '@fwp/deltanet';
import { add, mul, sigmoid, split, sub, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';

/** How readings are mixed. */
export const MEMORY_MIXERS = ['sum', 'scalar', 'vector'] as const;

/** Name of a way to mix. */
export type MemoryMixerName = (typeof MEMORY_MIXERS)[number];

/** Options of {@link MemoryMixer}. */
export interface MemoryMixerOptions {
  kind: MemoryMixerName;
  sizes: LayerSizes;
  random: RandomStream;
  weightInitializer: Initializer;
}

/** Mixes the readings of two memories. */
export class MemoryMixer extends Module {
  readonly kind: MemoryMixerName;
  /** x → logits of the weights; absent for a sum. */
  readonly weights: Linear | undefined;
  readonly #heads: number;

  constructor({ kind, sizes, random, weightInitializer }: MemoryMixerOptions) {
    super();
    this.kind = kind;
    const { size, heads, valueSize } = sizes;
    this.#heads = heads;
    if (kind === 'sum') return;
    const outputSize = heads * (kind === 'scalar' ? 2 : valueSize);
    this.weights = this.addModule(
      'weights',
      new Linear({ inputSize: size, outputSize, bias: false, random, weightInitializer }),
    );
  }

  /**
   * @param fastWeights what the fast weights say, `[batch, heads, length, valueSize]`
   * @param window what the attention over the window says, of the same shape
   * @param x the layer's input
   * @returns the shape of both
   */
  forward(fastWeights: Tensor4D, window: Tensor4D, x: Tensor3D): Tensor4D {
    if (this.weights === undefined) return add<Tensor4D>(fastWeights, window);
    const weights = splitHeads(sigmoid(this.weights.forward(x)), this.#heads);
    // g y_FW + (1 − g) y_KV with one product
    if (this.kind === 'vector') return add<Tensor4D>(window, mul(weights, sub(fastWeights, window)));
    const [ofFastWeights, ofWindow] = split(weights, 2, 3) as [Tensor4D, Tensor4D];
    return add<Tensor4D>(mul(fastWeights, ofFastWeights), mul(window, ofWindow));
  }
}
