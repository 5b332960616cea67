/** Numbers as people read them; the same in terminals, reports and Markdown. */

import type { Cell } from '../experiment.ts';
import type { Summary } from './statistics.ts';

/** What stands where nothing was measured. */
export const NOTHING = '–';

/** Three significant digits below 1 and four above, as short as possible: `0.164`, `12.5`, `3140`, `1.2e-7`. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  if (isExtreme(value)) return minus(value.toExponential(1).replace('.0e', 'e').replace('e+', 'e'));
  if (Number.isInteger(value)) return minus(String(value));
  const text = value.toFixed(decimalsOf(value));
  return minus(text.includes('.') ? text.replace(/\.?0+$/, '') : text);
}

/** Whether only an exponent tells the size. */
function isExtreme(value: number): boolean {
  return Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7;
}

function decimalsOf(value: number): number {
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  return exponent < 0 ? 2 - exponent : Math.max(0, 3 - exponent);
}

/** A measured quantity, which has no more than three digits that mean something. */
export function formatMeasured(value: number): string {
  return formatNumber(Number(value.toPrecision(3)));
}

/** A cell of a row of results. */
export function formatCell(value: Cell | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  return typeof value === 'number' ? formatNumber(value) : String(value);
}

/**
 * How many decimals the numbers of a table get, so that they stand below each other: four significant digits of the
 * largest one, or four decimals if all are below 1 (more if that were less than three digits), none for whole numbers.
 *
 * @returns undefined if they are so small or large that each needs its exponent, or all 0 and tell nothing of those beside them
 */
export function commonDecimals(values: readonly number[]): number | undefined {
  const finite = values.filter(Number.isFinite);
  const largest = Math.max(0, ...finite.map(Math.abs));
  if (isExtreme(largest)) return undefined;
  if (finite.every(Number.isInteger)) return 0;
  const exponent = Math.floor(Math.log10(largest));
  return exponent < 0 ? Math.max(4, 2 - exponent) : Math.max(0, 3 - exponent);
}

/** With a fixed number of decimals; as short as possible if that is undefined. */
export function formatFixed(value: number, decimals: number | undefined): string {
  return decimals === undefined || !Number.isFinite(value) ? formatNumber(value) : minus(value.toFixed(decimals));
}

/** `'0.164 ± 0.003'`; without the spread if there is only one number. */
export function formatSummary({ mean, std }: Summary, decimals: number | undefined): string {
  return std === undefined
    ? formatFixed(mean, decimals)
    : `${formatFixed(mean, decimals)} ± ${formatFixed(std, decimals)}`;
}

/** A difference with its sign: `'+0.003'`. */
export function formatDifference(value: number, decimals: number | undefined): string {
  const text = formatFixed(value, decimals);
  if (/^−?[0.]+$/.test(text)) return `±${text.replace('−', '')}`;
  return value > 0 ? `+${text}` : text;
}

/** `'3.2 s'`, `'2 min 14 s'`, `'1 h 5 min'`. */
export function formatDuration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `'15.6 GiB'`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

function minus(text: string): string {
  return text.replace(/^-/, '−');
}
