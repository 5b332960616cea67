/** Cases of the suite `peaks`: what the processor gives at best. */

import type { Case } from './catalog.ts';

const MEGABYTE = 2 ** 20;

/** Multiply-adds in registers, which rates of other cases are compared with. */
export const PEAK_ROW = 'multiply-add';

export const peakCases: readonly Case[] = [
  {
    suite: 'peaks',
    name: PEAK_ROW,
    program: 'peak fma',
    parameters: { operations: 2e8 },
    flops: 2e8,
    perThread: true,
  },
  {
    suite: 'peaks',
    name: 'copy 4 MiB',
    program: 'peak copy',
    parameters: { bytes: 4 * MEGABYTE },
    bytes: 8 * MEGABYTE,
  },
  {
    suite: 'peaks',
    name: 'copy 128 MiB',
    program: 'peak copy',
    parameters: { bytes: 128 * MEGABYTE },
    bytes: 256 * MEGABYTE,
  },
];
