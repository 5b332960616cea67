/**
 * Results beside the paper's: one cell for every combination of the layout's rows and columns, with mean and standard
 * deviation over seeds, the published number and the difference. If the trials' keys have more fields than the layout
 * names, each combination of the other fields has a table of its own.
 *
 * This is the model that the terminal, the HTML report and the Markdown table show.
 */

import type { Cell, PublishedRow, ReportLayout, Row } from '../experiment.ts';
import { commonDecimals } from './number-format.ts';
import { type Summary, summarize } from './statistics.ts';

/** What a table is made of. */
export interface ComparisonInput {
  readonly layout: Pick<ReportLayout, 'metric' | 'rows' | 'columns'>;
  /** The fields of the trials' keys. */
  readonly keyFields: readonly string[];
  readonly rows: readonly Row[];
  readonly published: readonly PublishedRow[];
}

/** One table. */
export interface ComparisonTable {
  readonly metric: string;
  /** Values of the fields that neither rows nor columns show; empty if there are none. */
  readonly fixed: Readonly<Record<string, Cell>>;
  readonly rowField: string;
  readonly columnField: string | undefined;
  readonly rowValues: readonly Cell[];
  /** One for each column; `[undefined]` if the layout has no columns. */
  readonly columnValues: readonly (Cell | undefined)[];
  /** `cells[row][column]`; undefined: not a trial of this run. */
  readonly cells: readonly (readonly (ComparisonCell | undefined)[])[];
  /** Number of seeds. */
  readonly seeds: number;
  /** How many decimals all numbers of the table have; undefined: as many as each needs. */
  readonly decimals: number | undefined;
}

/** Ours beside the paper's. */
export interface ComparisonCell {
  /** Undefined if every seed's measurement is `null` (for example: diverged) or not a number. */
  readonly ours: Summary | undefined;
  /** What was measured where it isn't a number (a word, yes or no), if all seeds agree. */
  readonly text: string | undefined;
  /** Seeds without a measurement. */
  readonly missing: number;
  readonly published: Cell | undefined;
  /** Ours minus the paper's. */
  readonly difference: number | undefined;
  readonly source: string | undefined;
}

/** The tables of a run, in the order of its trials. */
export function comparisonTables({ layout, keyFields, rows, published }: ComparisonInput): ComparisonTable[] {
  const shown = [layout.rows, ...(layout.columns === undefined ? [] : [layout.columns])];
  const others = keyFields.filter((field) => !shown.includes(field));
  const tables: ComparisonTable[] = [];
  for (const group of groupBy(rows, others)) {
    const fixed = Object.fromEntries(others.map((field) => [field, group[0]?.[field] ?? null]));
    const rowValues = distinct(group, layout.rows);
    const columnValues = layout.columns === undefined ? [undefined] : distinct(group, layout.columns);
    const cells = rowValues.map((rowValue) =>
      columnValues.map((columnValue) => {
        const matching = group.filter(
          (row) =>
            (row[layout.rows] ?? null) === rowValue &&
            (layout.columns === undefined || (row[layout.columns] ?? null) === columnValue),
        );
        return matching.length === 0 ? undefined : compare(matching, layout.metric, keyFields, published);
      }),
    );
    tables.push({
      metric: layout.metric,
      fixed,
      rowField: layout.rows,
      columnField: layout.columns,
      rowValues,
      columnValues,
      cells,
      seeds: new Set(group.map(({ seed }) => seed)).size,
      decimals: commonDecimals(
        cells.flat().flatMap((cell) => (cell?.ours === undefined ? [] : [cell.ours.mean, cell.ours.std ?? 0])),
      ),
    });
  }
  return tables;
}

/**
 * The published row for a trial: it names nothing of the key that the trial has otherwise, and at least one field that the
 * trial has too; of several, the one that names most.
 */
export function publishedFor(
  row: Row,
  keyFields: readonly string[],
  metric: string,
  published: readonly PublishedRow[],
): PublishedRow | undefined {
  let best: { readonly named: number; readonly row: PublishedRow } | undefined;
  for (const candidate of published) {
    if (candidate[metric] === undefined) continue;
    const named = keyFields.filter((field) => field in candidate);
    const fits = named.every((field) => candidate[field] === row[field]);
    if (!fits || (named.length === 0 && keyFields.length > 0)) continue;
    if (best === undefined || named.length > best.named) best = { named: named.length, row: candidate };
  }
  return best?.row;
}

/** The same table with rows and columns exchanged. */
export function transpose(table: ComparisonTable): ComparisonTable {
  const { cells, columnField, columnValues, rowField, rowValues } = table;
  if (columnField === undefined) return table;
  return {
    ...table,
    rowField: columnField,
    columnField: rowField,
    rowValues: columnValues.map((value) => value ?? null),
    columnValues: rowValues,
    cells: columnValues.map((_, column) => rowValues.map((_, row) => cells[row]?.[column])),
  };
}

/** Whether the paper has a number for some cell. */
export function hasPublished({ cells }: ComparisonTable): boolean {
  return cells.some((row) => row.some((cell) => cell?.published !== undefined));
}

/** Distinct values of a field: numbers in ascending order, all others in order of appearance. */
export function distinct(rows: readonly Readonly<Record<string, Cell>>[], field: string): Cell[] {
  const values = [...new Set(rows.map((row) => row[field] ?? null))];
  return values.every((value) => typeof value === 'number') ? values.toSorted((a, b) => a - b) : values;
}

/** Rows that agree on all of the fields, in order of appearance. */
export function groupBy<T extends Readonly<Record<string, Cell>>>(
  rows: readonly T[],
  fields: readonly string[],
): T[][] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const key = JSON.stringify(fields.map((field) => row[field] ?? null));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()];
}

function compare(
  rows: readonly Row[],
  metric: string,
  keyFields: readonly string[],
  published: readonly PublishedRow[],
): ComparisonCell {
  const values = rows.map((row) => row[metric] ?? null);
  const numbers = values.filter((value) => typeof value === 'number');
  const words = new Set(values.filter((value) => typeof value === 'string' || typeof value === 'boolean').map(String));
  const ours = summarize(numbers);
  const theirs = publishedFor(rows[0] as Row, keyFields, metric, published);
  const number = theirs?.[metric];
  return {
    ours,
    text: ours === undefined && words.size > 0 ? [...words].join(' / ') : undefined,
    missing: values.filter((value) => value === null).length,
    published: number,
    difference: ours !== undefined && typeof number === 'number' ? ours.mean - number : undefined,
    source: theirs?.source,
  };
}
