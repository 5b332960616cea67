/** What a diagram shows, before it is drawn: lines of points, in one panel or in several that share their scales. */

import type { Cell, Chart, PublishedRow, Row } from '../experiment.ts';
import { distinct, groupBy } from './comparison-table.ts';
import type { MetricLine } from './metrics.ts';
import { formatCell } from './number-format.ts';
import { summarize } from './statistics.ts';

/** A diagram. */
export interface ChartModel {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly yScale: 'linear' | 'log';
  readonly rule?: { readonly y: number; readonly label: string };
  /** Names of the curves; a name has the same colour and marker in every panel. */
  readonly series: readonly string[];
  readonly panels: readonly ChartPanel[];
}

/** One panel. */
export interface ChartPanel {
  /** What is fixed in it, for example `'keys = 20'`; undefined if there is one panel only. */
  readonly title: string | undefined;
  readonly lines: readonly ChartLine[];
}

/** A curve. */
export interface ChartLine {
  readonly series: string;
  /** `'mean'`: over seeds, with a band; `'trace'`: what was logged, without markers; `'published'`: dashed, hollow. */
  readonly kind: 'mean' | 'trace' | 'published';
  readonly points: readonly ChartPoint[];
}

/** A point; where there are several seeds, with the mean minus and plus the standard deviation. */
export interface ChartPoint {
  readonly x: number | string;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

/**
 * A diagram of results: mean and spread over seeds, and the published numbers for the same curves, as far as our values
 * on the horizontal axis reach.
 *
 * @returns undefined if no row has a number to draw
 */
export function resultsChart(
  chart: Chart,
  rows: readonly Row[],
  published: readonly PublishedRow[],
): ChartModel | undefined {
  const drawable = spreadOut(chart, rows).filter((row) => isPlace(row[chart.x]) && typeof row[chart.y] === 'number');
  if (drawable.length === 0) return undefined;
  const paper = spreadOut(chart, published).filter(
    (row) => row[chart.x] !== undefined && typeof row[chart.y] === 'number' && row[chart.series] !== undefined,
  );
  const panels = facets(chart, drawable).map(({ title, rows: members, value }) => {
    const reach = reachOf(members.map((row) => row[chart.x] as Cell));
    const lines = distinct(members, chart.series).flatMap((name): ChartLine[] => {
      const own = members.filter((row) => (row[chart.series] ?? null) === name);
      const theirs = paper.filter(
        (row) => row[chart.series] === name && reach(row[chart.x] as Cell) && fitsFacet(row, chart.facet, value),
      );
      const series = nameOf(chart.series, name);
      const dashed: ChartLine[] =
        theirs.length === 0 ? [] : [{ series, kind: 'published', points: points(theirs, chart) }];
      return [{ series, kind: 'mean', points: points(own, chart) }, ...dashed];
    });
    return { title, lines };
  });
  return model(chart, panels);
}

/** A diagram of what was logged: one curve for each trial and seed. */
export function metricsChart(chart: Chart, metrics: readonly MetricLine[]): ChartModel | undefined {
  const logged = metrics.filter(({ field, points }) => field === chart.y && points.length > 0);
  if (logged.length === 0) return undefined;
  const keys = logged.map(({ key }) => key);
  const panels = facets(chart, keys).map(({ title, rows: members }) => {
    const lines = logged
      .filter(({ key }) => members.includes(key))
      .map(({ key, points }): ChartLine => {
        const series = nameOf(chart.series, key[chart.series] ?? null);
        return { series, kind: 'trace', points: points.map(({ step, value }) => ({ x: step, y: value })) };
      });
    return { title, lines };
  });
  return model(chart, panels);
}

/** Rows with one point each. */
function spreadOut<T extends Readonly<Record<string, Cell>>>(
  { spread, x, y }: Chart,
  rows: readonly T[],
): readonly T[] {
  if (spread === undefined) return rows;
  const fields = Object.entries(spread);
  return rows.flatMap((row) => fields.map(([field, place]) => ({ ...row, [x]: place, [y]: row[field] ?? null })));
}

function model(chart: Chart, panels: readonly ChartPanel[]): ChartModel {
  return {
    title: chart.title,
    xLabel: chart.x,
    yLabel: chart.y,
    yScale: chart.yScale ?? 'linear',
    ...(chart.rule === undefined ? {} : { rule: chart.rule }),
    series: [...new Set(panels.flatMap(({ lines }) => lines.map(({ series }) => series)))],
    panels,
  };
}

/** The rows of each panel. */
function facets<T extends Readonly<Record<string, Cell>>>(
  { facet }: Chart,
  rows: readonly T[],
): { title: string | undefined; value: Cell | undefined; rows: readonly T[] }[] {
  if (facet === undefined) return [{ title: undefined, value: undefined, rows }];
  return distinct(rows, facet).map((value) => ({
    title: nameOf(facet, value),
    value,
    rows: rows.filter((row) => (row[facet] ?? null) === value),
  }));
}

function fitsFacet(row: PublishedRow, facet: string | undefined, value: Cell | undefined): boolean {
  return facet === undefined || row[facet] === undefined || row[facet] === value;
}

/** A word stands for itself; a number needs the name of its field. */
export function nameOf(field: string, value: Cell): string {
  return typeof value === 'string' ? value : `${field} = ${formatCell(value)}`;
}

/** Mean and spread at each place, in the order of the axis. */
function points(rows: readonly Readonly<Record<string, Cell>>[], { x, y }: Chart): ChartPoint[] {
  const averaged = groupBy(rows, [x]).flatMap((group): ChartPoint[] => {
    const summary = summarize(group.map((row) => row[y]).filter((value) => typeof value === 'number'));
    if (summary === undefined) return [];
    const { mean, std } = summary;
    const place = group[0]?.[x] as number | string;
    return [{ x: place, y: mean, ...(std === undefined ? {} : { low: mean - std, high: mean + std }) }];
  });
  return averaged.toSorted((a, b) => (typeof a.x === 'number' && typeof b.x === 'number' ? a.x - b.x : 0));
}

function isPlace(value: Cell | undefined): value is number | string {
  return typeof value === 'number' || typeof value === 'string';
}

/** Whether a value lies where ours lie. */
function reachOf(values: readonly Cell[]): (value: Cell) => boolean {
  const numbers = values.filter((value) => typeof value === 'number');
  if (numbers.length < values.length) return (value) => values.includes(value);
  const [least, greatest] = [Math.min(...numbers), Math.max(...numbers)];
  return (value) => typeof value === 'number' && value >= least && value <= greatest;
}
