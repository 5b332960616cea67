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

/** All checks together; undefined if there is none. */
export function allOf(checks: readonly (Check | undefined)[]): Verdict | undefined {
  const known = checks.filter((check) => check !== undefined);
  if (known.length === 0) return undefined;
  return { pass: known.every(({ pass }) => pass), observed: known.map(({ observed }) => observed).join('; ') };
}

/**
 * Compares some of the quantisers in each group of rows.
 *
 * @param groups for example the rows of each data set
 * @param names of the quantisers; a group without one of them says nothing
 * @param compare their rows, in the order of the names
 */
export function compareIn<Row extends QuantizerRow, const Names extends readonly string[]>(
  groups: readonly (readonly Row[])[],
  names: Names,
  compare: (rows: { readonly [I in keyof Names]: Row }) => Check,
): Verdict | undefined {
  return allOf(
    groups.map((rows) => {
      const found = names.map((name) => rows.find(({ quantizer }) => quantizer === name));
      return found.includes(undefined) ? undefined : compare(found as unknown as { readonly [I in keyof Names]: Row });
    }),
  );
}

/** Three digits. */
export function digits(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
