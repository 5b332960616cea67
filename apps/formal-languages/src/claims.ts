/** What the paper says about models and languages, decided by the fraction of words that are right. */

import type { Verdict } from '@fwp/lab';
import type { ModelName } from './models.ts';
import type { FormalLanguagesKey, FormalLanguagesResult } from './training.ts';

/** A row of the results, as far as the claims look at it. */
export type AccuracyRow = FormalLanguagesKey &
  Pick<FormalLanguagesResult, 'accuracy50' | 'accuracy100' | 'accuracy200' | 'layers'>;

/**
 * Fraction of long words from which a language counts as learned. The paper stops at all of its words; of test words that no
 * decision has seen, and a training that is much shorter, one in twenty may be missed.
 */
export const LEARNED = 0.95;
/**
 * Fraction of words as long as those of training from which a model counts as having learned a language that far: where
 * training is broken off while it still improves, one word in ten may be missed.
 */
export const LEARNED_SHORT = 0.9;
/**
 * Fraction up to which a language counts as not learned: far below what any model reaches that has the language, and above what
 * languages with few long words give to one that only guesses well.
 */
export const FAILED = 0.5;

/**
 * Fraction of words of reset Dyck-1 with at most 50 symbols above which a model must forget: half way from 0.46 to 1. A counter
 * that ignores the resets has 0.46 of them right (counted on 2000 words): those whose targets what is forgotten would not change.
 */
export const FORGETS = 0.73;

/** Whether accuracies on one bin are within bounds for all of some models and languages that were measured. */
export function accuraciesWithin(
  rows: readonly AccuracyRow[],
  { models, languages }: { readonly models: readonly ModelName[]; readonly languages: readonly string[] },
  {
    field = 'accuracy100',
    least = 0,
    most = 1,
  }: { field?: 'accuracy50' | 'accuracy100' | 'accuracy200'; least?: number; most?: number },
): Verdict | undefined {
  const concerned = rows.filter(
    (row) => models.includes(row.model) && languages.includes(row.language) && row[field] !== null,
  );
  if (concerned.length === 0) return undefined;
  const value = (row: AccuracyRow) => row[field] as number;
  return {
    pass: concerned.every((row) => value(row) >= least && value(row) <= most),
    observed: concerned.map((row) => `${row.model} ${percent(value(row))} of ${row.language}`).join(', '),
  };
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

/** Whether all of several verdicts pass; undefined if one of them could not be reached. */
export function together(...verdicts: readonly (Verdict | undefined)[]): Verdict | undefined {
  const reached = verdicts.filter((verdict) => verdict !== undefined);
  if (reached.length < verdicts.length) return undefined;
  return { pass: reached.every(({ pass }) => pass), observed: reached.map(({ observed }) => observed).join('; ') };
}
