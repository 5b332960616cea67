import { describe, expect, it } from 'vitest';
import { CASES } from '../src/catalog.ts';
import type { CaseResult } from '../src/harness/measure.ts';
import { profileTable } from '../src/profile.ts';
import type { ResultsDocument } from '../src/report/document.ts';
import { digits, duration, markdownTable, textTable, times } from '../src/report/format.ts';
import { renderMarkdown } from '../src/report/markdown.ts';
import { judgeMemory } from '../src/report/memory.ts';
import { verdicts } from '../src/report/requirements.ts';
import { absencesOf, rowsOf } from '../src/report/rows.ts';

const measured = (median: number) => ({ kind: 'measured', median, minimum: median / 2, samples: 10 }) as const;

function resultOf(outcomes: Record<string, CaseResult['outcomes'] extends ReadonlyMap<string, infer O> ? O : never>) {
  return { outcomes: new Map(Object.entries(outcomes)), disagreements: [], slices: 1, disturbedSlices: 0 };
}

function caseNamed(name: string) {
  return CASES.find((entry) => entry.name === name)!;
}

const devices = [
  { name: 'native', threads: 1 },
  { name: 'native', threads: 2 },
] as const;
const peers = [
  { name: 'pytorch', threads: 1 },
  { name: 'pytorch', threads: 2 },
  { name: 'tfjs-wasm', threads: 1 },
] as const;

describe('yardsticks', () => {
  it('are cases', () => {
    for (const { yardstick } of CASES) if (yardstick !== undefined) expect(caseNamed(yardstick)).toBeDefined();
  });
});

describe('rows', () => {
  it('of a GPU tell operations and bytes, each beside what the card can', () => {
    const [benchmark] = CASES.filter(({ suite }) => suite === 'gpu') as [(typeof CASES)[0]];
    const outcomes = {
      'webgpu/1': measured(2),
      'pytorch-cuda/1': measured(8),
      'flash-linear-attention/1': measured(1),
    };
    const [row] = rowsOf(
      benchmark,
      resultOf(outcomes),
      [{ name: 'webgpu', threads: 1 }],
      [
        { name: 'pytorch-cuda', threads: 1 },
        { name: 'flash-linear-attention', threads: 1 },
      ],
      new Map([['webgpu/1', { flops: 60_000, bytes: 4000 }]]),
    );
    expect(benchmark.name).toBe('linear attention 1,8192,96,128');
    const numbers = 8192 * 96 * 128;
    expect(row?.rate).toBeCloseTo((4 * numbers * 128) / 2 / 1e6);
    expect(row?.peakFraction).toBeCloseTo((4 * numbers * 128) / 2 / 1e6 / 60_000);
    expect(row?.bandwidth).toBeCloseTo((16 * numbers) / 2 / 1e6);
    expect(row?.bandwidthFraction).toBeCloseTo((16 * numbers) / 2 / 1e6 / 4000);
    expect(row?.ratio).toEqual({ 'pytorch-cuda': 4, 'flash-linear-attention': 0.5 });
  });

  it('compare with peers of as many threads, and with tfjs always', () => {
    const outcomes = {
      'native/1': measured(4),
      'native/2': measured(2),
      'pytorch/1': measured(8),
      'pytorch/2': measured(5),
      'tfjs-wasm/1': measured(40),
    };
    const rows = rowsOf(
      caseNamed('n = 256'),
      resultOf(outcomes),
      devices,
      peers,
      new Map([['native/2', { flops: 100 }]]),
    );
    expect(rows.map((row) => row.ratio)).toEqual([
      { pytorch: 2, 'tfjs-wasm': 10 },
      { pytorch: 2.5, 'tfjs-wasm': 20 },
    ]);
    expect(rows[1]?.rate).toBeCloseTo((2 * 256 ** 3) / 2 / 1e6);
    expect(rows[1]?.peakFraction).toBeCloseTo((2 * 256 ** 3) / 2 / 1e6 / 100);
    expect(rows[0]).not.toHaveProperty('peakFraction');
  });

  it('tell times per operation where a call holds many', () => {
    const benchmark = caseNamed('add with gradient, 4 floats');
    const [row] = rowsOf(benchmark, resultOf({ 'native/1': measured(0.64) }), devices, peers, new Map());
    expect(row).toMatchObject({ unit: 'µs', median: 20, peers: {} });
  });

  it('compare with a yardstick from the same slices, whatever was measured at another time', () => {
    const [forward, peak] = [caseNamed('delta rule'), caseNamed('multiply-add')];
    // As many operations per thread as the yardstick in 80 times its time would be 1.
    const time = ((forward.flops as number) / (peak.flops as number) / 2) * 1.25;
    const result = resultOf({ 'native/2': { ...measured(20), relative: time } });
    const rows = rowsOf(forward, result, devices, peers, new Map(), peak);
    expect(rows[0]?.yardstick).toEqual({ name: 'multiply-add', time, rate: expect.closeTo(0.8) });
  });

  it('leave out what was not measured, with the reason beside', () => {
    const result = resultOf({ 'native/1': { kind: 'failed', reason: 'differs' } });
    const benchmark = caseNamed('n = 256');
    expect(rowsOf(benchmark, result, devices, peers, new Map())).toEqual([]);
    expect(absencesOf(benchmark, result)).toEqual([
      { suite: 'gemm', name: 'n = 256', who: 'native/1', kind: 'failed', reason: 'differs' },
    ]);
  });
});

