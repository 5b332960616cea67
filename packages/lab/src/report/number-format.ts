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

/** A cell of a row of results. */
export function formatCell(value: Cell | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  return typeof value === 'number' ? formatNumber(value) : String(value);
}

/** `'0.164 ± 0.003'`, both with the mean's decimals; without the spread if there is only one number. */
export function formatSummary({ mean, std }: Summary): string {
  if (std === undefined) return formatNumber(mean);
  if (std === 0 || mean === 0 || isExtreme(mean) || std >= 1e7) return `${formatNumber(mean)} ± ${formatNumber(std)}`;
  const decimals = decimalsOf(mean);
  return `${minus(mean.toFixed(decimals))} ± ${std.toFixed(decimals)}`;
}

/** A difference with its sign: `'+0.003'`. */
export function formatDifference(value: number): string {
  return value > 0 ? `+${formatNumber(value)}` : value < 0 ? formatNumber(value) : '±0';
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
