/**
 * How a router uses its experts, from what it chose:
 *
 *     share of expert e   p_e = assignments to e / all assignments
 *     perplexity          exp(−Σ_e p_e ln p_e), from 1 to the number of experts; relative: divided by it
 *
 * An expert is dead if nobody chose it.
 */

import { assertCount } from '@fwp/core';
import type { Selection } from './selection.ts';

/** Usage of the choices of one head. */
export interface Usage {
  /** Assignments to each choice. */
  readonly counts: readonly number[];
  /** Their shares of all assignments; 0 if there are none. */
  readonly shares: readonly number[];
  /** exp of the shares' entropy. */
  readonly perplexity: number;
  /** Perplexity divided by the number of choices: 1 if all are used alike. */
  readonly relativePerplexity: number;
  /** Number of choices that nobody took. */
  readonly dead: number;
}

/** Counts selections over many calls. */
export class UsageCounter {
  readonly #counts: Float64Array[];

  /**
   * @param choices number of choices of each head
   * @param heads number of heads. Default 1
   */
  constructor(choices: number, heads = 1) {
    assertCount('UsageCounter: choices', choices);
    assertCount('UsageCounter: heads', heads);
    this.#counts = Array.from({ length: heads }, () => new Float64Array(choices));
  }

  /**
   * Adds what a call chose.
   *
   * @throws RangeError if it has other choices or heads
   */
  add({ choices, indices }: Pick<Selection, 'choices' | 'indices'>): void {
    const [, heads, active] = indices.shape;
    if (heads !== this.#counts.length || choices !== this.#counts[0]?.length) {
      throw new RangeError(
        `UsageCounter: the selection has ${heads} heads with ${choices} choices, but the counter ` +
          `${this.#counts.length} with ${this.#counts[0]?.length}. Keep a counter for each router.`,
      );
    }
    for (const [i, choice] of indices.dataSync().entries()) {
      const counts = this.#counts[Math.floor(i / active) % heads] as Float64Array;
      counts[choice] = (counts[choice] as number) + 1;
    }
  }

  /** Usage of each head so far. */
  usage(): Usage[] {
    return this.#counts.map((counts) => usageOf([...counts]));
  }
}

/**
 * Statistics of counts.
 *
 * @param counts assignments to each choice
 */
export function usageOf(counts: readonly number[]): Usage {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const shares = counts.map((count) => (total === 0 ? 0 : count / total));
  const entropy = shares.reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
  const perplexity = Math.exp(entropy);
  return {
    counts,
    shares,
    perplexity,
    relativePerplexity: perplexity / Math.max(1, counts.length),
    dead: counts.filter((count) => count === 0).length,
  };
}
