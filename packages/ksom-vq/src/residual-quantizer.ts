/**
 * Residual quantisation (Zeghidour et al. 2021, algorithm 1): each quantiser takes what the ones before left over.
 *
 *     r₁ = z        q_i = quantise_i(r_i)        r_{i+1} = r_i − sg(q_i)        output = Σ q_i
 *
 * With K codes each and n of them there are Kⁿ different outputs.
 */

import { assertCount, assertShape, Module, stopGradient, straightThrough } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { KohonenQuantizer, type KohonenQuantizerOptions } from './kohonen-quantizer.ts';
import type { Quantized, Quantizer } from './quantizer.ts';

/** Options of {@link ResidualQuantizer}; all others are those of each quantiser. */
export interface ResidualQuantizerOptions extends KohonenQuantizerOptions {
  /** Number of quantisers, one after the other. */
  quantizers: number;
}

/** Quantisers one after the other; indices are `[..., quantizers]`, their loss is the sum. */
export class ResidualQuantizer extends Module implements Quantizer {
  readonly size: number;
  readonly quantizers: readonly KohonenQuantizer[];

  constructor({ quantizers, ...options }: ResidualQuantizerOptions) {
    super();
    assertCount('ResidualQuantizer: quantizers', quantizers);
    const made = Array.from({ length: quantizers }, () => new KohonenQuantizer(options));
    this.quantizers = this.addModules('quantizers', made);
    this.size = (made[0] as KohonenQuantizer).size;
  }

  forward<T extends tf.Tensor>(vectors: T): Quantized<T> {
    return tf.tidy(() => {
      let rest: tf.Tensor = vectors;
      const parts = this.quantizers.map((quantizer) => {
        const part = quantizer.forward(rest);
        rest = tf.sub(rest, stopGradient(part.output));
        return part;
      });
      const sum = tf.addN(parts.map(({ output }) => stopGradient(output)));
      return {
        output: straightThrough(vectors, sum),
        indices: tf.stack(
          parts.map(({ indices }) => indices),
          -1,
        ),
        loss: tf.addN(parts.map(({ loss }) => loss)),
        perplexity: tf.mean(tf.stack(parts.map(({ perplexity }) => perplexity))),
      };
    });
  }

  encode(vectors: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      let rest: tf.Tensor = vectors;
      const indices = this.quantizers.map((quantizer) => {
        const chosen = quantizer.encode(rest);
        rest = tf.sub(rest, quantizer.decode(chosen));
        return chosen;
      });
      return tf.stack(indices, -1);
    });
  }

  /** @param indices int32 `[..., n]` with n up to the number of quantisers: with fewer, the first ones alone */
  decode(indices: tf.Tensor): tf.Tensor {
    const parts = indices.shape.at(-1) ?? 0;
    const most = this.quantizers.length;
    assertShape('ResidualQuantizer: indices', indices, ['...', Math.max(1, Math.min(parts, most))]);
    return tf.tidy(() =>
      tf.addN(tf.unstack(indices, -1).map((chosen, i) => (this.quantizers[i] as KohonenQuantizer).decode(chosen))),
    );
  }
}
