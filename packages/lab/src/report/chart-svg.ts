/**
 * Draws a panel of a diagram as SVG. Colours are CSS variables (`--series-1` …), so that one drawing serves light pages,
 * dark pages and paper; every curve has a marker too, for readers who can't tell the colours apart.
 */

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { ChartLine, ChartModel, ChartPanel, ChartPoint } from './chart.ts';
import { formatNumber } from './number-format.ts';

/** Number of colours that the style sheet defines. */
export const PALETTE_SIZE = 8;

const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'star', 'cross', 'wye'] as const;
/** A logarithmic axis has a tick for each power of ten up to this many, then for every second one, and so on. */
const MAX_DECADES = 7;
/** From this ratio of the largest to the smallest value on, the horizontal axis of results is logarithmic. */
const LOG_RATIO = 60;

const { document } = parseHTML('<html><body></body></html>');

/** CSS colour of a curve. */
export function seriesColor(index: number): string {
  return `var(--series-${(index % PALETTE_SIZE) + 1})`;
}

/**
 * Draws one panel; all panels of a diagram have the same scales.
 *
 * @returns an `<svg>` element with role and label
 */
export function panelSvg(chart: ChartModel, panel: ChartPanel, size: { width: number; height: number }): string {
  const everything = drawable(
    chart,
    chart.panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points)),
  );
  const numeric = everything.every(({ x }) => typeof x === 'number');
  const lines = panel.lines.map((line) => ({ ...line, points: drawable(chart, line.points) }));
  return drawn(
    {
      ...size,
      marginLeft: 52,
      marginRight: 16,
      marginTop: 28,
      marginBottom: 40,
      style: { fontSize: '12px', background: 'none' },
      x: xScale(chart, everything, numeric, size.width),
      y: yScale(chart, everything),
      marks: [
        ...ruleMarks(chart),
        ...lines.flatMap((line) => lineMarks(line, chart.series.indexOf(line.series), numeric, alike(line, lines))),
      ],
    },
    { role: 'img', 'aria-label': describe(chart, panel) },
  );
}

/** A short line with the curve's marker, for the legend. */
export function legendSvg(index: number, kind: ChartLine['kind']): string {
  return drawn(
    {
      width: 28,
      height: 12,
      margin: 0,
      x: { axis: null, domain: [0, 24] },
      y: { axis: null, domain: [-1, 1] },
      marks: [
        Plot.ruleY([0], { stroke: seriesColor(index), strokeWidth: 2, ...dash(kind) }),
        Plot.dot([0], { x: [12], y: [0], ...marker(index, kind), r: 4 }),
      ],
    },
    { 'aria-hidden': 'true' },
  );
}

/** Draws without the style sheet that Plot adds to every drawing; the page has its own. */
function drawn(options: Plot.PlotOptions, attributes: Readonly<Record<string, string>>): string {
  const svg = Plot.plot({ ...options, document: document as unknown as Document }) as unknown as Element;
  for (const style of svg.querySelectorAll('style')) style.remove();
  svg.removeAttribute('class');
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  return rounded(svg.outerHTML);
}