/** A document in which native with two threads has the given ratios to PyTorch. */
function documentWith(ratios: Record<string, number>): ResultsDocument {
  return {
    format: 1,
    date: '2026-01-02T03:04:05.000Z',
    seconds: 61,
    quick: false,
    machine: { processor: 'P', processors: 2, memoryBytes: 2 ** 34, system: 'Linux 6' },
    versions: { node: '20.0.0' },
    peers: { 'native/2': { version: '1', threads: 2, detail: 'avx2' } },
    slices: 10,
    disturbedSlices: 0,
    rows: Object.entries(ratios).map(([name, ratio]) => ({
      suite: caseNamed(name).suite,
      name,
      device: 'native',
      threads: 2,
      median: 1,
      minimum: 1,
      unit: 'ms',
      peers: { pytorch: ratio },
      ratio: { pytorch: ratio },
    })),
    memory: [],
    absences: [],
  };
}

describe('requirements', () => {
  const gemmVerdict = (document: ResultsDocument) =>
    verdicts(document).find((verdict) => verdict.device === 'native' && verdict.text.startsWith('GEMM'));

  it('are reached only if the worst case reaches them', () => {
    expect(gemmVerdict(documentWith({ 'n = 256': 4, 'n = 512': 2, 'n = 1024': 1 }))).toMatchObject({
      worst: 1,
      mean: 2,
      reached: true,
    });
    expect(gemmVerdict(documentWith({ 'n = 256': 4, 'n = 512': 2, 'n = 1024': 0.99 }))?.reached).toBe(false);
  });

  it('may be about a rate', () => {
    const document = documentWith({ 'self-referential, d = 64': 30 });
    const reached = (rate: number) => {
      const rows = document.rows.map((row) => ({ ...row, threads: 1, rate }));
      return verdicts({ ...document, rows }).find(({ text }) => text === 'SRWM forward, d = 64');
    };
    expect(reached(34)).toMatchObject({ bound: '≥ 33 GFLOP/s', worst: 34, reached: true });
    expect(reached(32)?.reached).toBe(false);
  });

  it('are open without a measurement', () => {
    expect(gemmVerdict(documentWith({}))?.reached).toBeUndefined();
  });

  it('appear in the page with their verdict', () => {
    const page = renderMarkdown(documentWith({ 'Transformer step': 1.1, 'LSTM step': 1.5 }), 'some-page');
    expect(page).toContain('1 of 2 are reached.');
    expect(page).toContain('| Transformer step against PyTorch | native | 2 | ≥ 1.2 × | 1.10 × |  | NOT reached |');
    expect(page).toContain('| LSTM step against PyTorch | native | 2 | ≥ 1.0 × | 1.50 × |  | reached |');
    expect(page).not.toMatch(/undefined|NaN/);
  });
});

