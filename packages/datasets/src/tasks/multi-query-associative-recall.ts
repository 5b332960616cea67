/**
 * Multi-query associative recall (MQAR): pairs of a key and a value, then the keys again, scattered among other tokens.
 *
 *     k₁ v₁ k₂ v₂ … k₁ · · · k₃ · k₂ · …   →   v₁ at the second k₁, v₃ at the second k₃, …
 *
 * Arora et al., "Zoology: Measuring and Improving Recall in Efficient Language Models" (2023), section 4 and appendix E. As in
 * the authors' generator, keys come from the lower half of the vocabulary (without 0), values from the upper half, and
 * the query of pair i stands 2 gᵢ places after the pairs, where the gaps g₁, g₂, … are drawn without replacement with
 * probability proportional to (g + 1)^(exponent − 1): soon after the pairs is likelier than late, as repetitions in text are.
 * An exponent of 1 makes all places equally likely.
 */

import { power } from '../portable-math.ts';
import type { Random } from '../random.ts';
import { assertInteger, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';

/** Options of {@link multiQueryAssociativeRecall}. */
export interface MultiQueryAssociativeRecallOptions extends TaskOptions {
  /** Tokens of a training sequence, even, at least 4 · pairs. Default 64. */
  readonly length?: number;
  /** Tokens of a validation or test sequence. Default: `length`. */
  readonly evaluationLength?: number;
  /** Pairs of a training sequence. Default 8. */
  readonly pairs?: number;
  /** Pairs of a validation or test sequence. Default: `pairs`. */
  readonly evaluationPairs?: number;
  /** Even, at least 2 · pairs + 2. Default 8192. */
  readonly vocabularySize?: number;
  /** Exponent of the distribution of gaps, above 0. Default 0.01. */
  readonly exponent?: number;
  /** Whether places without a pair or query hold random tokens of the whole vocabulary (else 0). Default `true`. */
  readonly randomFiller?: boolean;
}

/**
 * Multi-query associative recall. The targets at the queries are the tokens of the values.
 *
 * @throws RangeError if an option is out of range
 */
export function multiQueryAssociativeRecall({
  length = 64,
  evaluationLength = length,
  pairs = 8,
  evaluationPairs = pairs,
  vocabularySize = 8192,
  exponent = 0.01,
  randomFiller = true,
  seed = 0,
}: MultiQueryAssociativeRecallOptions = {}): TokenTask {
  const name = 'multi-query-associative-recall';
  assertInteger(`${name}: half the vocabularySize`, vocabularySize / 2, 2, 2 ** 30);
  for (const [option, count] of Object.entries({ pairs, evaluationPairs })) {
    assertInteger(`${name}: ${option}`, count, 1, vocabularySize / 2 - 1);
  }
  assertInteger(`${name}: half the length`, length / 2, 2 * pairs);
  assertInteger(`${name}: half the evaluationLength`, evaluationLength / 2, 2 * evaluationPairs);
  if (!(exponent > 0 && Number.isFinite(exponent))) {
    throw new RangeError(`${name}: exponent must be a number above 0, but is ${String(exponent)}.`);
  }
  const lengths = { train: length, validation: evaluationLength, test: evaluationLength };
  const gapCount = Math.max(length / 2 - pairs, evaluationLength / 2 - evaluationPairs);
  const weights = Float64Array.from({ length: gapCount }, (_, gap) => power(gap + 1, exponent - 1));
  const half = vocabularySize / 2;

  return tokenTask({ name, vocabularySize, targetCount: vocabularySize, lengths }, seed, (row, random, split) => {
    const count = split === 'train' ? pairs : evaluationPairs;
    if (randomFiller) row.inputs.set(row.inputs.map(() => random.integer(vocabularySize)));
    const keys = random.sample(half - 1, count);
    const values = random.sample(half, count);
    const gaps = drawWithoutReplacement(weights.slice(0, row.inputs.length / 2 - count), count, random);
    gaps.forEach((gap, i) => {
      const key = 1 + (keys[i] as number);
      const value = half + (values[i] as number);
      const query = 2 * (count + gap);
      row.inputs.set([key, value], 2 * i);
      row.inputs[query] = key;
      row.targets[query] = value;
      row.mask[query] = 1;
    });
  });
}

/** Different indices of `weights`, one after the other, each with probability in proportion to its weight; sets those to 0. */
function drawWithoutReplacement(weights: Float64Array, count: number, random: Random): number[] {
  let total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: count }, () => {
    let rest = random.uniform() * total;
    let drawn = -1;
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i] as number;
      if (weight === 0) continue;
      // Should rounding leave a rest beyond the last weight, the last one is meant.
      drawn = i;
      rest -= weight;
      if (rest < 0) break;
    }
    total -= weights[drawn] as number;
    weights[drawn] = 0;
    return drawn;
  });
}
