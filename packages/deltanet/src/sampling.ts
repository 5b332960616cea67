/** Choosing a symbol from a distribution: p ∝ exp(logits / temperature), restricted to the k most probable ones if wanted. */

import type { RandomStream } from '@fwp/core';

/** How a symbol is chosen. */
export interface Sampling {
  /** 0 chooses the most probable symbol. */
  readonly temperature: number;
  /** Number of symbols to choose from. */
  readonly topK: number;
  /** Draws. */
  readonly random: RandomStream;
}

/**
 * Draws a symbol.
 *
 * @param logits unnormalised logarithms of probabilities, one for each symbol
 */
export function sample(logits: ArrayLike<number>, { temperature, topK, random }: Sampling): number {
  const symbols = Array.from(logits, (_, symbol) => symbol);
  // Equal ones in the order of their numbers, so that the choice does not depend on the sorting algorithm.
  const logit = (symbol: number) => logits[symbol] as number;
  if (temperature === 0) return symbols.reduce((best, symbol) => (logit(symbol) > logit(best) ? symbol : best), 0);
  const candidates =
    topK < symbols.length ? symbols.sort((a, b) => logit(b) - logit(a) || a - b).slice(0, topK) : symbols;
  const most = candidates.reduce((largest, symbol) => Math.max(largest, logit(symbol)), Number.NEGATIVE_INFINITY);
  const weights = candidates.map((symbol) => Math.exp((logit(symbol) - most) / temperature));
  let rest = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return candidates[i] as number;
  }
  // Rounding may leave a crumb.
  return candidates.at(-1) as number;
}
