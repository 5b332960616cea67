/** Cases of vector quantisation, for the suite `quantiser`: the paper's sizes, 256 images of 8 × 8 codes. */

import type { Case } from './catalog.ts';

const SIZES = { vectors: 16_384, codes: 512, size: 64 };
/** Products of all vectors with all codes. */
const DISTANCES = 2 * SIZES.vectors * SIZES.codes * SIZES.size;

/** Names that requirements refer to. */
export const QUANTIZER_ROWS = {
  distances: 'distances alone',
  none: 'step of EMA-VQ',
  hard: 'step, hard neighbourhood',
};

/**
 * A step finds codes, gathers them, measures commitment and perplexity, and moves the codebook. Beside the products all that
 * is little: the same `flops` make rates that can be compared.
 */
export const quantizerCases: readonly Case[] = [
  { name: QUANTIZER_ROWS.distances, program: 'quantiser distances' },
  { name: 'nearest codes', program: 'nearest codes' },
  {
    name: QUANTIZER_ROWS.none,
    yardstick: QUANTIZER_ROWS.distances,
    program: 'quantiser step',
    parameters: { ...SIZES, neighborhood: 'none' },
  },
  {
    name: QUANTIZER_ROWS.hard,
    yardstick: QUANTIZER_ROWS.distances,
    program: 'quantiser step',
    parameters: { ...SIZES, neighborhood: 'hard' },
  },
  {
    name: 'step, gaussian neighbourhood',
    program: 'quantiser step',
    parameters: { ...SIZES, neighborhood: 'gaussian' },
    quick: false,
  },
].map((row) => ({ suite: 'quantiser', parameters: SIZES, flops: DISTANCES, tooSlow: ['tfjs-cpu'], ...row }));
