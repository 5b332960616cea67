/** Cases of mixtures of experts, for the suite `experts`: layers of chosen experts beside dense products of the same arithmetic. */

import type { Case } from './catalog.ts';

const LAYER = { tokens: 1024, size: 512, experts: 16, expertSize: 128, active: 4 };
/** More tokens, so that each of many experts still has some. */
const MANY = { ...LAYER, tokens: 4096 };
/** A block that uses a quarter of its hidden units, and the dense one with as many. */
const BLOCK = { ...LAYER, tokens: 2048 };
/** Attention of Transformer-XL with 47 M parameters in the paper on SwitchHead: a segment and as much memory. */
const ATTENTION = { batch: 4, length: 256, memory: 256, size: 412 };

type Sizes = typeof LAYER;

/** Of both layers, forward. */
const flopsOf = ({ tokens, size, expertSize, active }: Sizes) => 4 * tokens * active * size * expertSize;

/** Names that requirements refer to. */
export const EXPERT_ROWS = {
  dense: 'dense product, 1.07 GFLOP',
  products: 'products with 4 of 16 experts',
  productsGradient: 'products with 4 of 16 experts, gradient',
  layers: 'both layers, 4 of 16 experts',
  layersGradient: 'both layers, 4 of 16 experts, gradient',
  few: 'both layers, 4096 tokens, 16 experts',
  many: 'both layers, 4096 tokens, 128 experts',
  denseStep: 'step of a dense block, 2048 units',
  step: 'step of σ-MoE, 4 of 16 experts of 128 units',
} as const;

const rows: readonly Omit<Case, 'suite'>[] = [
  {
    name: EXPERT_ROWS.dense,
    program: 'gemm',
    parameters: { a: [1024, 512], b: [512, 1024], transposeA: false },
    flops: 2 * 1024 * 512 * 1024,
  },
  {
    name: EXPERT_ROWS.products,
    yardstick: EXPERT_ROWS.dense,
    program: 'expert products',
    parameters: LAYER,
    flops: flopsOf(LAYER) / 2,
  },
  {
    name: EXPERT_ROWS.productsGradient,
    yardstick: EXPERT_ROWS.dense,
    program: 'expert products gradient',
    parameters: LAYER,
    flops: flopsOf(LAYER),
    tooSlow: ['pytorch'],
  },
  {
    name: EXPERT_ROWS.layers,
    yardstick: EXPERT_ROWS.dense,
    program: 'expert layers',
    parameters: LAYER,
    flops: flopsOf(LAYER),
  },
  {
    name: EXPERT_ROWS.layersGradient,
    yardstick: EXPERT_ROWS.dense,
    program: 'expert layers gradient',
    parameters: LAYER,
    flops: 2 * flopsOf(LAYER),
    tooSlow: ['pytorch'],
  },
  ...[16, 32, 64, 128].map((experts) => ({
    name: `both layers, 4096 tokens, ${experts} experts`,
    program: 'expert layers',
    parameters: { ...MANY, experts },
    flops: flopsOf(MANY),
    quick: experts === 16 || experts === 128,
    ...(experts === 16 ? {} : { yardstick: EXPERT_ROWS.few }),
  })),
  {
    name: EXPERT_ROWS.denseStep,
    program: 'dense block step',
    parameters: { tokens: BLOCK.tokens, size: BLOCK.size, hiddenSize: BLOCK.experts * BLOCK.expertSize },
    flops: 12 * BLOCK.tokens * BLOCK.size * BLOCK.experts * BLOCK.expertSize,
  },
  {
    name: EXPERT_ROWS.step,
    yardstick: EXPERT_ROWS.denseStep,
    program: 'expert block step',
    parameters: BLOCK,
    flops: 3 * flopsOf(BLOCK),
  },
  {
    name: 'step of dense attention, 10 heads of 41',
    program: 'dense attention step',
    parameters: { ...ATTENTION, heads: 10, headSize: 41 },
    tooSlow: ['pytorch'],
  },
  {
    name: 'step of SwitchHead, 2 heads of 76, 2 of 5 experts',
    program: 'switch head step',
    parameters: { ...ATTENTION, heads: 2, headSize: 76, experts: 5, active: 2 },
    tooSlow: ['pytorch'],
  },
];

export const expertCases: readonly Case[] = rows.map((row) => ({
  suite: 'experts',
  tolerance: 1e-3,
  ...row,
  tooSlow: [...(row.tooSlow ?? []), 'tfjs-cpu', 'tfjs-wasm'],
}));