/** What a listener hears: axes, and where each curve begins and ends. */
function describe({ title, xLabel, yLabel }: ChartModel, panel: ChartPanel): string {
  const curves = panel.lines.map(({ series, kind, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    const who = kind === 'published' ? `${series} as published` : series;
    if (first === undefined || last === undefined) return `${who}: nothing`;
    const at = (point: ChartPoint): string =>
      `${formatNumber(point.y)} at ${typeof point.x === 'number' ? formatNumber(point.x) : point.x}`;
    return first === last ? `${who}: ${at(first)}` : `${who}: from ${at(first)} to ${at(last)}`;
  });
  const where = panel.title === undefined ? '' : `, ${panel.title}`;
  return `${title}${where}: ${yLabel} over ${xLabel}. ${curves.slice(0, 12).join('; ')}.`;
}

/**
 * What can be drawn: on a logarithmic axis only what is positive. A band ends at zero where nothing is below zero, for
 * losses and accuracies can't be.
 */
function drawable({ panels, yScale }: ChartModel, points: readonly ChartPoint[]): ChartPoint[] {
  const logarithmic = yScale === 'log';
  const shown = points.filter(({ y }) => Number.isFinite(y) && (y > 0 || !logarithmic));
  if (!panels.every(({ lines }) => lines.every((line) => line.points.every(({ y }) => y >= 0)))) return shown;
  return shown.map((point) => {
    if (point.low === undefined) return point;
    return { ...point, low: Math.max(point.low, logarithmic ? point.y / 10 : 0) };
  });
}

function xScale(chart: ChartModel, points: readonly ChartPoint[], numeric: boolean, width: number): Plot.ScaleOptions {
  const label = { label: chart.xLabel, labelArrow: 'none' as const, labelAnchor: 'center' as const };
  if (!numeric) return { ...label, type: 'point', domain: [...new Set(points.map(({ x }) => x))], padding: 0.6 };
  const values = points.map(({ x }) => x as number);
  const [least, greatest] = extent(values);
  const traces = chart.panels.some(({ lines }) => lines.some(({ kind }) => kind === 'trace'));
  const logarithmic = !traces && least > 0 && greatest / least >= LOG_RATIO;
  // Where few places were measured, these are the ticks.
  const places = [...new Set(values)].toSorted((a, b) => a - b);
  const ticks = !traces && places.length <= width / 50 ? places : Math.max(3, Math.round(width / 90));
  const domain = least === greatest ? [least - 1, greatest + 1] : [traces ? Math.min(0, least) : least, greatest];
  return {
    ...label,
    type: logarithmic ? 'log' : 'linear',
    domain,
    ticks,
    tickFormat: shortNumber,
    insetLeft: traces ? 0 : 12,
    insetRight: 12,
  };
}

function yScale(chart: ChartModel, points: readonly ChartPoint[]): Plot.ScaleOptions {
  const values = points.flatMap(({ y, low = y, high = y }) => [low, y, high]);
  if (chart.rule !== undefined) values.push(chart.rule.y);
  const label = { label: chart.yLabel, labelArrow: 'none' as const, grid: true, tickFormat: shortNumber };
  if (chart.yScale === 'linear') {
    const [least, greatest] = extent(values);
    // From zero on, unless the numbers are far from it and near to each other.
    const bottom = least > (greatest * 2) / 3 ? least - (greatest - least) / 4 : Math.min(0, least);
    return { ...label, domain: [bottom, greatest > bottom ? greatest : bottom + 1], nice: true, ticks: 5 };
  }
  const positive = values.filter((value) => value > 0);
  const [least, greatest] = positive.length === 0 ? [0.1, 1] : extent(positive);
  const low = Math.floor(Math.log10(least));
  const high = Math.max(low + 1, Math.ceil(Math.log10(greatest)));
  const stride = Math.ceil((high - low) / MAX_DECADES);
  const ticks = Array.from({ length: Math.floor((high - low) / stride) + 1 }, (_, index) =>
    powerOfTen(low + index * stride),
  );
  return { ...label, type: 'log', domain: [powerOfTen(low), powerOfTen(high)], ticks };
}

function ruleMarks({ rule }: ChartModel): Plot.Markish[] {
  if (rule === undefined) return [];
  return [
    Plot.ruleY([rule.y], { stroke: 'currentColor', strokeOpacity: 0.55, strokeDasharray: '1 4' }),
    Plot.text([rule.label], { y: [rule.y], frameAnchor: 'right', textAnchor: 'end', dy: -7, fillOpacity: 0.75 }),
  ];
}

/** The band below, then the curve, then its markers. */
function lineMarks(line: ChartLine, index: number, numeric: boolean, count: number): Plot.Markish[] {
  const { kind, points } = line;
  const data = [...points];
  const last = data.slice(-1);
  const color = seriesColor(index);
  const place = { x: 'x', y: 'y' };
  const stroke = { stroke: color, strokeWidth: kind === 'trace' ? 1.4 : 2, ...dash(kind) };
  if (kind === 'trace') {
    return [
      Plot.line(data, { ...place, ...stroke, strokeOpacity: count > 1 ? 0.6 : 1 }),
      Plot.dot(last, { ...place, ...marker(index, kind), r: 3.2 }),
    ];
  }
  const spread = data.filter(({ low, high }) => low !== undefined && high !== undefined);
  if (!numeric) {
    return [
      Plot.ruleX(spread, { x: 'x', y1: 'low', y2: 'high', stroke: color, strokeWidth: 2, strokeOpacity: 0.5 }),
      Plot.dot(data, { ...place, ...marker(index, kind), r: 4.5 }),
    ];
  }
  return [
    Plot.areaY(spread, { x: 'x', y1: 'low', y2: 'high', fill: color, fillOpacity: 0.16 }),
    Plot.line(data, { ...place, ...stroke }),
    Plot.dot(data, { ...place, ...marker(index, kind), r: 3.6 }),
  ];
}

/** How many lines belong to the same series: one for each seed. */
function alike(line: ChartLine, lines: readonly ChartLine[]): number {
  return lines.filter(({ series }) => series === line.series).length;
}

function dash(kind: ChartLine['kind']): { strokeDasharray?: string; strokeOpacity?: number } {
  return kind === 'published' ? { strokeDasharray: '5 4', strokeOpacity: 0.8 } : {};
}

/** Ours are filled, the paper's hollow. */
function marker(index: number, kind: ChartLine['kind']): Plot.DotOptions {
  const fill = kind === 'published' ? 'var(--page)' : seriesColor(index);
  const symbol = SYMBOLS[index % SYMBOLS.length] as (typeof SYMBOLS)[number];
  return { symbol, fill, stroke: seriesColor(index), strokeWidth: 1.5 };
}

/** `1000` steps as `1k`. */
function shortNumber(value: number | string): string {
  if (typeof value === 'string') return value;
  for (const [unit, letter] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (Math.abs(value) >= unit && (value % (unit / 10) === 0 || Math.abs(value) >= 10 * unit)) {
      return `${formatNumber(value / unit)}${letter}`;
    }
  }
  return formatNumber(value);
}

/** `10 ** -4` is not the nearest number to a ten-thousandth. */
function powerOfTen(exponent: number): number {
  return Number(`1e${exponent}`);
}

function extent(values: readonly number[]): [number, number] {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
}

/** Two decimals are enough for coordinates. */
function rounded(markup: string): string {
  return markup.replace(/ (?:d|transform|x[12]?|y[12]?|cx|cy)="[^"]*"/g, (attribute) =>
    attribute.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => String(Number(Number(number).toFixed(2)))),
  );
}
