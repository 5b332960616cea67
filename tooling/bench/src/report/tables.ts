/** The tables of a run, as cells; terminal and document print the same ones. */

import type { ResultsDocument } from './document.ts';
import { digits, duration, mebibytes, percent, times } from './format.ts';
import { titleOf, type Verdict, verdicts } from './requirements.ts';
import type { Row } from './rows.ts';

/** A table before it is printed. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Suites of a document in order of their first row. */
export function suitesOf(document: ResultsDocument): string[] {
  return [...new Set(document.rows.map(({ suite }) => suite))];
}

/** One suite: a line per case, device and thread count. */
export function suiteTable(document: ResultsDocument, suite: string): Table {
  const rows = document.rows.filter((row) => row.suite === suite);
  const peers = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))];
  const hasRate = rows.some(({ rate }) => rate !== undefined);
  const hasBandwidth = rows.some(({ bandwidth }) => bandwidth !== undefined);
  const isPeak = suite === 'peaks';
  const head = [
    'case',
    'device',
    'threads',
    'median',
    ...(hasRate ? ['rate', ...(isPeak ? [] : ['of peak'])] : []),
    ...(hasBandwidth ? ['bandwidth', 'of peak'] : []),
    ...peers.flatMap((peer) => [titleOf(peer), 'faster by']),
  ];
  const cells = (row: Row): string[] => [
    row.name,
    row.device,
    String(row.threads),
    `${digits(row.median)} ${row.unit}`,
    ...(hasRate ? [rateText(row), ...(isPeak ? [] : [percent(row.peakFraction)])] : []),
    ...(hasBandwidth
      ? [row.bandwidth === undefined ? '–' : `${digits(row.bandwidth)} GB/s`, percent(row.bandwidthFraction)]
      : []),
    ...peers.flatMap((peer) => {
      const time = row.peers[peer];
      return time === undefined ? ['–', '–'] : [`${digits(time)} ${row.unit}`, times(row.ratio[peer])];
    }),
  ];
  return { head, rows: rows.map(cells) };
}

/** What must be reached. */
export function requirementTable(document: ResultsDocument): Table {
  const measured = verdicts(document).filter(({ reached }) => reached !== undefined);
  const rows = measured.map((verdict) => [
    verdict.text,
    verdict.device,
    String(verdict.threads),
    verdict.bound,
    valueText(verdict, verdict.worst),
    verdict.parts.length > 1 ? valueText(verdict, verdict.mean) : '',
    verdict.reached ? 'reached' : 'NOT reached',
  ]);
  return { head: ['requirement', 'device', 'threads', 'bound', 'worst', 'mean', ''], rows };
}

/** Memory over a long training. */
export function memoryTable(document: ResultsDocument): Table {
  const head = [
    'device',
    'threads',
    'steps',
    'time',
    'resident, middle third',
    'last third',
    'live heap, first → last',
    'tensors',
    '',
  ];
  const rows = document.memory.map((result) => [
    result.device,
    String(result.threads),
    result.steps.toLocaleString('en'),
    duration(result.milliseconds / 1000),
    mebibytes(result.residentBytes[0]),
    mebibytes(result.residentBytes[1]),
    `${result.liveBytes[0]} → ${result.liveBytes[1]} B`,
    `${result.tensors[0]} → ${result.tensors[1]}`,
    result.flat ? 'flat' : 'GROWS',
  ]);
  return { head, rows };
}

function rateText({ rate, rateUnit }: Row): string {
  return rate === undefined ? '–' : `${digits(rate)} ${rateUnit}`;
}

function valueText({ bound }: Verdict, value: number | undefined): string {
  if (value === undefined) return '';
  if (bound.endsWith('GFLOP/s')) return `${digits(value)} GFLOP/s`;
  return bound.endsWith('µs') ? `${digits(value)} µs` : times(value);
}
