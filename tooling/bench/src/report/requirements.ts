/** What the engine must reach, and whether it does: ratios against peers in the same run, on two threads. */

import { DELTA_RULE_ROWS } from '../delta-rule-cases.ts';
import { EXPERT_ROWS } from '../expert-cases.ts';
import { GPU_ROWS } from '../gpu-cases.ts';
import { geometricMean } from '../harness/statistics.ts';
import { PEAK_ROW } from '../peak-cases.ts';
import { PREFIX_ROWS } from '../prefix-cases.ts';
import { QUANTIZER_ROWS } from '../quantizer-cases.ts';
import { ROUTING_ROWS } from '../routing-cases.ts';
import { RTRL_ROWS } from '../rtrl-cases.ts';
import type { ResultsDocument } from './document.ts';
import type { Row } from './rows.ts';

/** One requirement with its verdict. */
export interface Verdict {
  readonly text: string;
  readonly device: string;
  readonly threads: number;
  /** Human-readable bound, for example `≥ 1.0 ×`. */
  readonly bound: string;
  /** The worst of the parts; undefined if nothing was measured. */
  readonly worst: number | undefined;
  /** Geometric mean of the parts. */
  readonly mean: number | undefined;
  /** The value of each row that counts. */
  readonly parts: readonly { readonly name: string; readonly value: number }[];
  /** Whether the worst part keeps the bound. */
  readonly reached: boolean | undefined;
}

