/** What the claims have in common: rows by name of the quantiser, and sentences about numbers. */

import type { Verdict } from '@fwp/lab';

/** Rows with the name of a quantiser. */
interface QuantizerRow {
  readonly quantizer: string;
}

/** A check of one group of rows, for example of one data set. */
export interface Check {
  readonly pass: boolean;
  readonly observed: string;
}

/** The row of each quantiser that is needed, or undefined if one is missing. */
export function rowsOf<Row extends QuantizerRow, const Names extends readonly string[]>(
  rows: readonly Row[],
  names: Names,
): { readonly [I in keyof Names]: Row } | undefined {
  const found = names.map((name) => rows.find(({ quantizer }) => quantizer === name));
  return found.includes(undefined) ? undefined : (found as unknown as { readonly [I in keyof Names]: Row });
}

/** All checks together; undefined if there is none. */
export function allOf(checks: readonly (Check | undefined)[]): Verdict | undefined {
  const known = checks.filter((check) => check !== undefined);
  if (known.length === 0) return undefined;
  return { pass: known.every(({ pass }) => pass), observed: known.map(({ observed }) => observed).join('; ') };
}

/** Three digits. */
export function digits(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
