/** Measurements as text: a table for each suite. */

import { formatMeasured, NOTHING } from '../report/number-format.ts';
import { paint, type TextColumn, textTable } from '../report/text-table.ts';
import type { BenchRow } from './benchmarks.ts';

/** Times, how many times faster than each peer, and which part of the peak. */
export function formatBench(rows: readonly BenchRow[], options: { readonly colors?: boolean } = {}): string {
  const { colors = false } = options;
  const suites = [...new Set(rows.map(({ suite }) => suite))];
  return suites
    .map((suite) => {
      const members = rows.filter((row) => row.suite === suite);
      return `${colors ? paint('bold', suite) : suite}\n\n${suiteTable(members, colors)}`;
    })
    .join('\n\n');
}

function suiteTable(rows: readonly BenchRow[], colors: boolean): string {
  const peers = [...new Set(rows.flatMap(({ ratio }) => Object.keys(ratio)))];
  const columns: TextColumn[] = [
    { title: 'case' },
    { title: 'device' },
    { title: 'threads', align: 'right' },
    { title: 'median', align: 'right' },
    ...peers.map((peer): TextColumn => ({ title: `× ${peer}`, align: 'right' })),
    { title: 'of peak', align: 'right' },
  ];
  const cells = rows.map(({ name, device, threads, median, unit, ratio, peakFraction }) => [
    name,
    device,
    threads === undefined ? NOTHING : String(threads),
    `${formatMeasured(median)} ${unit}`,
    ...peers.map((peer) => (ratio[peer] === undefined ? NOTHING : formatMeasured(ratio[peer]))),
    peakFraction === undefined ? NOTHING : `${Math.round(peakFraction * 100)} %`,
  ]);
  return textTable(columns, cells, { colors });
}
