/** What the tests of geometric attention share: projections, padding, and the comparison with the reference. */

import * as tf from '@tensorflow/tfjs-core';
import { geometricAttention, RandomStream } from '../../src/index.ts';
import { type GeometricSizes, geometricAttentionReference } from '../reference/geometric-attention.ts';
import { expectMatchesReference, type Input, noise, noiseInput } from './against-reference.ts';

export const COEFFICIENTS: [number, number, number] = [0.4, 1.3, -0.2];
/** Rate of {@link GeometricCase.dropoutSeed}. */
const RATE = 0.3;

/** Numbers of a row of projections. */
export function rowOf({ heads, dim }: GeometricSizes): number {
  return 3 * heads * dim + 2 * heads;
}

/** Projections of noise. */
export function inputsOf(sizes: GeometricSizes): Record<'projections' | 'coefficients', Input> {
  return {
    projections: noiseInput([sizes.batch, sizes.time, rowOf(sizes)], 1, 2),
    coefficients: { shape: [3], values: Float32Array.from(COEFFICIENTS) },
  };
}

/** Which positions are no padding: the first of each sequence, and most others. */
export function presence({ batch, time }: GeometricSizes): boolean[] {
  return Array.from(noise(batch * time, 5), (x, i) => i % time === 0 || x < 0.5);
}

/** Options of a comparison. */
export interface GeometricCase {
  readonly masked?: boolean;
  readonly normalize?: boolean;
  /** Seed of the dropout of keys; without it there is none. */
  readonly dropoutSeed?: number;
}

/** Expects geometricAttention and its gradients to be as in the reference. */
export function expectGeometricMatches(
  sizes: GeometricSizes,
  { masked = false, normalize = false, dropoutSeed }: GeometricCase,
): void {
  const { batch, time, heads, dim } = sizes;
  const present = presence(sizes);
  const words = dropoutSeed === undefined ? undefined : new RandomStream(dropoutSeed).bits(batch * time * heads * dim);
  expectMatchesReference({
    inputs: inputsOf(sizes),
    operation: ({ projections, coefficients }) => [
      geometricAttention(projections!, coefficients!, {
        heads,
        normalize,
        keyMask: masked ? tf.tensor2d(present, [batch, time], 'bool') : undefined,
        keyDropout: dropoutSeed === undefined ? undefined : { rate: RATE, random: new RandomStream(dropoutSeed) },
      }),
    ],
    reference: ({ projections, coefficients }) => [
      geometricAttentionReference(
        projections!,
        coefficients!,
        sizes,
        (b, t) => !masked || present[b * time + t]!,
        normalize,
        (element) =>
          words === undefined ? 1 : (words[element] as number) < Math.round((1 - RATE) * 2 ** 32) ? 1 / (1 - RATE) : 0,
      ).output,
    ],
    tolerance: 1e-5,
  });
}
