import { describe, expect, it } from 'vitest';
import type { PublishedRow, Row } from '../../src/experiment.ts';
import { comparisonTables, publishedFor } from '../../src/report/comparison-table.ts';
import { formatTable } from '../../src/report/format-table.ts';
import { hasColors } from '../../src/report/text-table.ts';

const rows: Row[] = [1, 2].flatMap((seed) =>
  [60, 20].flatMap((keys) =>
    ['linear', 'dpfp-1'].map((model) => ({
      model,
      keys,
      loss: model === 'linear' ? keys / 1000 + seed / 100 : 0.0004,
      steps: 100,
      seed,
    })),
  ),
);
const published: PublishedRow[] = [
  { model: 'linear', keys: 60, loss: 0.062, source: 'logs' },
  { model: 'linear', keys: 600, loss: 0.5, source: 'logs' },
];
const input = {
  layout: { metric: 'loss', rows: 'keys', columns: 'model' },
  keyFields: ['model', 'keys'],
  rows,
  published,
};

describe('comparisonTables', () => {
  it('averages over seeds and sets the published number beside ours', () => {
    const [table] = comparisonTables(input);
    expect(table?.rowValues).toEqual([20, 60]);
    expect(table?.columnValues).toEqual(['linear', 'dpfp-1']);
    const cell = table?.cells[1]?.[0];
    expect(cell?.ours?.mean).toBeCloseTo(0.075, 12);
    expect(cell?.ours?.std).toBeCloseTo(0.01 * Math.SQRT1_2, 12);
    expect(cell?.published).toBe(0.062);
    expect(cell?.difference).toBeCloseTo(0.013, 12);
    expect(table?.cells[0]?.[0]?.published).toBeUndefined();
  });

  it('makes a table for each value of a field that the layout leaves out', () => {
    const tables = comparisonTables({ ...input, layout: { metric: 'loss', rows: 'keys' } });
    expect(tables.map(({ fixed }) => fixed)).toEqual([{ model: 'linear' }, { model: 'dpfp-1' }]);
    expect(tables.every(({ columnValues }) => columnValues.length === 1)).toBe(true);
  });

  it('counts seeds without a measurement and leaves them out of the mean', () => {
    const diverged = rows.map((row) => (row.seed === 2 ? { ...row, loss: null } : row));
    const cell = comparisonTables({ ...input, rows: diverged })[0]?.cells[0]?.[0];
    expect(cell?.ours).toEqual({ mean: 0.03, std: undefined, count: 1 });
    expect(cell?.missing).toBe(1);
  });
});

describe('publishedFor', () => {
  const row = { model: 'linear', keys: 60, loss: 1, seed: 1 };

  it('takes the row that names most of the key and contradicts nothing', () => {
    const rowsOfPaper: PublishedRow[] = [
      { model: 'linear', loss: 1, source: 'any number of keys' },
      { model: 'linear', keys: 60, loss: 2, source: 'both' },
      { model: 'linear', keys: 20, loss: 3, source: 'another' },
      { model: 'linear', keys: 60, accuracy: 4, source: 'another metric' },
    ];
    expect(publishedFor(row, ['model', 'keys'], 'loss', rowsOfPaper)?.source).toBe('both');
    expect(publishedFor({ ...row, keys: 40 }, ['model', 'keys'], 'loss', rowsOfPaper)?.source).toBe(
      'any number of keys',
    );
    expect(publishedFor({ ...row, model: 'x' }, ['model', 'keys'], 'loss', rowsOfPaper)).toBeUndefined();
  });

  it('gives a trial without a key the published row without one', () => {
    expect(publishedFor({ loss: 1, seed: 1 }, [], 'loss', [{ loss: 2, source: 'paper' }])?.source).toBe('paper');
  });
});

describe('formatTable', () => {
  const widest = (text: string): number =>
    Math.max(
      ...text
        .split('\n')
        .slice(2)
        .map((line) => line.length),
    );

  it('aligns all lines', () => {
    const lines = formatTable(input).split('\n').slice(3);
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.lastIndexOf('±'))).size).toBe(2);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[2]).toMatch(/60 +0\.0750 ± 0\.0071 +0\.062 +\+0\.0130/);
  });

  it('is never wider than the terminal: the paper’s numbers go in brackets, then every cell gets a line', () => {
    const third = rows.filter(({ model }) => model === 'linear').map((row) => ({ ...row, model: 'softmax' }));
    const three = { ...input, rows: [...rows, ...third] };
    const brackets = formatTable(three, { width: 52 });
    expect(widest(brackets)).toBeLessThanOrEqual(52);
    expect(brackets).toMatch(/in brackets.*linear +0\.0350 ± 0\.0071 +0\.0750 ± 0\.0071 \(0\.062\)/s);
    const long = formatTable(three, { width: 48 });
    expect(widest(long)).toBeLessThanOrEqual(48);
    expect(long).toMatch(/60 +linear +0\.0750 ± 0\.0071 +0\.062 +\+0\.0130/);
    expect(long.split('\n').slice(4)).toHaveLength(6);
  });

  it('exchanges rows and columns if only that fits', () => {
    const wide = { ...input, layout: { metric: 'loss', rows: 'model', columns: 'keys' } };
    const full = widest(formatTable(wide));
    expect(formatTable(wide, { width: full })).toContain('keys = 20');
    const narrower = formatTable(wide, { width: full - 1 });
    expect(widest(narrower)).toBeLessThan(full);
    expect(narrower).toMatch(/^keys +linear/m);
  });

  it('is a valid Markdown table if asked', () => {
    const lines = formatTable(
      { ...input, rows: rows.map((row) => ({ ...row, model: `a|${row.model}` })) },
      { format: 'markdown' },
    )
      .split('\n')
      .filter((line) => line.startsWith('|'));
    const cells = lines.map((line) => line.split(/(?<!\\)\|/).length);
    expect(lines.length).toBe(4);
    expect(new Set(cells).size).toBe(1);
  });

  it('has no escape sequences without colours and is the same text with them', () => {
    const colored = formatTable(input, { colors: true });
    expect(colored).toContain('\u001b[');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is removed
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(formatTable(input));
  });

  it('is empty without rows', () => {
    expect(formatTable({ ...input, rows: [] })).toBe('');
  });
});

describe('hasColors', () => {
  it('is for terminals, unless NO_COLOR or TERM=dumb say no or FORCE_COLOR says yes', () => {
    expect(hasColors({ isTTY: true }, {})).toBe(true);
    expect(hasColors({ isTTY: false }, {})).toBe(false);
    expect(hasColors({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(hasColors({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
    expect(hasColors({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(hasColors({}, { FORCE_COLOR: '1' })).toBe(true);
    expect(hasColors({ isTTY: true }, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  });
});
