/** Lists of seeds as `--seed` takes them. */

import { UsageError } from './errors.ts';

/** More would be a mistake. */
const MOST = 10_000;

/**
 * `'1..5'` → 1, 2, 3, 4, 5; `'1,3'`; `'1..3,7'`.
 *
 * @throws UsageError for anything else
 */
export function parseSeeds(text: string): number[] {
  const seeds = text.split(',').flatMap((part) => {
    const [, from, to] = /^\s*(\d+)(?:\.\.(\d+))?\s*$/.exec(part) ?? [];
    const first = Number(from);
    const last = Number(to ?? from);
    if (from === undefined || !Number.isSafeInteger(last) || last < first || last - first >= MOST) {
      throw new UsageError(`--seed ${text}: expected seeds such as 1, 1..5 or 1,2,7 (not negative, at most ${MOST}).`);
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return seeds;
}

/**
 * Checks seeds.
 *
 * @throws UsageError if there are none, if one is there twice, or isn't an integer from 0
 */
export function checkSeeds(seeds: readonly number[]): void {
  if (seeds.length === 0) throw new UsageError('There are no seeds; expected at least one.');
  const twice = seeds.find((seed, index) => seeds.indexOf(seed) !== index);
  if (twice !== undefined) throw new UsageError(`Seed ${twice} is there twice.`);
  const bad = seeds.find((seed) => !Number.isSafeInteger(seed) || seed < 0);
  if (bad !== undefined) throw new UsageError(`Seed ${bad} isn't an integer from 0.`);
}
