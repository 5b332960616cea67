/**
 * Associative recall: pairs of a key and a value, then every key again in another order, each with its value after it.
 *
 *     k4 c9 x0 a4 …   a4 x0 k4 c9 …
 *
 * The value after a key of the second half can be known only by looking it up in the first (after Ba et al., "Using Fast
 * Weights to Attend to the Recent Past", 2016, section 4.1, with a question for each key).
 */

import { assertInteger, type TaskOptions, type TokenTask, tokenTask } from '../task.ts';

/** Options of {@link associativeRecall}. */
export interface AssociativeRecallOptions extends TaskOptions {
  /** Pairs in a training sequence. Default 12. */
  readonly pairs?: number;
  /** Pairs in a validation or test sequence. Default: `pairs`. */
  readonly evaluationPairs?: number;
  /** Different keys, at least as many as pairs. Default 26: the letters. */
  readonly keys?: number;
  /** Different values. Default 10: the digits. */
  readonly values?: number;
}

/**
 * Associative recall with as many queries as pairs. A sequence has 4 · pairs tokens: keys are 0 … keys − 1, values follow.
 * Only the values of the second half count; a target is the token of the value.
 *
 * @throws RangeError if an option is out of range
 */
export function associativeRecall({
  pairs = 12,
  evaluationPairs = pairs,
  keys = 26,
  values = 10,
  seed = 0,
}: AssociativeRecallOptions = {}): TokenTask {
  assertInteger('associativeRecall: keys', keys, 1, 2 ** 30);
  assertInteger('associativeRecall: values', values, 1, 2 ** 30);
  assertInteger('associativeRecall: pairs', pairs, 1, keys);
  assertInteger('associativeRecall: evaluationPairs', evaluationPairs, 1, keys);
  const description = {
    name: 'associative-recall',
    vocabularySize: keys + values,
    targetCount: keys + values,
    lengths: { train: 4 * pairs, validation: 4 * evaluationPairs, test: 4 * evaluationPairs },
  };
  return tokenTask(description, seed, (row, random) => {
    const count = row.inputs.length / 4;
    const drawn = Array.from(random.sample(keys, count), (key) => [key, keys + random.integer(values)] as const);
    const asked = Array.from(random.permutation(count), (i) => drawn[i] as (typeof drawn)[number]);
    row.inputs.set([...drawn, ...asked].flat());
    asked.forEach(([, value], i) => {
      const place = 2 * (count + i);
      row.targets[place] = value;
      row.mask[place] = 1;
    });
  });
}
