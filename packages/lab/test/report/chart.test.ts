import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import type { Chart, PublishedRow } from '../../src/experiment.ts';
import { metricsChart, resultsChart } from '../../src/report/chart.ts';
import { panelSvg } from '../../src/report/chart-svg.ts';
import { chartFigure } from '../../src/report/page.ts';
import { ROWS } from './run-fixture.ts';

const chart: Chart = { title: 'Loss by keys', from: 'results', x: 'keys', y: 'loss', series: 'model' };
const published: PublishedRow[] = [
  { model: 'linear', keys: 60, loss: 0.06, source: '' },
  { model: 'linear', keys: 600, loss: 0.6, source: '' },
  { model: 'not ours', keys: 60, loss: 0.6, source: '' },
];

function draw(model: ReturnType<typeof resultsChart>, panel = 0): Element {
  const markup = panelSvg(model!, model!.panels[panel]!, { width: 400, height: 300 });
  return parseHTML(`<body>${markup}</body>`).document.querySelector('svg') as unknown as Element;
}

describe('a diagram of results', () => {
  it('has mean and spread over seeds, in the order of the axis', () => {
    const line = resultsChart(chart, ROWS.toReversed(), [])?.panels[0]?.lines.find(({ series }) => series === 'linear');
    expect(line?.points.map(({ x }) => x)).toEqual([20, 60, 100]);
    expect(line?.points[1]?.y).toBeCloseTo(0.075, 12);
    expect((line?.points[1]?.high ?? 0) - (line?.points[1]?.y ?? 0)).toBeCloseTo(0.01 * Math.SQRT1_2, 12);
  });

  it('has the published numbers of the same curves, as far as ours reach', () => {
    const lines = resultsChart(chart, ROWS, published)?.panels[0]?.lines.filter(({ kind }) => kind === 'published');
    expect(lines).toEqual([{ series: 'linear', kind: 'published', points: [{ x: 60, y: 0.06 }] }]);
  });

  it('has several points of a row where they are spread over fields', () => {
    const spread = { ...chart, x: 'length', y: 'accuracy', spread: { accuracy50: 50, accuracy100: 100 } };
    const row = { model: 'linear', seed: 1, accuracy100: 0.5, accuracy50: 1 };
    const theirs = [{ model: 'linear', accuracy100: 0.25, source: '' }];
    const lines = resultsChart(spread, [row, { ...row, seed: 2, accuracy100: null }], theirs)?.panels[0]?.lines;
    expect(lines?.map(({ kind, points }) => [kind, points.map(({ x, y }) => [x, y])])).toEqual([
      [
        'mean',
        [
          [50, 1],
          [100, 0.5],
        ],
      ],
      ['published', [[100, 0.25]]],
    ]);
  });

  it('has a panel for each value of the facet', () => {
    const facetted = resultsChart({ ...chart, x: 'model', series: 'model', facet: 'keys' }, ROWS, published);
    expect(facetted?.panels.map(({ title }) => title)).toEqual(['keys = 20', 'keys = 60', 'keys = 100']);
    expect(facetted?.panels.map(({ lines }) => lines.some(({ kind }) => kind === 'published'))).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('is not drawn without numbers', () => {
    expect(resultsChart({ ...chart, y: 'absent' }, ROWS, published)).toBeUndefined();
  });

  it('draws a band and filled markers for ours, dashes and hollow markers for the paper', () => {
    const svg = draw(resultsChart(chart, ROWS, published));
    expect(svg.querySelectorAll('[aria-label=area] path').length).toBe(2);
    expect(svg.querySelectorAll('[stroke-dasharray]').length).toBe(1);
    expect(svg.querySelectorAll('[aria-label=dot] :is(path, circle)').length).toBe(7);
    const hollow = svg.querySelectorAll('[aria-label=dot][fill="var(--page)"]');
    expect([...hollow].map(({ children }) => children.length)).toEqual([1]);
    expect(svg.outerHTML).not.toContain('NaN');
  });

  it('draws on a logarithmic axis what is positive, and every tick is a power of ten', () => {
    const zeros = ROWS.map((row) => (row['model'] === 'delta' ? { ...row, loss: 0 } : row));
    const svg = draw(resultsChart({ ...chart, yScale: 'log' }, zeros, []));
    expect(svg.querySelectorAll('[aria-label=dot] :is(path, circle)').length).toBe(3);
    expect(svg.outerHTML).not.toMatch(/NaN|Infinity/);
    const ticks = [...svg.querySelectorAll('[aria-label="y-axis tick label"] text')].map((tick) => tick.textContent);
    expect(ticks).toEqual(['0.01', '0.1', '1']);
  });

  it('begins the vertical axis at zero, unless the numbers are far from it and near to each other', () => {
    const ticks = (losses: readonly number[]): string[] => {
      const rows = losses.map((loss, seed) => ({ model: 'linear', keys: seed, loss, seed: 1 }));
      const labels = draw(resultsChart(chart, rows, [])).querySelectorAll('[aria-label="y-axis tick label"] text');
      return [...labels].map((label) => label.textContent);
    };
    expect(ticks([0.1, 0.5])[0]).toBe('0');
    expect(Number(ticks([34, 36])[0])).toBeGreaterThan(30);
    expect(Number(ticks([34, 36])[0])).toBeLessThanOrEqual(34);
    expect(ticks([-1, 1])[0]).toBe('−1');
    expect(ticks([0, 0]).length).toBeGreaterThan(1);
  });

  it('ends a band at zero where nothing is negative', () => {
    const rows = [0.001, 0.9].map((loss, seed) => ({ model: 'linear', keys: 1, loss, seed }));
    const svg = draw(resultsChart(chart, rows, []));
    expect(svg.querySelector('[aria-label="y-axis tick label"] text')?.textContent).toBe('0');
  });

  it('draws words on the horizontal axis, and a single place', () => {
    const words = draw(resultsChart({ ...chart, x: 'model' }, ROWS, []));
    expect(words.outerHTML).toContain('>delta<');
    const single = draw(resultsChart(chart, ROWS.slice(0, 1), []));
    expect(single.outerHTML).not.toMatch(/NaN|Infinity/);
  });

  it('draws the level of chance with its label', () => {
    const svg = draw(resultsChart({ ...chart, rule: { y: 0.5, label: 'chance' } }, ROWS, []));
    expect(svg.outerHTML).toContain('>chance<');
  });

  it('says in words what it shows', () => {
    const label = draw(resultsChart(chart, ROWS, published)).getAttribute('aria-label');
    expect(label).toContain('loss over keys');
    expect(label).toContain('linear: from 0.035 at 20 to 0.115 at 100');
    expect(label).toContain('linear as published: 0.06 at 60');
  });
});

describe('a diagram of metrics', () => {
  const metrics = [1, 2].map((seed) => ({
    key: { model: 'linear', keys: 20 },
    seed,
    field: 'loss',
    points: [
      { step: 1, value: 2 },
      { step: 1000, value: 1 },
    ],
  }));

  it('has a curve for every seed, all in the colour of their series', () => {
    const model = metricsChart({ ...chart, from: 'metrics', x: 'step', facet: 'keys' }, metrics);
    expect(model?.series).toEqual(['linear']);
    expect(model?.panels[0]?.lines.map(({ kind }) => kind)).toEqual(['trace', 'trace']);
    expect(draw(model).querySelectorAll('[aria-label=line] path').length).toBe(2);
  });

  it('is not drawn if the quantity was not logged', () => {
    expect(metricsChart({ ...chart, from: 'metrics', y: 'accuracy' }, metrics)).toBeUndefined();
  });
});

describe('chartFigure', () => {
  it('folds panels away if there are many', () => {
    const rows = Array.from({ length: 12 }, (_, keys) => ({ model: 'linear', keys, steps: 1, loss: keys, seed: 1 }));
    const model = resultsChart({ ...chart, x: 'steps', facet: 'keys' }, rows, []);
    const { document } = parseHTML(chartFigure(model!).markup);
    expect(document.querySelectorAll('.panel').length).toBe(12);
    expect(document.querySelectorAll('details .panel').length).toBe(4);
    expect(document.querySelector('summary')?.textContent).toBe('4 more');
  });
});
