/**
 * Regression with a map for each of several domains, of which some are rare: with domain z of probability ∝ 1 / (z + 1)^skew,
 *
 *     x = μ_z + ε        y = x A_z
 *
 * x, y [tokens, size]   μ_z, ε ~ N(0, 1)   A_z ~ N(0, 1 / size). Experts can divide the domains among them, and a router that
 * neglects some experts has to share out the domains among few.
 */

import { expertMatMul, type RandomStream, randomNormal } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Sizes of {@link LatentDomains}. */
export interface LatentDomainsOptions {
  readonly size: number;
  readonly domains: number;
  /** 0: all domains are as frequent. */
  readonly skew: number;
  /** Draws means and maps. */
  readonly random: RandomStream;
}

/** Tokens and what they are mapped to, `[tokens, size]` each. */
export interface DomainBatch {
  readonly inputs: tf.Tensor2D;
  readonly targets: tf.Tensor2D;
}

/** The domains; to be disposed of. */
export class LatentDomains {
  readonly #size: number;
  readonly #means: tf.Tensor2D;
  readonly #maps: tf.Tensor3D;
  /** Probability of the domains up to each. */
  readonly #cumulative: readonly number[];

  constructor({ size, domains, skew, random }: LatentDomainsOptions) {
    this.#size = size;
    this.#means = randomNormal(random, [domains, size]) as tf.Tensor2D;
    const standardDeviation = 1 / Math.sqrt(size);
    this.#maps = randomNormal(random, [domains, size, size], { standardDeviation }) as tf.Tensor3D;
    const weights = Array.from({ length: domains }, (_, z) => (z + 1) ** -skew);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    this.#cumulative = weights.map((weight) => {
      sum += weight / total;
      return sum;
    });
  }

  /** Draws tokens. */
  batch(tokens: number, random: RandomStream): DomainBatch {
    const last = this.#cumulative.length - 1;
    const drawn = Int32Array.from(random.uniform(tokens), (u) => {
      const z = this.#cumulative.findIndex((bound) => u < bound);
      return z < 0 ? last : z;
    });
    return tf.tidy(() => {
      const z = tf.tensor1d(drawn, 'int32');
      const noise = randomNormal(random, [tokens, this.#size]) as tf.Tensor2D;
      const inputs = tf.add<tf.Tensor2D>(tf.gather(this.#means, z), noise);
      return { inputs, targets: expertMatMul(inputs, this.#maps, z, { outputRows: tokens }) as tf.Tensor2D };
    });
  }

  dispose(): void {
    tf.dispose([this.#means, this.#maps]);
  }
}
