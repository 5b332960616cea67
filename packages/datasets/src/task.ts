/**
 * What a task is: a generator of batches that are pure functions of (options, seed, split, index).
 *
 * Sequence number n of a split has a stream of random numbers of its own; row r of `batch(index, batchSize)` is sequence
 * index · batchSize + r. So batches can be asked for in any order and by several programs at once, a run that resumes at
 * step s asks for batch s, and a larger batch is several smaller ones, one after the other.
 */

import { createRandom, type Random } from './random.ts';

/** A part of a data set. No sequence of one part shares random numbers with a sequence of another. */
export type Split = 'train' | 'validation' | 'test';

const SPLITS: readonly Split[] = ['train', 'validation', 'test'];

/** The same for each split, in this order. */
export function mapSplits<T, U>(
  { train, validation, test }: Readonly<Record<Split, T>>,
  map: (value: T, split: Split) => U,
): Record<Split, U> {
  return { train: map(train, 'train'), validation: map(validation, 'validation'), test: map(test, 'test') };
}

/** A generator of batches. */
export interface Task<Batch> {
  /** Name of the task, for example `'copy'`. Part of what decides the random numbers. */
  readonly name: string;
  /**
   * Generates a batch. The same arguments always give the same bytes.
   *
   * @param index number of the batch, from 0
   * @param batchSize sequences in the batch, at least 1
   * @param split default `'train'`
   * @throws RangeError if `index` or `batchSize` is not such a number
   */
  batch(index: number, batchSize: number, split?: Split): Batch;
}

/** A batch of token sequences with a target at some of the positions. */
export interface TokenBatch {
  /** Sequences: the first extent of the arrays. */
  readonly batchSize: number;
  /** Positions: the second extent of the arrays. */
  readonly length: number;
  /** Tokens `[batchSize, length]`. */
  readonly inputs: Int32Array;
  /** What is to be predicted at each position `[batchSize, length]`; 0 where nothing is. */
  readonly targets: Int32Array;
  /** 1 where the target counts, 0 elsewhere `[batchSize, length]`. */
  readonly mask: Float32Array;
}

/** A task with tokens in and tokens out. */
export interface TokenTask extends Task<TokenBatch> {
  /** Input tokens are 0 … vocabularySize − 1. */
  readonly vocabularySize: number;
  /** Targets are 0 … targetCount − 1: the extent of the model's output. */
  readonly targetCount: number;
  /** Positions of a sequence, by split. */
  readonly lengths: Readonly<Record<Split, number>>;
}

/**
 * The batches of a task one after the other, from number `begin` to before `end` (default: for ever).
 *
 * ```ts
 * for (const { inputs, targets } of batches(task, { batchSize: 32, end: 1000 })) …
 * ```
 */
export function* batches<Batch>(
  task: Task<Batch>,
  {
    batchSize,
    split = 'train',
    begin = 0,
    end = Number.POSITIVE_INFINITY,
  }: { readonly batchSize: number; readonly split?: Split; readonly begin?: number; readonly end?: number },
): Generator<Batch, void> {
  for (let index = begin; index < end; index++) yield task.batch(index, batchSize, split);
}

/** Options that every task has. */
export interface TaskOptions {
  /** Integer from 0 to 2⁵³ − 1. Default 0. */
  readonly seed?: number;
}

/** Where the generator of one sequence writes: its row of the batch's arrays. */
export interface TokenRow {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
  readonly mask: Float32Array;
}

/**
 * Makes a task out of a generator of single sequences.
 *
 * @param write fills one row; all arrays are 0 before
 */
export function tokenTask(
  description: Pick<TokenTask, 'name' | 'vocabularySize' | 'targetCount' | 'lengths'>,
  seed: number,
  write: (row: TokenRow, random: Random, split: Split) => void,
): TokenTask {
  const { name, lengths } = description;
  const batch = (index: number, batchSize: number, split: Split = 'train'): TokenBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const length = lengths[split];
    const inputs = new Int32Array(batchSize * length);
    const targets = new Int32Array(batchSize * length);
    const mask = new Float32Array(batchSize * length);
    streams.forEach((random, row) => {
      const [begin, end] = [row * length, (row + 1) * length];
      const part = {
        inputs: inputs.subarray(begin, end),
        targets: targets.subarray(begin, end),
        mask: mask.subarray(begin, end),
      };
      write(part, random, split);
    });
    return { batchSize, length, inputs, targets, mask };
  };
  return { ...description, batch };
}

/** The streams of random numbers of a batch's sequences, after a check of what the batch was asked for with. */
export function openStreams(name: string, seed: number, index: number, batchSize: number, split: Split): Random[] {
  assertInteger(`${name}: index`, index, 0);
  assertInteger(`${name}: batchSize`, batchSize, 1);
  assertSplit(name, split);
  return Array.from({ length: batchSize }, (_, row) => createRandom(seed, name, split, index * batchSize + row));
}

/** Makes sure that `split` is one; `name` is what the message calls the task. */
export function assertSplit(name: string, split: Split): void {
  if (SPLITS.includes(split)) return;
  throw new RangeError(`${name}: split must be one of ${SPLITS.join(', ')}, but is ${String(split)}.`);
}

/**
 * Makes sure that `value` is an integer in [least, most].
 *
 * @param name how the message calls it, for example `'copyTask: length'`
 */
export function assertInteger(
  name: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`${name} must be an integer ${range}, but is ${String(value)}.`);
}
