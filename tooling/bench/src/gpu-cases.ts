/**
 * Cases of the suite `gpu`: scans at the sizes of flash-linear-attention's own table, a Transformer's training step and a block of experts.
 * They are for graphics cards; a GPU in software takes minutes for each.
 */

import type { Case } from './catalog.ts';
import { transformerFlops } from './transformer-flops.ts';

/** `[batch, heads, length, dim]` of queries, keys and values. */
interface ScanSizes {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly dim: number;
  readonly quick: boolean;
}

const SIZES: readonly ScanSizes[] = [
  { batch: 1, length: 8192, heads: 96, dim: 128, quick: false },
  { batch: 2, length: 16384, heads: 16, dim: 128, quick: true },
  { batch: 4, length: 2048, heads: 16, dim: 128, quick: true },
  { batch: 4, length: 4096, heads: 64, dim: 128, quick: false },
  { batch: 8, length: 1024, heads: 8, dim: 64, quick: true },
  { batch: 8, length: 2048, heads: 32, dim: 256, quick: false },
];

/**
 * Floating-point operations of a step for each element of its state, forward and both ways, and how many arrays of the size of q each reads
 * and writes at least.
 */
const SCANS = [
  { program: 'linear attention', flops: [4, 14], arrays: [4, 11] },
  { program: 'delta rule', flops: [6, 20], arrays: [4, 11] },
  { program: 'gated delta rule', flops: [6, 20], arrays: [4, 11] },
] as const;

const scans: Case[] = SIZES.flatMap(({ quick, ...sizes }) =>
  SCANS.flatMap(({ program, flops, arrays }) => {
    const { batch, length, heads, dim } = sizes;
    const numbers = batch * length * heads * dim;
    return (['', ' backward'] as const).map(
      (pass, index): Case => ({
        suite: 'gpu',
        name: `${program} ${batch},${length},${heads},${dim}${pass === '' ? '' : ', both ways'}`,
        program: `${program}${pass}`,
        parameters: sizes,
        flops: (flops[index] as number) * numbers * dim,
        bytes: (arrays[index] as number) * 4 * numbers,
        quick,
      }),
    );
  }),
);

/** Names that requirements refer to. */
export const GPU_ROWS: Readonly<{ kernel: string; composed: string; deltaRuleForward: readonly string[] }> = {
  kernel: 'delta rule 4,256,16,64, both ways',
  composed: 'delta rule 4,256,16,64, both ways, step by step',
  deltaRuleForward: scans.filter(({ program }) => program.endsWith('delta rule')).map(({ name }) => name),
};

const SHORT = { batch: 4, length: 256, heads: 16, dim: 64 };
const SHORT_FLOPS = 20 * SHORT.batch * SHORT.length * SHORT.heads * SHORT.dim ** 2;

const againstComposed: Case[] = [
  { name: GPU_ROWS.kernel, program: 'delta rule backward' },
  { name: GPU_ROWS.composed, program: 'delta rule step by step backward', yardstick: GPU_ROWS.kernel },
].map((row) => ({ suite: 'gpu', parameters: SHORT, flops: SHORT_FLOPS, ...row }));

const TRANSFORMER = { layers: 6, width: 512, heads: 8, feedForward: 2048, length: 512, batch: 16, vocabulary: 8192 };
const EXPERTS = { tokens: 8192, size: 512, experts: 16, expertSize: 128, active: 4 };

const steps: Case[] = [
  {
    name: 'Transformer step, 25 M parameters, 8192 tokens',
    program: 'transformer',
    parameters: TRANSFORMER,
    flops: transformerFlops(TRANSFORMER),
  },
  {
    name: 'step of a dense block, 2048 units, 8192 tokens',
    program: 'dense block step',
    parameters: { tokens: EXPERTS.tokens, size: EXPERTS.size, hiddenSize: EXPERTS.experts * EXPERTS.expertSize },
    flops: 12 * EXPERTS.tokens * EXPERTS.size * EXPERTS.experts * EXPERTS.expertSize,
  },
  {
    name: 'step of σ-MoE, 4 of 16 experts of 128 units, 8192 tokens',
    program: 'expert block step',
    parameters: EXPERTS,
    flops: 12 * EXPERTS.tokens * EXPERTS.active * EXPERTS.size * EXPERTS.expertSize,
  },
].map((row) => ({ suite: 'gpu', tolerance: 1e-3, ...row }));

export const gpuCases: readonly Case[] = [...scans, ...againstComposed, ...steps];
