/** Results as text: ours beside the paper's, for terminals and for READMEs. */

import type { Cell } from '../experiment.ts';
import {
  type ComparisonCell,
  type ComparisonInput,
  type ComparisonTable,
  comparisonTables,
} from './comparison-table.ts';
import { formatCell, formatDifference, formatSummary, NOTHING } from './number-format.ts';
import { markdownTable, paint, type TextCell, type TextColumn, textTable } from './text-table.ts';

/** How {@link formatTable} writes. */
export interface FormatTableOptions {
  /** Columns of the terminal; a table that is wider is turned into one line per cell. Default: any width. */
  readonly width?: number;
  /** Whether to use ANSI colours. Default `false`. */
  readonly colors?: boolean;
  /** Default `'text'`. */
  readonly format?: 'text' | 'markdown';
}

/**
 * The results of a run as a table: rows and columns as the layout says, mean ± standard deviation over the seeds, and the
 * paper's numbers beside ours with the difference where there are some.
 *
 * @returns text without a final newline; `''` without rows
 */
export function formatTable(input: ComparisonInput, options: FormatTableOptions = {}): string {
  const { format = 'text', colors = false } = options;
  return comparisonTables(input)
    .map((table) => {
      const caption = tableCaption(table);
      const body = format === 'markdown' ? markdownTable(...wideTable(table)) : fittingTable(table, options);
      return `${colors && format === 'text' ? paint('bold', caption) : caption}\n\n${body}`;
    })
    .join('\n\n');
}

/** `'loss (chunk = 16), mean ± standard deviation over 3 seeds'`. */
export function tableCaption({ metric, fixed, seeds, cells, hasPublished }: ComparisonTable): string {
  const others = Object.entries(fixed).map(([field, value]) => `${field} = ${formatCell(value)}`);
  const spread = cells.flat().some((cell) => cell?.ours?.std !== undefined);
  return [
    metric,
    ...(others.length === 0 ? [] : [` (${others.join(', ')})`]),
    ...(spread ? [`, mean ± standard deviation over ${seeds} seeds`] : []),
    ...(hasPublished ? ["; Δ: ours minus the paper's"] : []),
  ].join('');
}

/** What a cell shows of ours: `'0.164 ± 0.003'`, a word, or a dash; seeds without a number are counted behind it. */
export function oursText(cell: ComparisonCell | undefined): string {
  if (cell === undefined) return NOTHING;
  const value = cell.ours === undefined ? (cell.text ?? NOTHING) : formatSummary(cell.ours);
  const failed = cell.missing > 0 && cell.ours !== undefined ? ` (${cell.missing} without)` : '';
  return value + failed;
}

/** `'linear'`; a number is told with its field: `'keys = 20'`. */
export function columnTitle(field: string | undefined, value: Cell | undefined, metric: string): string {
  if (field === undefined || value === undefined) return metric;
  return typeof value === 'string' ? value : `${field} = ${formatCell(value)}`;
}

function fittingTable(
  table: ComparisonTable,
  { width = Number.POSITIVE_INFINITY, colors = false }: FormatTableOptions,
) {
  const wide = textTable(...wideTable(table), { colors });
  const needed = Math.max(
    ...textTable(...wideTable(table))
      .split('\n')
      .map((line) => [...line].length),
  );
  return needed <= width ? wide : textTable(...longTable(table), { colors });
}

/** One line per row; per column ours, the paper's and the difference. */
function wideTable(table: ComparisonTable): [TextColumn[], TextCell[][]] {
  const { metric, rowField, columnField, rowValues, columnValues, cells } = table;
  const columns: TextColumn[] = [{ title: rowField, align: alignment(rowValues) }];
  const withPaper = columnValues.map((_, column) => cells.some((row) => row[column]?.published !== undefined));
  columnValues.forEach((value, column) => {
    columns.push({ title: columnTitle(columnField, value, metric), align: 'right' });
    if (withPaper[column]) columns.push({ title: 'paper', align: 'right' }, { title: 'Δ', align: 'right' });
  });
  const rows = rowValues.map((rowValue, row): TextCell[] => [
    formatCell(rowValue),
    ...columnValues.flatMap((_, column): TextCell[] => {
      const cell = cells[row]?.[column];
      return withPaper[column] ? [oursText(cell), ...paperCells(cell)] : [oursText(cell)];
    }),
  ]);
  return [columns, rows];
}

/** One line per cell: fits everywhere. */
function longTable(table: ComparisonTable): [TextColumn[], TextCell[][]] {
  const { metric, rowField, columnField, rowValues, columnValues, cells, hasPublished } = table;
  const columns: TextColumn[] = [
    ...(columnField === undefined ? [] : [{ title: columnField, align: alignment(columnValues) }]),
    { title: rowField, align: alignment(rowValues) },
    { title: metric, align: 'right' },
    ...(hasPublished
      ? ([
          { title: 'paper', align: 'right' },
          { title: 'Δ', align: 'right' },
        ] as const)
      : []),
  ];
  const rows = columnValues.flatMap((columnValue, column) =>
    rowValues.flatMap((rowValue, row): TextCell[][] => {
      const cell = cells[row]?.[column];
      if (cell === undefined) return [];
      const key = [...(columnField === undefined ? [] : [formatCell(columnValue)]), formatCell(rowValue)];
      return [[...key, oursText(cell), ...(hasPublished ? paperCells(cell) : [])]];
    }),
  );
  return [columns, rows];
}

function paperCells(cell: ComparisonCell | undefined): TextCell[] {
  const published = cell?.published === undefined ? '' : formatCell(cell.published);
  const difference = cell?.difference === undefined ? '' : formatDifference(cell.difference);
  return [
    { text: published, style: 'cyan' },
    { text: difference, style: 'dim' },
  ];
}

function alignment(values: readonly (Cell | undefined)[]): 'left' | 'right' {
  return values.every((value) => typeof value === 'number') ? 'right' : 'left';
}
