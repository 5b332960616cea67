/**
 * Product quantisation (Jégou, Douze, Schmid 2011, section II.B), also called multi-head: a vector is cut into parts, and each
 * is quantised by itself.
 *
 *     z = [z¹; …; zʰ]        output = [quantise₁(z¹); …; quantise_h(zʰ)]
 *
 * With K codes each there are Kʰ different outputs. The parts may share one codebook.
 */

import { assertCount, assertFloatShape, assertShape, Module } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { KohonenQuantizer, type KohonenQuantizerOptions } from './kohonen-quantizer.ts';
import type { Quantized, Quantizer } from './quantizer.ts';

/** Options of {@link ProductQuantizer}; all others are those of each quantiser. */
export interface ProductQuantizerOptions extends KohonenQuantizerOptions {
  /** Size of a whole vector: a multiple of `heads`. Default 64. */
  size?: number;
  /** Number of parts. */
  heads: number;
  /** Whether all parts use the same codes. Default false. */
  shared?: boolean;
}

/** Quantisers side by side; indices are `[..., heads]`, their loss is the mean. */
export class ProductQuantizer extends Module implements Quantizer {
  readonly size: number;
  readonly heads: number;
  /** One for each part, or one for all. */
  readonly quantizers: readonly KohonenQuantizer[];

  constructor({ heads, shared = false, size = 64, ...options }: ProductQuantizerOptions) {
    super();
    assertCount('ProductQuantizer: heads', heads);
    assertCount('ProductQuantizer: size', size);
    if (size % heads !== 0) {
      throw new RangeError(`ProductQuantizer: size must be a multiple of heads = ${heads}, but is ${size}.`);
    }
    this.size = size;
    this.heads = heads;
    const made = Array.from(
      { length: shared ? 1 : heads },
      () => new KohonenQuantizer({ ...options, size: size / heads }),
    );
    this.quantizers = this.addModules('quantizers', made);
  }

  forward<T extends tf.Tensor>(vectors: T): Quantized<T> {
    assertFloatShape('ProductQuantizer: vectors', vectors, ['...', this.size]);
    return tf.tidy(() => {
      const parts = this.#cut(vectors).map((part, i) => (this.quantizers[i] as KohonenQuantizer).forward(part));
      return {
        output: tf.reshape(joined(parts.map(({ output }) => output)), vectors.shape) as T,
        indices: joined(parts.map(({ indices }) => indices)),
        loss: tf.mean(tf.stack(parts.map(({ loss }) => loss))),
        perplexity: tf.mean(tf.stack(parts.map(({ perplexity }) => perplexity))),
      };
    });
  }

  encode(vectors: tf.Tensor): tf.Tensor {
    assertFloatShape('ProductQuantizer: vectors', vectors, ['...', this.size]);
    return tf.tidy(() =>
      joined(this.#cut(vectors).map((part, i) => (this.quantizers[i] as KohonenQuantizer).encode(part))),
    );
  }

  /** @param indices int32 `[..., heads]` */
  decode(indices: tf.Tensor): tf.Tensor {
    assertShape('ProductQuantizer: indices', indices, ['...', this.heads]);
    return tf.tidy(() => {
      const parts = this.quantizers.length === 1 ? [indices] : tf.split(indices, this.heads, -1);
      const vectors = parts.map((part, i) => (this.quantizers[i] as KohonenQuantizer).decode(part));
      return tf.reshape(joined(vectors.map((part) => tf.reshape(part, [...indices.shape.slice(0, -1), -1]))), [
        ...indices.shape.slice(0, -1),
        this.size,
      ]);
    });
  }

  /** `[..., 1, size / heads]` for each quantiser, or `[..., heads, size / heads]` for the one. */
  #cut(vectors: tf.Tensor): tf.Tensor[] {
    const heads = tf.reshape(vectors, [...vectors.shape.slice(0, -1), this.heads, this.size / this.heads]);
    return this.quantizers.length === 1 ? [heads] : tf.split(heads, this.heads, -2);
  }
}

/** Concatenates along the axis of the heads: the last one of indices and rows, the last but one of vectors. */
function joined(parts: tf.Tensor[]): tf.Tensor {
  if (parts.length === 1) return (parts[0] as tf.Tensor).clone();
  return tf.concat(parts, -1);
}
