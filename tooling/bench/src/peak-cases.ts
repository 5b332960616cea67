/** Cases of the suite `peaks`: what a processor or a GPU gives at best. */

import type { Case } from './catalog.ts';

const MEGABYTE = 2 ** 20;
/** A million lanes with 4096 multiply-adds of 16 numbers: some milliseconds of a large card. */
const GPU_OPERATIONS = 2 * 16 * 4096 * 2 ** 20;

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
  {
    suite: 'peaks',
    name: 'multiply-add of a GPU',
    program: 'gpu peak fma',
    parameters: { operations: GPU_OPERATIONS },
    flops: GPU_OPERATIONS,
  },
  {
    suite: 'peaks',
    name: 'copy 256 MiB on a GPU',
    program: 'gpu peak copy',
    parameters: { bytes: 256 * MEGABYTE },
    bytes: 512 * MEGABYTE,
  },
];
