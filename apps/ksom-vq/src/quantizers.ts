/** The quantisers that are compared: neighbourhoods and how the counts begin, by name, and the settings that they share. */

import type { RandomStream } from '@fwp/core';
import { KohonenQuantizer, LEARNING_RULES, NEIGHBORHOODS, type NeighborhoodKind } from '@fwp/ksom-vq';
import { z } from 'zod';

/** Settings of the quantisers in all experiments. */
export const quantizerSettings = {
  neighborhoods: z
    .array(z.enum(NEIGHBORHOODS))
    .min(1)
    .default([...NEIGHBORHOODS])
    .describe('neighbourhoods to compare; none is EMA-VQ'),
  initialCounts: z.array(z.number().min(0)).min(1).default([0, 1]).describe('what the counts of codes begin with'),
  codes: z.array(z.int().min(1)).min(1).default([512]).describe('numbers of codes K'),
  decays: z.array(z.number().min(0).max(1)).min(1).default([0.99]).describe('decays of the moving averages'),
  gridAxes: z.int().min(1).max(4).default(2).describe('axes of the grid'),
  shrinkage: z.number().min(0).default(0.1).describe('the neighbourhood shrinks with 1 + shrinkage · steps'),
  width: z.number().positive().default(10).describe('width s of the gaussian neighbourhood'),
  keepUnused: z.boolean().default(false).describe('whether codes that nothing moved stay as they are'),
  learning: z.enum(LEARNING_RULES).default('average').describe('whether codes follow averages or gradients'),
  neighborCost: z.number().min(0).default(0.1).describe('weight of the neighbours with learning = gradient'),
  commitment: z.number().min(0).default(0.25).describe('weight of the commitment loss'),
};

const settings = z.object(quantizerSettings);
export type QuantizerSettings = z.infer<typeof settings>;

/** Which quantiser a trial trains. */
export interface QuantizerKey {
  /** Neighbourhood and initial count, as in `'hard c0=1'`. */
  readonly quantizer: string;
  readonly codes: number;
  readonly decay: number;
  readonly [name: string]: string | number;
}

/** The grid of quantisers. */
export function quantizerKeys({ neighborhoods, initialCounts, codes, decays }: QuantizerSettings): QuantizerKey[] {
  return decays.flatMap((decay) =>
    codes.flatMap((count) =>
      initialCounts.flatMap((initial) =>
        neighborhoods.map((neighborhood) => ({ quantizer: quantizerName(neighborhood, initial), codes: count, decay })),
      ),
    ),
  );
}

/** How a quantiser is called in tables. */
export function quantizerName(neighborhood: NeighborhoodKind, initialCount: number): string {
  return `${neighborhood} c0=${initialCount}`;
}

/** Makes the quantiser of a key. */
export function createQuantizer(
  config: QuantizerSettings,
  { quantizer, codes, decay }: QuantizerKey,
  size: number,
  random: RandomStream,
): KohonenQuantizer {
  const [neighborhood, count] = quantizer.split(' c0=') as [NeighborhoodKind, string];
  const { gridAxes, shrinkage, width, keepUnused, learning, neighborCost, commitment } = config;
  return new KohonenQuantizer({
    ...{ codes, size, decay, neighborhood, initialCount: Number(count) },
    ...{ gridAxes, shrinkage, width, keepUnused, learning, neighborCost, commitment, random },
  });
}
