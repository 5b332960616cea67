import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { compareRuns, readRuns } from '../../src/compare/comparison.ts';
import { comparisonPage } from '../../src/compare/comparison-page.ts';
import { formatComparison } from '../../src/compare/format-comparison.ts';
import { UsageError } from '../../src/errors.ts';
import { ROWS, type RunFixture, writeRunFixture } from '../report/run-fixture.ts';

const SLOWER: RunFixture = {
  config: {
    config: { keys: [20, 60, 100], training: { steps: 40, learningRate: 0.001 }, name: '<b>bold</b>' },
    device: { name: 'native', backend: 'fwp', threads: 2, simd: 'avx2', version: '0.1.0', notes: [] },
  },
  results: {
    rows: ROWS.filter((row) => row['keys'] !== 100).map((row) => ({ ...row, loss: 2 * (row['loss'] as number) })),
    state: 'interrupted',
  },
};

async function twoRuns(second: RunFixture = SLOWER) {
  return readRuns([await writeRunFixture(), await writeRunFixture(second)]);
}

describe('compareRuns', () => {
  it('aligns trials by their keys, with differences and ratios against the first run', async () => {
    const { rows, keyFields } = compareRuns(await twoRuns());
    expect(keyFields).toEqual(['model', 'keys']);
    expect(rows.map(({ key }) => key)).toContainEqual({ model: 'delta', keys: 60 });
    const [row] = rows.filter(({ key }) => key['model'] === 'linear' && key['keys'] === 60);
    expect(row?.values[0]).toMatchObject({ difference: null, ratio: null, count: 2 });
    expect(row?.values[1]?.mean).toBeCloseTo(0.15, 12);
    expect(row?.values[1]?.difference).toBeCloseTo(0.075, 12);
    expect(row?.values[1]?.ratio).toBeCloseTo(2, 12);
  });

  it('shows what one run has not measured as nothing', async () => {
    const { rows } = compareRuns(await twoRuns());
    const [row] = rows.filter(({ key }) => key['model'] === 'linear' && key['keys'] === 100);
    expect(row?.values[0]?.mean).toBeCloseTo(0.115, 12);
    expect(row?.values[1]).toBeNull();
  });

  it('lists the settings and circumstances that differ, and no others', async () => {
    expect(compareRuns(await twoRuns()).settings).toEqual([
      { name: 'device', values: ['wasm (simd128)', 'native (avx2)'] },
      { name: 'training.steps', values: ['20', '40'] },
    ]);
    expect(compareRuns(await twoRuns({})).settings).toEqual([]);
  });

  it('has no ratio to zero', async () => {
    const zero = { results: { rows: ROWS.map((row) => ({ ...row, loss: 0 })) } };
    const runs = await readRuns([await writeRunFixture(zero), await writeRunFixture()]);
    expect(compareRuns(runs).rows.every(({ values }) => values[1]?.ratio === null)).toBe(true);
  });

  it('refuses runs of different experiments, and names both', async () => {
    const runs = await twoRuns({ config: { id: 'test/other' } });
    expect(() => compareRuns(runs)).toThrow(UsageError);
    expect(() => compareRuns(runs)).toThrow(/test\/capacity.*test\/other/);
  });

  it('refuses a measurement that there is not, and suggests one', async () => {
    const runs = await twoRuns();
    expect(() => compareRuns(runs, 'los')).toThrow(/Did you mean 'loss'\?/);
    expect(() => compareRuns(runs, 'keys')).toThrow(UsageError);
  });

  it('needs two runs with a finished trial', async () => {
    await expect(readRuns([await writeRunFixture()])).rejects.toThrow(UsageError);
    const nothing = { results: { rows: [] }, metrics: [] };
    const runs = await readRuns([await writeRunFixture(nothing), await writeRunFixture(nothing)]);
    expect(() => compareRuns(runs)).toThrow(/finished trial/);
  });
});

describe('formatComparison', () => {
  it('shows runs, differing settings and measurements', async () => {
    const text = formatComparison(compareRuns(await twoRuns()));
    expect(text).toMatch(/training\.steps +20 +40/);
    expect(text).toMatch(/linear +60 +0\.0750 ± 0\.0071 +0\.1500 ± 0\.0141 +\+0\.0750 +2$/m);
    expect(text).toMatch(/interrupted/);
    expect(text).not.toContain('\u001b');
  });

  it('is Markdown if asked', async () => {
    const text = formatComparison(compareRuns(await twoRuns()), { format: 'markdown' });
    expect(text).toContain('| training.steps | 20 | 40 |');
  });
});

describe('comparisonPage', () => {
  it('is one file with a table and a panel for each curve, in which every run is a line', async () => {
    const runs = await twoRuns();
    const text = await comparisonPage(compareRuns(runs), runs);
    const document = parseHTML(text).document as unknown as Document;
    expect(document.querySelectorAll('script, link, [src]').length).toBe(0);
    expect(document.querySelectorAll('table').length).toBe(3);
    const figures = [...document.querySelectorAll('figure')];
    expect(figures.map((figure) => figure.querySelectorAll('.panel').length)).toEqual([2, 6]);
    const lines = figures[0]?.querySelector('.panel svg')?.querySelectorAll('[aria-label=line] path');
    expect(lines?.length).toBe(2);
    expect(figures[0]?.querySelectorAll('.legend li').length).toBe(2);
    expect(document.querySelector('b')).toBeNull();
  });
});
