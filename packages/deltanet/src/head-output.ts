/**
 * How the newer layers turn what their heads read into an output: each head is normalised, gated, and all are projected,
 *
 *     output = W_o (RMSNorm(y) ∘ SiLU(W_g x))        y [batch, heads, length, valueSize]   x [batch, length, size]
 *
 * The normalisation is over valueSize, with one gain for all heads; the gate can be left out.
 */

import { type Initializer, Linear, Module, type RandomStream, RmsNorm } from '@fwp/core';
import { mul, type Tensor3D, type Tensor4D } from '@tensorflow/tfjs-core';
import type { LayerSizes } from './fast-weight-layer.ts';
import { mergeHeads } from './heads.ts';

/** Options of {@link HeadOutput}. */
export interface HeadOutputOptions {
  sizes: LayerSizes;
  /** Whether there is a gate. */
  gate: boolean;
  /** ε of the normalisation. Default 1e-5. */
  epsilon?: number | undefined;
  random: RandomStream;
  weightInitializer: Initializer;
}

/** Normalisation, gate and projection. */
export class HeadOutput extends Module {
  readonly norm: RmsNorm;
  readonly gate: Linear | undefined;
  readonly projection: Linear;

  constructor({ sizes, gate, epsilon = 1e-5, random, weightInitializer }: HeadOutputOptions) {
    super();
    const { size, heads, valueSize, outputSize } = sizes;
    const width = heads * valueSize;
    const common = { bias: false, random, weightInitializer };
    try {
      this.norm = this.addModule('norm', new RmsNorm({ size: valueSize, epsilon }));
      if (gate) {
        this.gate = this.addModule(
          'gate',
          new Linear({ ...common, inputSize: size, outputSize: width, activation: 'silu' }),
        );
      }
      this.projection = this.addModule('projection', new Linear({ ...common, inputSize: width, outputSize }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * @param read what the heads read, `[batch, heads, length, valueSize]`
   * @param x the layer's input
   * @returns `[batch, length, outputSize]`
   */
  forward(read: Tensor4D, x: Tensor3D): Tensor3D {
    const merged = mergeHeads(this.norm.forward(read));
    return this.projection.forward(this.gate === undefined ? merged : mul<Tensor3D>(merged, this.gate.forward(x)));
  }
}
