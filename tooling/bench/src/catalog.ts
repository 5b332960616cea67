/** Everything that is measured. */

import { attentionCases } from './attention-cases.ts';
import { deltaRuleCases } from './delta-rule-cases.ts';
import { expertCases } from './expert-cases.ts';
import { fastRecurrenceCases } from './fast-recurrence-cases.ts';
import { gpuCases } from './gpu-cases.ts';
import type { Parameters } from './harness/protocol.ts';
import { linearAttentionCases } from './linear-attention-cases.ts';
import { peakCases } from './peak-cases.ts';
import { prefixCases } from './prefix-cases.ts';
import { quantizerCases } from './quantizer-cases.ts';
import { routingCases } from './routing-cases.ts';
import { rtrlCases } from './rtrl-cases.ts';
import { selfReferentialCases } from './self-referential-cases.ts';
import { transformerFlops } from './transformer-flops.ts';

/** One line of the tables. */
export interface Case {
  readonly suite: string;
  readonly name: string;
  readonly program: string;
  readonly parameters: Parameters;
  /** In what the time is told. Default `'ms'`. */
  readonly unit?: 'ms' | 'µs';
  /** Operations in one call, where times are told per operation. Default 1. */
  readonly calls?: number;
  /** Floating-point operations of one call; compared with the multiply-add peak. */
  readonly flops?: number;
  /** Bytes read and written by one call at least; compared with the copy peak. */
  readonly bytes?: number;
  /** Whether `flops` or `bytes` are those of one thread, so that two threads do twice as much. */
  readonly perThread?: boolean;
  /** Another case that is measured in the same slices, where requirements compare with it. */
  readonly yardstick?: string;
  /** Allowed difference between peers as a fraction of the result's size. Default 1e-4. */
  readonly tolerance?: number;
  /** Peers that need minutes for it and are left out. */
  readonly tooSlow?: readonly string[];
  /** Part of a `--quick` run. Default true. */
  readonly quick?: boolean;
}

const MILLION: Parameters = { shape: [1024, 1024], other: [1024, 1024] };
const MEGABYTE = 2 ** 20;
/** float32 values of one million elements. */
const PASS = 4 * MEGABYTE;

function gemm(name: string, a: number[], b: number[], options: { transposeA?: boolean; quick?: boolean } = {}): Case {
  const { transposeA = false, quick = true } = options;
  const [m, k] = transposeA ? [a.at(-1), a.at(-2)] : [a.at(-2), a.at(-1)];
  const batch = a.slice(0, -2).reduce((product, extent) => product * extent, 1);
  return {
    suite: 'gemm',
    name,
    program: 'gemm',
    parameters: { a, b, transposeA },
    flops: 2 * batch * (m as number) * (k as number) * (b.at(-1) as number),
    quick,
  };
}

const gemms: Case[] = [
  ...[32, 64, 128, 256, 512, 1024].map((n) => gemm(`n = ${n}`, [n, n], [n, n], { quick: n !== 512 && n !== 32 })),
  gemm('[2048,128]·[128,512]', [2048, 128], [128, 512]),
  gemm('[2048,512]·[512,128]', [2048, 512], [512, 128], { quick: false }),
  gemm('[2048,128]ᵀ·[2048,512]', [2048, 128], [2048, 512], { transposeA: true }),
  gemm('256 × [32,32]·[32,32]', [256, 32, 32], [256, 32, 32]),
];

const elementwise: Case[] = [
  ...[
    { operation: 'add', passes: 3 },
    { operation: 'multiply', passes: 3 },
    { operation: 'exp', passes: 2 },
    { operation: 'tanh', passes: 2 },
    { operation: 'gelu', passes: 2 },
  ].map(({ operation, passes }) => ({
    suite: 'elementwise',
    name: `${operation}, 1 M`,
    program: 'elementwise',
    parameters: { ...MILLION, operation },
    bytes: passes * PASS,
    quick: operation !== 'multiply',
  })),
  {
    suite: 'elementwise',
    name: 'add a row, [4096,256]',
    program: 'elementwise',
    parameters: { shape: [4096, 256], other: [256], operation: 'add' },
    bytes: 2 * PASS,
  },
];

const reductions: Case[] = [
  { name: 'sum, 1 M', parameters: { shape: [1024, 1024], operation: 'sum' } },
  { name: 'sum of rows, [4096,256]', parameters: { shape: [4096, 256], operation: 'sum', axis: 1 } },
  { name: 'sum of columns, [4096,256]', parameters: { shape: [4096, 256], operation: 'sum', axis: 0 } },
  { name: 'max of rows, [4096,256]', parameters: { shape: [4096, 256], operation: 'max', axis: 1 } },
].map((row) => ({ suite: 'reduction', program: 'reduction', bytes: PASS, ...row, quick: row.parameters.axis === 1 }));