describe('a page', () => {
  it('names the card that a device or a peer computed on, as it names instruction sets', () => {
    const identity = { version: '1', threads: 1 };
    const peers = {
      'webgpu/1': { ...identity, detail: 'NVIDIA H200' },
      'pytorch-cuda/1': { ...identity, detail: 'H200' },
    };
    const on = (more: ResultsDocument['peers']) =>
      renderMarkdown({ ...documentWith({}), peers: { ...peers, ...more } }, 'page');
    expect(on({})).toContain('Instruction sets, or cards: webgpu: NVIDIA H200, pytorch-cuda: H200.');
    expect(on({})).not.toContain('one thread in Node');
    expect(on({ 'tfjs-wasm/1': { ...identity, detail: 'wasm' } })).toContain('H200.\n\n');
    expect(on({ 'tfjs-wasm/1': { ...identity, detail: 'wasm' } })).toContain('tfjs has one thread in Node.');
  });
});

describe('memory', () => {
  const samples = (residentBytes: number[], liveBytes: number[], tensors: number[]) => ({
    residentBytes,
    liveBytes,
    tensors,
    milliseconds: 1,
  });

  it('is flat if nothing grows, whatever happened at the start', () => {
    const result = judgeMemory(
      'wasm',
      1,
      900,
      samples([10, 50, 80, 100, 100, 101, 100, 101, 100], [7, 7, 7], [3, 3, 3]),
    );
    expect(result).toMatchObject({ flat: true, residentBytes: [100, 100] });
  });

  it('is not flat if resident memory, live bytes or tensors grow', () => {
    const flat = [100, 100, 100];
    expect(judgeMemory('wasm', 1, 3, samples([90, 100, 110], [7, 7, 7], [3, 3, 3])).flat).toBe(false);
    expect(judgeMemory('wasm', 1, 3, samples(flat, [7, 7, 71], [3, 3, 3])).flat).toBe(false);
    expect(judgeMemory('wasm', 1, 3, samples(flat, [7, 7, 7], [3, 4, 5])).flat).toBe(false);
  });
});

describe('profile', () => {
  it('sums small kernels up and shows the time outside all kernels', () => {
    const kernels = [
      { name: 'gemm', calls: 2, milliseconds: 6 },
      { name: 'a', calls: 1, milliseconds: 0.05 },
      { name: 'b', calls: 3, milliseconds: 0.05 },
    ];
    expect(profileTable({ milliseconds: 10, kernels }).split('\n').slice(2)).toEqual([
      'gemm                 2   6.00  60 %',
      '2 others             4  0.100   1 %',
      'outside kernels          3.90  39 %',
    ]);
  });
});

describe('format', () => {
  it('keeps three significant digits', () => {
    expect([0.0031234, 4.5678, 12.34, 1280.4, 0, Number.NaN].map(digits)).toEqual([
      '0.00312',
      '4.57',
      '12.3',
      '1280',
      '0',
      '–',
    ]);
    expect([times(1.234), times(31.4), times(undefined)]).toEqual(['1.23 ×', '31 ×', '–']);
    expect([duration(59.4), duration(200)]).toEqual(['59 s', '3 min 20 s']);
  });

  it('aligns text to the left and numbers to the right', () => {
    expect(
      textTable(
        ['name', 'ms'],
        [
          ['a', '1'],
          ['long', '100'],
        ],
      ),
    ).toBe(['name   ms', '────  ───', 'a       1', 'long  100'].join('\n'));
  });

  it('escapes bars in Markdown cells', () => {
    expect(markdownTable(['a', 'b'], [['x|y', '1']])).toBe('| a | b |\n|---|---:|\n| x\\|y | 1 |');
  });
});