interface Requirement {
  readonly text: string;
  readonly device: string;
  readonly threads: number;
  readonly rows: (row: Row) => boolean;
  /** The peer that counts, or undefined for the median itself. */
  readonly peer?: string;
  /** Another row, whose median ours is divided by: in the same slices, where it is the case's yardstick. */
  readonly over?: string;
  /** Another row, whose rate ours is divided by; likewise. */
  readonly rateOver?: string;
  /** Whether what counts is the rate, in GFLOP/s. */
  readonly isRate?: boolean;
  /** Whether what counts is how many times faster it is than on one thread. */
  readonly overOneThread?: boolean;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const named =
  (...names: string[]) =>
  (row: Row): boolean =>
    names.includes(row.name);
const LARGE_GEMM = named('n = 256', 'n = 512', 'n = 1024');
const MILLION = (row: Row): boolean =>
  (row.suite === 'elementwise' && row.name.endsWith('1 M')) ||
  row.name === 'softmax, [4096,256]' ||
  row.name === 'layer norm, [4096,256]';

const TITLES: Readonly<Record<string, string>> = { pytorch: 'PyTorch', 'pytorch-cuda': 'PyTorch (CUDA)' };

const REQUIREMENTS: readonly Requirement[] = [
  {
    text: 'GEMM 256-1024 against PyTorch',
    device: 'native',
    threads: 2,
    rows: LARGE_GEMM,
    peer: 'pytorch',
    atLeast: 1,
  },
  {
    text: 'GEMM 256-1024 against PyTorch',
    device: 'wasm',
    threads: 2,
    rows: LARGE_GEMM,
    peer: 'pytorch',
    atLeast: 0.4,
  },
  {
    text: 'GEMM 256-1024 against tfjs-wasm',
    device: 'wasm',
    threads: 1,
    rows: LARGE_GEMM,
    peer: 'tfjs-wasm',
    atLeast: 1.3,
  },
  ...(
    [
      ['Transformer step', 'pytorch', 1.2, 0.4],
      ['Transformer step', 'tfjs-wasm', undefined, 25],
      ['LSTM step', 'pytorch', 1, 0.4],
      ['CNN step', 'pytorch', 0.7, 0.3],
    ] as const
  ).flatMap(([name, peer, native, wasm]) =>
    (
      [
        ['native', native],
        ['wasm', wasm],
      ] as const
    ).flatMap(([device, atLeast]): Requirement[] =>
      atLeast === undefined
        ? []
        : [{ text: `${name} against ${titleOf(peer)}`, device, threads: 2, rows: named(name), peer, atLeast }],
    ),
  ),
  ...(
    [
      ['native', 1],
      ['wasm', 0.6],
    ] as const
  ).map(
    ([device, atLeast]): Requirement => ({
      text: 'Elementwise, softmax, layer norm on 1 M floats against PyTorch',
      device,
      threads: 2,
      rows: MILLION,
      peer: 'pytorch',
      atLeast,
    }),
  ),
  // 60 % of what two passes over W reach at best on a core whose multiply-add peak is 115 GFLOP/s: 70 in the first-level
  // cache, 55 beyond it.
  ...(
    [
      ['SRWM forward, d = 16 and 32', ['self-referential, d = 16', 'self-referential, d = 32'], 42],
      ['SRWM forward, d = 64', ['self-referential, d = 64'], 33],
    ] as const
  ).map(
    ([text, names, atLeast]): Requirement => ({
      text,
      device: 'native',
      threads: 1,
      rows: named(...names),
      isRate: true,
      atLeast,
    }),
  ),
  {
    text: 'SRWM both ways against an eager loop in PyTorch',
    device: 'native',
    threads: 2,
    rows: (row) => row.suite === 'srwm' && row.name.endsWith('both ways'),
    peer: 'pytorch',
    atLeast: 20,
  },
  {
    text: 'Delta rule forward, per core, of the peak',
    ...{ device: 'native', threads: 1, rows: named(DELTA_RULE_ROWS.forward), rateOver: PEAK_ROW, atLeast: 0.8 },
  },
  {
    // 80 % forward and 60 % backward, which has 14 of 20 operations.
    text: 'Delta rule both ways, per core, of the peak',
    ...{ device: 'native', threads: 1, rows: named(DELTA_RULE_ROWS.bothWays), rateOver: PEAK_ROW, atLeast: 0.65 },
  },
  {
    text: 'Delta rule forward, per core',
    ...{ device: 'wasm', threads: 1, rows: named(DELTA_RULE_ROWS.forward), isRate: true, atLeast: 34 },
  },
  {
    // 34 GFLOP/s forward and 23 backward.
    text: 'Delta rule both ways, per core',
    ...{ device: 'wasm', threads: 1, rows: named(DELTA_RULE_ROWS.bothWays), isRate: true, atLeast: 25 },
  },
  {
    text: 'Delta rule on two threads against one',
    ...{ device: 'native', threads: 2, rows: named(DELTA_RULE_ROWS.forward, DELTA_RULE_ROWS.bothWays) },
    ...{ overOneThread: true, atLeast: 1.8 },
  },
  {
    text: 'Delta rule both ways against an eager loop in PyTorch',
    ...{ device: 'native', threads: 2, rows: named(DELTA_RULE_ROWS.loop), peer: 'pytorch', atLeast: 30 },
  },
  {
    text: 'Delta rule both ways against chunks in PyTorch',
    ...{ device: 'native', threads: 2, rows: named(DELTA_RULE_ROWS.bothWays), peer: 'pytorch', atLeast: 3 },
  },
  ...(['native', 'wasm'] as const).map(
    (device): Requirement => ({
      text: 'Delta rule, a step of 65,536 against one of 1,024',
      ...{ device, threads: 1, rows: named(DELTA_RULE_ROWS.longest), over: DELTA_RULE_ROWS.shortest, atMost: 1.25 },
    }),
  ),
  ...(['native', 'wasm'] as const).map(
    (device): Requirement => ({
      text: 'Dispatch of a tiny operation without gradient',
      device,
      threads: 2,
      rows: named('add, 4 floats'),
      atMost: 5,
    }),
  ),
  {
    text: 'Delta rule both ways on a GPU, steps composed of tfjs operations against the kernel',
    ...{ device: 'webgpu', threads: 1, rows: named(GPU_ROWS.composed), over: GPU_ROWS.kernel, atLeast: 50 },
  },
  {
    // It computes in bfloat16, ours in float32.
    text: 'Delta rule and gated delta rule on a GPU, forward, against flash-linear-attention',
    ...{ device: 'webgpu', threads: 1, rows: named(...GPU_ROWS.deltaRuleForward) },
    ...{ peer: 'flash-linear-attention', atLeast: 0.25 },
  },
  ...(['native', 'wasm'] as const).flatMap((device): Requirement[] => [
    {
      ...{ text: 'Step of a quantiser against the distances alone', device, threads: 2 },
      ...{ rows: named(QUANTIZER_ROWS.none, QUANTIZER_ROWS.hard), over: QUANTIZER_ROWS.distances, atMost: 1.3 },
    },
    {
      ...{ text: 'Hard neighbourhood against EMA-VQ', device, threads: 2 },
      ...{ rows: named(QUANTIZER_ROWS.hard), over: QUANTIZER_ROWS.none, atMost: 1.05 },
    },
  ]),
  {
    text: "Step of a quantiser against the authors' order of operations in PyTorch",
    ...{ device: 'native', threads: 2, rows: named(QUANTIZER_ROWS.hard), peer: 'pytorch', atLeast: 3 },
  },
  ...(
    [
      ['native', 45],
      ['wasm', 22],
    ] as const
  ).map(
    ([device, atLeast]): Requirement => ({
      text: 'Sensitivities of real-time recurrent learning, per core',
      ...{ device, threads: 1, rows: named(RTRL_ROWS.segment), isRate: true, atLeast },
    }),
  ),
  {
    text: "Sensitivities against the authors' formulation in PyTorch",
    ...{ device: 'native', threads: 2, rows: named(RTRL_ROWS.segment), peer: 'pytorch', atLeast: 10 },
  },
  ...(['native', 'wasm'] as const).map(
    (device): Requirement => ({
      text: 'Tree of 1024 chunks by levels against node by node',
      ...{ device, threads: 2, rows: named(PREFIX_ROWS.levels), over: PREFIX_ROWS.nodes, atMost: 0.33 },
    }),
  ),
  {
    text: 'Neural Data Router step against PyTorch',
    ...{ device: 'native', threads: 2, rows: named(ROUTING_ROWS.router), peer: 'pytorch', atLeast: 1.5 },
  },
  {
    text: 'Neural Data Router step against a universal Transformer',
    ...{ device: 'native', threads: 2, rows: named(ROUTING_ROWS.router), over: ROUTING_ROWS.universal, atMost: 1.3 },
  },
  {
    text: 'Neural Data Router step against a universal Transformer with relative positions',
    ...{ device: 'native', threads: 2, rows: named(ROUTING_ROWS.router), over: ROUTING_ROWS.relative, atMost: 1.3 },
  },
  ...(['native', 'wasm'] as const).flatMap((device): Requirement[] => [
    {
      ...{ text: 'Products with experts, by the rate of a dense product', device, threads: 2 },
      ...{ rows: named(EXPERT_ROWS.products, EXPERT_ROWS.layers), rateOver: EXPERT_ROWS.dense, atLeast: 0.75 },
    },
    {
      ...{ text: 'Their gradients, by the rate of a dense product', device, threads: 2 },
      rows: named(EXPERT_ROWS.productsGradient, EXPERT_ROWS.layersGradient),
      ...{ rateOver: EXPERT_ROWS.dense, atLeast: 0.6 },
    },
    {
      ...{ text: 'Layers of 128 experts against 16, with as many active', device, threads: 2 },
      ...{ rows: named(EXPERT_ROWS.many), over: EXPERT_ROWS.few, atMost: 1.25 },
    },
    {
      ...{ text: 'Step of σ-MoE with a quarter of the units against a dense block', device, threads: 2 },
      ...{ rows: named(EXPERT_ROWS.step), over: EXPERT_ROWS.denseStep, atMost: 0.5 },
    },
  ]),
  {
    text: 'Step of σ-MoE against a loop over experts in PyTorch',
    ...{ device: 'native', threads: 2, rows: named(EXPERT_ROWS.step), peer: 'pytorch', atLeast: 1.5 },
  },
];

/** How a peer is called in sentences. */
export function titleOf(peer: string): string {
  return TITLES[peer] ?? peer;
}

/** What counts of a row, among all rows of a run. */
function measureOf(
  { peer, isRate, over, rateOver, overOneThread }: Requirement,
  row: Row,
  rows: readonly Row[],
): number | undefined {
  const measured = rows.filter(({ device, threads }) => device === row.device && threads === row.threads);
  if (overOneThread) {
    const alone = rows.find(({ name, device, threads }) => name === row.name && device === row.device && threads === 1);
    return alone && alone.median / row.median;
  }
  if (isRate) return row.rate;
  if (peer !== undefined) return row.ratio[peer];
  if (row.yardstick !== undefined && row.yardstick.name === rateOver) return row.yardstick.rate;
  if (row.yardstick !== undefined && row.yardstick.name === over) return row.yardstick.time;
  if (rateOver !== undefined) {
    const rate = measured.find(({ name }) => name === rateOver)?.rate;
    return row.rate === undefined || rate === undefined ? undefined : row.rate / rate;
  }
  if (over === undefined) return row.median;
  const other = measured.find(({ name }) => name === over);
  return other && row.median / other.median;
}

/** The bound in words. */
function boundOf({ isRate, over, rateOver, atLeast, atMost }: Requirement): string {
  if (atLeast === undefined) return `≤ ${atMost} ${over === undefined ? 'µs' : '×'}`;
  if (rateOver !== undefined) return `≥ ${atLeast} ×`;
  return isRate ? `≥ ${atLeast} GFLOP/s` : `≥ ${atLeast.toFixed(1)} ×`;
}

/** Judges a run: a requirement is reached if every row that counts keeps it. */
export function verdicts(document: ResultsDocument): Verdict[] {
  const judged = REQUIREMENTS.map((requirement): Verdict => {
    const { text, device, threads, rows, atLeast, atMost } = requirement;
    const measured = document.rows.filter((row) => row.device === device && row.threads === threads);
    const parts = measured.filter(rows).flatMap((row) => {
      const value = measureOf(requirement, row, document.rows);
      return value === undefined ? [] : [{ name: row.name, value }];
    });
    const bound = boundOf(requirement);
    if (parts.length === 0)
      return { text, device, threads, bound, worst: undefined, mean: undefined, parts, reached: undefined };
    const values = parts.map((part) => part.value);
    const worst = atLeast === undefined ? Math.max(...values) : Math.min(...values);
    const reached = atLeast === undefined ? worst <= (atMost as number) : worst >= atLeast;
    return { text, device, threads, bound, worst, mean: geometricMean(values), parts, reached };
  });
  for (const { device, threads, steps, flat } of document.memory) {
    const text = `Resident memory over ${steps.toLocaleString('en')} training steps`;
    judged.push({ text, device, threads, bound: 'flat', worst: undefined, mean: undefined, parts: [], reached: flat });
  }
  return judged;
}
