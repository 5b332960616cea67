/** Claims about agents: how many of their episodes are solved. */

import type { Verdict } from '@fwp/lab';

interface SuccessRow {
  readonly gradient: string;
  readonly success: number;
  readonly corridor?: number;
}

/**
 * Whether all rows of a gradient have a success within bounds. Guessing solves half of the episodes; over 400 episodes that
 * is 0.5 ± 0.075 for three standard deviations.
 */
export function successWithin(
  rows: readonly SuccessRow[],
  gradient: string,
  { least = 0, most = 1 }: { readonly least?: number; readonly most?: number },
): Verdict | undefined {
  const concerned = rows.filter((row) => row.gradient === gradient);
  if (concerned.length === 0) return undefined;
  return {
    pass: concerned.every(({ success }) => success >= least && success <= most),
    observed: concerned
      .map(({ success, corridor }) => {
        return `${(100 * success).toFixed(1)} of 100${corridor === undefined ? '' : ` in a corridor of ${corridor}`}`;
      })
      .join(', '),
  };
}
