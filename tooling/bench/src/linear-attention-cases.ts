/** Cases of linear attention, for the suite `scans`. */

import type { Case } from './catalog.ts';

const SIZES = { batch: 16, heads: 8, length: 1024, dim: 64 };
/** dim² elements of the state for each step, head and batch element. */
const STATES = SIZES.batch * SIZES.heads * SIZES.length * SIZES.dim ** 2;

/** A step is 4 dim² operations forward and 10 dim² backward; a decay adds dim² to the former, 4 dim² to the latter. */
export const linearAttentionCases: readonly Case[] = [
  { name: 'linear attention', program: 'linear attention', flops: 4 * STATES },
  { name: 'linear attention, both ways', program: 'linear attention backward', flops: 14 * STATES },
  { name: 'gated linear attention', program: 'gated linear attention', flops: 5 * STATES },
  { name: 'gated linear attention, both ways', program: 'gated linear attention backward', flops: 19 * STATES },
].map((row) => ({ suite: 'scans', parameters: SIZES, ...row }));
