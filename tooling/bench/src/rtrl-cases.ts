/** Cases of real-time recurrent learning: the suite `rtrl`. */

import type { Case } from './catalog.ts';

/** Sensitivities of four sequences with 128 inputs and units: half a megabyte, which second-level caches hold. */
const SIZES = { batch: 4, inputs: 128, hidden: 128 };
const STEPS = 32;

/** For each sensitivity of two matrices: three operations to carry it on, and two to accumulate the gradient. */
const flops = (steps: number): number => 10 * SIZES.batch * steps * SIZES.inputs * SIZES.hidden;

/** Names of the rows that are required to be fast. */
export const RTRL_ROWS: { readonly segment: string; readonly online: string } = {
  segment: `sensitivities of N = D = 128, ${STEPS} steps at once`,
  online: 'sensitivities of N = D = 128, one step',
};

export const rtrlCases: readonly Case[] = [
  {
    ...{ suite: 'rtrl', name: RTRL_ROWS.segment, program: 'sensitivities' },
    ...{ parameters: { ...SIZES, steps: STEPS }, flops: flops(STEPS) },
  },
  {
    ...{ suite: 'rtrl', name: RTRL_ROWS.online, program: 'sensitivities' },
    ...{ parameters: { ...SIZES, steps: 1 }, flops: flops(1), unit: 'µs' as const },
  },
];
