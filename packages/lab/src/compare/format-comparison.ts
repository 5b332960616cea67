/** A comparison as text, for terminals and as Markdown. */

import {
  commonDecimals,
  formatCell,
  formatDifference,
  formatDuration,
  formatNumber,
  formatSummary,
  NOTHING,
} from '../report/number-format.ts';
import { markdownTable, paint, type TextCell, type TextColumn, textTable } from '../report/text-table.ts';
import type { ComparedValue, Comparison } from './comparison.ts';

/** Tables of the runs, of the settings that differ, and of the measurements. */
export function formatComparison(
  comparison: Comparison,
  options: { readonly format?: 'text' | 'markdown'; readonly colors?: boolean } = {},
): string {
  const { format = 'text', colors = false } = options;
  const heading = (text: string): string =>
    format === 'markdown' ? `**${text}**` : colors ? paint('bold', text) : text;
  return comparisonTables(comparison)
    .filter(({ rows }) => rows.length > 0)
    .map(({ title, columns, rows }) => {
      const body = format === 'markdown' ? markdownTable(columns, rows) : textTable(columns, rows, { colors });
      return `${heading(title)}\n\n${body}`;
    })
    .join('\n\n');
}

/** A table as text cells. */
export interface NamedTable {
  readonly title: string;
  readonly columns: readonly TextColumn[];
  readonly rows: readonly (readonly TextCell[])[];
}

/** The tables that make up a comparison. */
export function comparisonTables(comparison: Comparison): NamedTable[] {
  return [runsTable(comparison), settingsTable(comparison), measurementsTable(comparison)];
}

function runsTable({ id, runs }: Comparison): NamedTable {
  return {
    title: `Runs of ${id}`,
    columns: [
      { title: 'run' },
      { title: 'state' },
      { title: 'duration', align: 'right' },
      { title: 'claims', align: 'right' },
    ],
    rows: runs.map(({ name, state, seconds, claims }) => [
      name,
      state,
      formatDuration(seconds),
      claims.measured === 0 ? NOTHING : `${claims.held} of ${claims.measured}`,
    ]),
  };
}

function settingsTable({ runs, settings }: Comparison): NamedTable {
  return {
    title: 'What differs',
    columns: [{ title: 'setting' }, ...runs.map(({ name }) => ({ title: name }))],
    rows: settings.map(({ name, values }) => [name, ...values.map((value) => value ?? NOTHING)]),
  };
}

function measurementsTable({ keyFields, metric, rows, runs }: Comparison): NamedTable {
  const decimals = commonDecimals(
    rows.flatMap(({ values }) => values.flatMap((value) => (value === null ? [] : [value.mean]))),
  );
  const right = 'right' as const;
  return {
    title: `${metric}: mean${rows.some(({ values }) => values.some((value) => value?.std != null)) ? ' ± standard deviation' : ''}; Δ and × against ${runs[0]?.name}`,
    columns: [
      ...keyFields.map((field) => ({ title: field })),
      ...runs.flatMap(({ name }, index) => [
        { title: name, align: right },
        ...(index === 0
          ? []
          : [
              { title: 'Δ', align: right },
              { title: '×', align: right },
            ]),
      ]),
    ],
    rows: rows.map(({ key, values }) => [
      ...keyFields.map((field) => formatCell(key[field])),
      ...values.flatMap((value, index) => valueCells(value, index, decimals)),
    ]),
  };
}

function valueCells(value: ComparedValue | null, index: number, decimals: number | undefined): TextCell[] {
  const { mean, std, count, difference, ratio } = value ?? { difference: null, ratio: null };
  const ours =
    mean === undefined ? NOTHING : formatSummary({ mean, std: std ?? undefined, count: count ?? 1 }, decimals);
  if (index === 0) return [ours];
  return [
    ours,
    { text: difference === null ? '' : formatDifference(difference, decimals), style: 'dim' },
    { text: ratio === null ? '' : formatNumber(ratio), style: 'dim' },
  ];
}
