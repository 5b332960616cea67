/** What the claims have in common: rows by setting and by name of the quantiser, and sentences about numbers. */

import type { Verdict } from '@fwp/lab';

/** Rows with the name of a quantiser, and the settings in which quantisers are compared. */
interface QuantizerRow {
  readonly quantizer: string;
  /** What is quantised, where an experiment has several sources. */
  readonly source?: string | number;
  readonly codes: number;
  readonly decay: number;
}

/** How the settings are told from each other. */
const SETTINGS = {
  source: (value: unknown) => `${value}`,
  codes: (value: unknown) => `${value} codes`,
  decay: (value: unknown) => `decay ${value}`,
};
type SettingName = keyof typeof SETTINGS;

/** A check of one group of rows, of one setting. */
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
 * Compares some of the quantisers in each setting: source, number of codes, and decay.
 *
 * @param rows of all settings
 * @param names of the quantisers; a setting without one of them says nothing
 * @param compare their rows, in the order of the names; undefined where they say nothing
 * @returns what became of all settings; where there are several, each is named by what tells it from the others
 */
export function compareIn<Row extends QuantizerRow, const Names extends readonly string[]>(
  rows: readonly Row[],
  names: Names,
  compare: (rows: { readonly [I in keyof Names]: Row }) => Check | undefined,
): Verdict | undefined {
  const fields = Object.keys(SETTINGS) as SettingName[];
  const differing = fields.filter((field) => new Set(rows.map((row) => row[field])).size > 1);
  const nameOf = (row: Row) => differing.map((field) => SETTINGS[field](row[field])).join(', ');
  return allOf(
    [...new Set(rows.map(nameOf))].map((setting) => {
      const group = rows.filter((row) => nameOf(row) === setting);
      const found = names.map((name) => group.find(({ quantizer }) => quantizer === name));
      if (found.includes(undefined)) return undefined;
      const check = compare(found as unknown as { readonly [I in keyof Names]: Row });
      if (check === undefined || setting === '') return check;
      return { pass: check.pass, observed: `${setting}: ${check.observed}` };
    }),
  );
}

/**
 * Whether a row can say early what counts that begin at 0 do: EMA-VQ throws unused codes away by a factor of 10⁵ in the first
 * step, and they come back when 0.99^t has made up for it, near step 690. With a smaller decay they are back before errors
 * are measured; with a larger one averages still hold the random codes of the beginning then.
 */
export function bringsCodesBackLate({ decay }: QuantizerRow): boolean {
  return decay === 0.99;
}

/** Three digits. */
export function digits(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
