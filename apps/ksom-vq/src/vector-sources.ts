/**
 * Vectors to quantise without a network:
 *
 *     uniform   z uniform in [−1, 1]³
 *     pixels    colours of made-up pictures, scaled to [−1, 1]³
 *     mixture   points of 32 normal distributions of standard deviation 0.2, with centres uniform in [−1, 1]³
 */

import { embedding, type RandomStream, randomIntegers, randomNormal, randomUniform } from '@fwp/core';
import { proceduralImages, takeImages } from '@fwp/datasets';
import * as tf from '@tensorflow/tfjs-core';

/** Sources by name. */
export const VECTOR_SOURCES = ['uniform', 'pixels', 'mixture'] as const;
export type VectorSourceName = (typeof VECTOR_SOURCES)[number];

/** Draws vectors. */
export interface VectorSource {
  readonly size: number;
  /** float32 `[count, size]`; the caller disposes it. */
  draw(count: number, random: RandomStream): tf.Tensor2D;
  /** Frees what the source holds. */
  dispose(): void;
}

/** Pictures from which colours are drawn; 32 × 32 pixels each. */
const PICTURES = 256;
const CENTRES = 32;
const DEVIATION = 0.2;

/** The source of a name; what is fixed in it depends on the seed. */
export function createVectorSource(name: VectorSourceName, seed: number, random: RandomStream): VectorSource {
  if (name === 'uniform') {
    return { size: 3, draw: (count, from) => randomUniform(from, [count, 3], CUBE) as tf.Tensor2D, dispose: () => {} };
  }
  const table = name === 'pixels' ? colours(seed) : (randomUniform(random, [CENTRES, 3], CUBE) as tf.Tensor2D);
  const [rows, size] = table.shape;
  const draw = (count: number, from: RandomStream): tf.Tensor2D =>
    tf.tidy(() => {
      const picked = embedding(table, randomIntegers(from, [count], 0, rows)) as tf.Tensor2D;
      if (name === 'pixels') return picked;
      return tf.add(picked, randomNormal(from, [count, size], { standardDeviation: DEVIATION }));
    });
  return { size, draw, dispose: () => table.dispose() };
}

const CUBE = { low: -1, high: 1 };

/** The colours of the pictures, one a row. */
function colours(seed: number): tf.Tensor2D {
  const { pixels } = takeImages(
    proceduralImages({ seed }).train,
    Array.from({ length: PICTURES }, (_, i) => i),
  );
  return tf.tensor2d(
    new Float32Array(pixels).map((byte) => byte / 127.5 - 1),
    [pixels.length / 3, 3],
  );
}
