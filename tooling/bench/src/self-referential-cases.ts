/** Cases of self-referential weight matrices: the suite `srwm`. */

import type { Case } from './catalog.ts';
import type { Parameters } from './harness/protocol.ts';

/** Head sizes, with as many heads as make a width of 256; few sequences, so that a measurement is short. */
const SIZES = [16, 32, 64].map((dim) => ({ batch: 8, heads: 256 / dim, length: 128, dim }));

/** A matrix has 3 dim + 4 columns; a step is 6 operations for each of its elements forward, and 14 backward. */
const elements = ({ batch, heads, length, dim }: (typeof SIZES)[number]): number =>
  batch * heads * length * dim * (3 * dim + 4);

export const selfReferentialCases: readonly Case[] = SIZES.flatMap((sizes): Case[] => {
  const row = { suite: 'srwm', parameters: sizes as Parameters, quick: sizes.dim !== 32, tolerance: 1e-3 };
  const name = `self-referential, d = ${sizes.dim}`;
  return [
    { ...row, name, program: 'self-referential', flops: 6 * elements(sizes) },
    { ...row, name: `${name}, both ways`, program: 'self-referential backward', flops: 20 * elements(sizes) },
  ];
});
