/** What became of the paper's claims: each is decided for every seed by itself, and holds if it holds for all of them. */

import type { Claim, Row } from '../experiment.ts';

/** A claim with its verdicts, as in `results.json` and the output of `--json`. */
export interface ClaimResult {
  readonly text: string;
  /** Whether it holds for all seeds; `null`: this preset doesn't measure what the claim is about. */
  readonly pass: boolean | null;
  readonly perSeed: readonly SeedVerdict[];
}

/** What one seed says about a claim. */
export interface SeedVerdict {
  readonly seed: number;
  readonly pass: boolean;
  /** The numbers that decided, in words. */
  readonly observed: string;
}

/**
 * Decides all claims. Seeds come in the order in which the rows name them; a claim that throws doesn't hold, and what
 * it observed is the error: training isn't lost because of a mistake in a claim.
 *
 * @param experiment whose claims
 * @param rows of all seeds; of a run that is not finished, the finished ones
 */
export function evaluateClaims<ResultRow extends Row>(
  experiment: { readonly claims: readonly Claim<ResultRow>[] },
  rows: readonly ResultRow[],
): ClaimResult[] {
  const seeds = [...new Set(rows.map(({ seed }) => seed))];
  return experiment.claims.map((claim) => {
    const perSeed = seeds.flatMap((seed) => {
      const verdict = decide(
        claim,
        rows.filter((row) => row.seed === seed),
      );
      return verdict === undefined ? [] : [{ seed, pass: verdict.pass, observed: verdict.observed }];
    });
    return { text: claim.text, pass: perSeed.length === 0 ? null : perSeed.every(({ pass }) => pass), perSeed };
  });
}

function decide<ResultRow>(claim: Claim<ResultRow>, rows: readonly ResultRow[]): ReturnType<Claim['holds']> {
  try {
    return claim.holds(rows);
  } catch (error) {
    return { pass: false, observed: `could not be decided: ${(error as Error).message}` };
  }
}

/** One line on all claims: `'2 of 3 claims hold, 1 not measured'`. */
export function summarizeClaims(claims: readonly ClaimResult[]): string {
  if (claims.length === 0) return 'no claims';
  const measured = claims.filter(({ pass }) => pass !== null);
  const rest = claims.length - measured.length;
  if (measured.length === 0) return 'no claim is measured by this preset';
  const held = measured.filter(({ pass }) => pass === true).length;
  const verb = measured.length === 1 ? 'holds' : 'hold';
  const noun = measured.length === 1 ? 'claim' : 'claims';
  return `${held} of ${measured.length} ${noun} ${verb}${rest === 0 ? '' : `, ${rest} not measured`}`;
}
