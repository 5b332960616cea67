/** Results as text: ours beside the paper's, for terminals and for READMEs. */

import type { Cell } from '../experiment.ts';
import {
  type ComparisonCell,
  type ComparisonInput,
  type ComparisonTable,
  comparisonTables,
  hasPublished,
  transpose,
} from './comparison-table.ts';
import { formatCell, formatDifference, formatFixed, formatSummary, NOTHING } from './number-format.ts';
import { markdownTable, paint, type TextCell, type TextColumn, textTable } from './text-table.ts';

/** More columns than this don't fit on a page. */
const MAX_COLUMNS = 6;

const IN_BRACKETS = "in brackets: the paper's";

/** How {@link formatTable} writes. */
export interface FormatTableOptions {
  /** Columns of the terminal; a table that is wider is written in another way. Default: any width. */
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
  const { format = 'text', colors = false, width = Number.POSITIVE_INFINITY } = options;
  return comparisonTables(input)
    .map((table) => {
      if (format === 'markdown') {
        return `${tableCaption(table, IN_BRACKETS)}\n\n${markdownTable(...bracketTable(readable(table)))}`;
      }
      const { caption, layout } = fittingLayout(table, width);
      return `${colors ? paint('bold', caption) : caption}\n\n${textTable(...layout, { colors })}`;
    })
    .join('\n\n');
}

/** `'loss (chunk = 16), mean ± standard deviation over 3 seeds'`, and how to read the paper's numbers. */
export function tableCaption(table: ComparisonTable, paper = "Δ: ours minus the paper's"): string {
  const { metric, fixed, seeds, cells } = table;
  const others = Object.entries(fixed).map(([field, value]) => `${field} = ${formatCell(value)}`);
  const spread = cells.flat().some((cell) => cell?.ours?.std !== undefined);
  return [
    metric,
    ...(others.length === 0 ? [] : [` (${others.join(', ')})`]),
    ...(spread ? [`, mean ± standard deviation over ${seeds} seeds`] : []),
    ...(hasPublished(table) ? [`; ${paper}`] : []),
  ].join('');
}

/** What a cell shows of ours: `'0.164 ± 0.003'`, a word, or a dash; seeds without a number are counted behind it. */
export function oursText(cell: ComparisonCell | undefined, decimals: number | undefined): string {
  if (cell === undefined) return NOTHING;
  const value = cell.ours === undefined ? (cell.text ?? NOTHING) : formatSummary(cell.ours, decimals);
  const failed = cell.missing > 0 && cell.ours !== undefined ? ` (${cell.missing} without)` : '';
  return value + failed;
}

/** `'linear'`; a number is told with its field: `'keys = 20'`. */
export function columnTitle(field: string | undefined, value: Cell | undefined, metric: string): string {
  if (field === undefined || value === undefined) return metric;
  return typeof value === 'string' ? value : `${field} = ${formatCell(value)}`;
}

/** The paper's number as it was given, but not with more decimals than ours; `undefined` where there is none. */
export function publishedText({ published }: ComparisonCell, decimals: number | undefined): string | undefined {
  if (typeof published !== 'number') return published === undefined ? undefined : formatCell(published);
  const [given, fixed] = [String(published), formatFixed(published, decimals)];
  return given.length <= fixed.length ? given.replace('-', '−') : fixed;
}

/** A table with many columns and few rows is easier to read the other way round. */
export function readable(table: ComparisonTable): ComparisonTable {
  const { columnValues, rowValues } = table;
  return columnValues.length > MAX_COLUMNS && rowValues.length < columnValues.length ? transpose(table) : table;
}

/** The first layout that fits: numbers beside each other, then the paper's in brackets, then a line for each cell. */
function fittingLayout(table: ComparisonTable, width: number): { caption: string; layout: Layout } {
  const fits = (layout: Layout): boolean => {
    const lines = textTable(...layout).split('\n');
    return lines.every((line) => [...line].length <= width);
  };
  const orientations = [table, transpose(table)];
  const wide = orientations.map(wideTable).find(fits);
  if (wide !== undefined) return { caption: tableCaption(table), layout: wide };
  const brackets = orientations.map(bracketTable).find(fits);
  if (brackets !== undefined) return { caption: tableCaption(table, IN_BRACKETS), layout: brackets };
  return { caption: tableCaption(table), layout: longTable(table) };
}

type Layout = [columns: TextColumn[], rows: TextCell[][]];

/** One line per row; per column ours, the paper's and the difference. */
function wideTable(table: ComparisonTable): Layout {
  const { metric, rowField, columnField, rowValues, columnValues, cells, decimals } = table;
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
      const ours = oursText(cell, decimals);
      return withPaper[column] ? [ours, ...paperCells(cell, decimals)] : [ours];
    }),
  ]);
  return [columns, rows];
}

/** One line per row; per column ours with the paper's in brackets. */
function bracketTable(table: ComparisonTable): Layout {
  const { metric, rowField, columnField, rowValues, columnValues, cells, decimals } = table;
  const columns: TextColumn[] = [
    { title: rowField, align: alignment(rowValues) },
    ...columnValues.map((value): TextColumn => ({ title: columnTitle(columnField, value, metric), align: 'right' })),
  ];
  const rows = rowValues.map((rowValue, row): TextCell[] => [
    formatCell(rowValue),
    ...columnValues.map((_, column) => {
      const cell = cells[row]?.[column];
      const paper = cell === undefined ? undefined : publishedText(cell, decimals);
      return paper === undefined ? oursText(cell, decimals) : `${oursText(cell, decimals)} (${paper})`;
    }),
  ]);
  return [columns, rows];
}

/** One line per cell: fits everywhere. */
function longTable(table: ComparisonTable): Layout {
  const { metric, rowField, columnField, rowValues, columnValues, cells, decimals } = table;
  const paper = hasPublished(table);
  const columns: TextColumn[] = [
    { title: rowField, align: alignment(rowValues) },
    ...(columnField === undefined ? [] : [{ title: columnField, align: alignment(columnValues) }]),
    { title: metric, align: 'right' },
    ...(paper
      ? ([
          { title: 'paper', align: 'right' },
          { title: 'Δ', align: 'right' },
        ] as const)
      : []),
  ];
  const rows = rowValues.flatMap((rowValue, row) =>
    columnValues.flatMap((columnValue, column): TextCell[][] => {
      const cell = cells[row]?.[column];
      if (cell === undefined) return [];
      const key = [formatCell(rowValue), ...(columnField === undefined ? [] : [formatCell(columnValue)])];
      return [[...key, oursText(cell, decimals), ...(paper ? paperCells(cell, decimals) : [])]];
    }),
  );
  return [columns, rows];
}

function paperCells(cell: ComparisonCell | undefined, decimals: number | undefined): TextCell[] {
  const published = cell === undefined ? '' : (publishedText(cell, decimals) ?? '');
  const difference = cell?.difference === undefined ? '' : formatDifference(cell.difference, decimals);
  return [
    { text: published, style: 'cyan' },
    { text: difference, style: 'dim' },
  ];
}

function alignment(values: readonly (Cell | undefined)[]): 'left' | 'right' {
  return values.every((value) => typeof value === 'number') ? 'right' : 'left';
}
