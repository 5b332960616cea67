/** Cases of causal softmax attention, over everything and over a sliding window, for the suite `scans`. */

import type { Case } from './catalog.ts';

const SIZES = { batch: 4, heads: 8, length: 2048, dim: 32 };
const WINDOW = 64;

/** Scores and sums of values: 4 · dim operations for each key that a query sees; two and a half times as many backward. */
function flops(window: number): number {
  const { batch, heads, length, dim } = SIZES;
  let pairs = 0;
  for (let t = 1; t <= length; t++) pairs += Math.min(t, window);
  return batch * heads * pairs * 4 * dim;
}

export const attentionCases: readonly Case[] = [SIZES.length, WINDOW].flatMap((window): Case[] => {
  const name = window === WINDOW ? `attention over a window of ${WINDOW}` : 'attention over everything';
  const row = { suite: 'scans', parameters: { ...SIZES, window } };
  return [
    { ...row, name, program: 'windowed attention', flops: flops(window) },
    { ...row, name: `${name}, both ways`, program: 'windowed attention backward', flops: 3.5 * flops(window) },
  ];
});
