/**
 * Associative retrieval: a sequence of (key, value) pairs, then queries for the value that a key was given last.
 *
 * Schlag, Irie, Schmidhuber, "Linear Transformers Are Secretly Fast Weight Programmers" (ICML 2021), section 6.1.
 *
 * - Setting 1, capacity (`replace: false`): every key occurs once. Keys and values are random permutations; the length
 *   of a sequence is the number of keys.
 * - Setting 2, update rule (`replace: true`): keys and values are drawn with replacement, so that keys are re-assigned.
 *   Training sequences are twice as long as there are keys, evaluation sequences as long as there are keys.
 *
 * A training sequence has one query, the key at a uniformly random position. An evaluation sequence asks for every key
 * that occurs in it, in ascending order, up to 200. The paper evaluates on 20 fresh sequences.
 */

import { assertInteger, openStreams, type Split, type Task, type TaskOptions } from '../task.ts';

/** Options of {@link associativeRetrieval}. */
export interface AssociativeRetrievalOptions extends TaskOptions {
  /** Number of different keys. */
  readonly keys: number;
  /** Number of different values. Default: as many as keys. */
  readonly values?: number;
  /** Whether keys and values are drawn with replacement (setting 2). Default `false` (setting 1). */
  readonly replace?: boolean;
  /** Pairs in a training sequence. Default: `keys`, or `2 * keys` with replacement. */
  readonly trainLength?: number;
  /** Pairs in a validation or test sequence. Default: `keys`. */
  readonly evaluationLength?: number;
  /** Most queries of a validation or test sequence. Default 200. */
  readonly maxQueries?: number;
}

/** Sequences of (key, value) pairs with queries. */
export interface RetrievalBatch {
  /** Sequences: the first extent of every array. */
  readonly batchSize: number;
  /** Pairs in a sequence. */
  readonly length: number;
  /** Places for queries per sequence: 1 for training. */
  readonly queryCount: number;
  /** `[batchSize, length]`, each 0 … keys − 1. */
  readonly keys: Int32Array;
  /** `[batchSize, length]`, each 0 … values − 1: the value that the key at this place is given. */
  readonly values: Int32Array;
  /** `[batchSize, queryCount]`, keys that occur in the sequence; 0 in places that are not used. */
  readonly queries: Int32Array;
  /** `[batchSize, queryCount]`, the value that each queried key was given last; 0 in places that are not used. */
  readonly targets: Int32Array;
  /** `[batchSize, queryCount]`, 1 for a query, 0 for a place that is not used (with replacement some keys don't occur). */
  readonly mask: Float32Array;
}

/** The task of {@link associativeRetrieval}. */
export interface AssociativeRetrievalTask extends Task<RetrievalBatch> {
  /** Keys are 0 … keyCount − 1. */
  readonly keyCount: number;
  /** Values are 0 … valueCount − 1. */
  readonly valueCount: number;
  /** Pairs in a sequence, by split. */
  readonly lengths: Readonly<Record<Split, number>>;
  /** Places for queries per sequence, by split. */
  readonly queryCounts: Readonly<Record<Split, number>>;
}

/**
 * The synthetic task that measures how many associations a memory holds (setting 1) and whether it can change them
 * (setting 2).
 *
 * ```ts
 * const task = associativeRetrieval({ keys: 100 });
 * const { keys, values, queries, targets } = task.batch(0, 32);
 * ```
 *
 * @throws RangeError if a number is not such a number, or a sequence without replacement is longer than there are keys
 *   or values
 */
export function associativeRetrieval({
  keys: keyCount,
  values: valueCount = keyCount,
  replace = false,
  trainLength = replace ? 2 * keyCount : keyCount,
  evaluationLength = keyCount,
  maxQueries = 200,
  seed = 0,
}: AssociativeRetrievalOptions): AssociativeRetrievalTask {
  const mostPairs = replace ? 2 ** 31 : Math.min(keyCount, valueCount);
  assertInteger('associativeRetrieval: keys', keyCount, 1, 2 ** 31);
  assertInteger('associativeRetrieval: values', valueCount, 1, 2 ** 31);
  assertInteger('associativeRetrieval: maxQueries', maxQueries, 1);
  assertInteger('associativeRetrieval: trainLength', trainLength, 1, mostPairs);
  assertInteger('associativeRetrieval: evaluationLength', evaluationLength, 1, mostPairs);

  const name = `associative-retrieval/${replace ? 'with' : 'without'}-replacement`;
  const lengths = { train: trainLength, validation: evaluationLength, test: evaluationLength };
  const evaluationQueries = Math.min(maxQueries, keyCount, evaluationLength);
  const queryCounts = { train: 1, validation: evaluationQueries, test: evaluationQueries };

  const batch = (index: number, batchSize: number, split: Split = 'train'): RetrievalBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const length = lengths[split];
    const queryCount = queryCounts[split];
    const keys = new Int32Array(batchSize * length);
    const values = new Int32Array(batchSize * length);
    const queries = new Int32Array(batchSize * queryCount);
    const targets = new Int32Array(batchSize * queryCount);
    const mask = new Float32Array(batchSize * queryCount);
    streams.forEach((random, row) => {
      const draw = (count: number) =>
        replace ? Int32Array.from({ length }, () => random.integer(count)) : random.sample(count, length);
      const rowKeys = draw(keyCount);
      const rowValues = draw(valueCount);
      keys.set(rowKeys, row * length);
      values.set(rowValues, row * length);
      const asked = split === 'train' ? [random.choice(rowKeys)] : distinct(rowKeys).subarray(0, queryCount);
      asked.forEach((key, i) => {
        const place = row * queryCount + i;
        queries[place] = key;
        targets[place] = rowValues[rowKeys.lastIndexOf(key)] as number;
        mask[place] = 1;
      });
    });
    return { batchSize, length, queryCount, keys, values, queries, targets, mask };
  };
  return { name, keyCount, valueCount, lengths, queryCounts, batch };
}

/** The different numbers among `numbers`, in ascending order. */
function distinct(numbers: Int32Array): Int32Array {
  return Int32Array.from(new Set(numbers)).sort();
}