const normalisation: Case[] = [
  { name: 'softmax, [4096,256]', program: 'softmax', passes: 2 },
  { name: 'softmax forward+backward, [4096,256]', program: 'softmax backward', passes: 5 },
  { name: 'layer norm, [4096,256]', program: 'layer norm', passes: 2 },
  { name: 'layer norm forward+backward, [4096,256]', program: 'layer norm backward', passes: 5 },
].map(({ passes, ...row }) => ({
  suite: 'normalisation',
  parameters: { shape: [4096, 256] },
  bytes: passes * PASS,
  // The parameters' gradients are sums of 4096 terms, in float32.
  tolerance: 1e-3,
  ...row,
}));

const movement: Case[] = [
  {
    suite: 'movement',
    name: 'embedding forward+backward, 8192 of 4096×128',
    program: 'embedding',
    parameters: { entries: 4096, width: 128, count: 8192 },
    // Their gradients do work for every pair of entry and index.
    tooSlow: ['tfjs-cpu', 'tfjs-wasm'],
    // Forward: rows read and written; backward: gradients read, the table's gradient written.
    bytes: 3 * 8192 * 128 * 4 + 4096 * 128 * 4,
  },
  {
    suite: 'movement',
    name: 'transpose, [1024,1024]',
    program: 'transpose',
    parameters: { shape: [1024, 1024], permutation: [1, 0] },
    bytes: 2 * PASS,
  },
  {
    suite: 'movement',
    name: 'transpose, [64,32,4,32] to heads',
    program: 'transpose',
    parameters: { shape: [64, 32, 4, 32], permutation: [0, 2, 1, 3] },
    bytes: 2 * 64 * 32 * 4 * 32 * 4,
  },
];

/** [batch, 32, 32, 32] → 64 filters of 3×3, stride 1. */
const CONVOLUTION = { shape: [16, 32, 32, 32], filters: 64, strides: 1 };
const CONVOLUTION_FLOPS = 2 * 16 * 32 * 32 * 9 * 32 * 64;
const convolutions: Case[] = [
  {
    suite: 'convolution',
    name: '3×3, [16,32,32,32] to 64',
    program: 'convolution',
    parameters: CONVOLUTION,
    flops: CONVOLUTION_FLOPS,
  },
  {
    suite: 'convolution',
    name: '3×3 forward+backward, [16,32,32,32] to 64',
    program: 'convolution backward',
    parameters: CONVOLUTION,
    flops: 3 * CONVOLUTION_FLOPS,
  },
];

const CHAIN = 32;
const dispatch: Case[] = [
  { suite: 'dispatch', name: 'add, 4 floats', program: 'dispatch', parameters: {}, unit: 'µs' },
  {
    suite: 'dispatch',
    name: 'add with gradient, 4 floats',
    program: 'dispatch with gradient',
    parameters: { count: CHAIN },
    unit: 'µs',
    calls: CHAIN,
  },
];

const TRANSFORMER = { layers: 3, width: 128, heads: 4, feedForward: 512, length: 32, batch: 64, vocabulary: 32 };

/** Multiply-adds of one training step count three times: forward, gradient of the input, gradient of the weights. */
const training: Case[] = [
  {
    name: 'Transformer step',
    program: 'transformer',
    parameters: TRANSFORMER,
    tooSlow: ['tfjs-cpu'],
    flops: transformerFlops(TRANSFORMER),
  },
  {
    name: 'MLP step',
    program: 'mlp',
    parameters: { batch: 128 },
    flops: 6 * 128 * (784 * 512 + 512 * 512 + 512 * 10) - 2 * 128 * 784 * 512,
  },
  {
    name: 'LSTM step',
    program: 'lstm',
    parameters: { batch: 64, length: 64, inputs: 128, hidden: 128 },
    flops: 6 * 64 * 64 * 4 * 128 * (128 + 128) - 2 * 64 * 64 * 4 * 128 * 128,
  },
  {
    name: 'CNN step',
    program: 'cnn',
    parameters: { batch: 64 },
    flops: 64 * 2 * (2 * 1024 * 27 * 32 + 3 * (256 * 288 * 64 + 64 * 576 * 64)),
  },
].map((row) => ({ suite: 'training', tolerance: 1e-3, ...row }));

/** All cases, in the order of the tables. */
export const CASES: readonly Case[] = [
  ...peakCases,
  ...gemms,
  ...elementwise,
  ...reductions,
  ...normalisation,
  ...movement,
  ...convolutions,
  ...dispatch,
  ...deltaRuleCases,
  ...linearAttentionCases,
  ...attentionCases,
  ...fastRecurrenceCases,
  ...selfReferentialCases,
  ...prefixCases,
  ...quantizerCases,
  ...routingCases,
  ...expertCases,
  ...rtrlCases,
  ...training,
  ...gpuCases,
];

/** For graphics cards, and only measured where it is asked for. */
export const GPU_SUITE = 'gpu';

/** The memory test is not a timing and has no case. */
export const MEMORY_SUITE = 'memory';

/** Suites in order. */
export const SUITES: readonly string[] = [...new Set(CASES.map(({ suite }) => suite)), MEMORY_SUITE];
