/**
 * Batches for language modelling, cut from a long sequence of tokens: the input is a piece of it, the target the same piece
 * one token later.
 *
 * - `contiguousBatches`: parallel streams that are read from begin to end, for models that carry their state over.
 * - `randomCrops`: independent pieces at random places.
 * - `slidingWindows`: every token is predicted once, with as much context as the window holds; for evaluation.
 *
 * All are addressed by number, so that a run that resumes goes on with exactly the batch it would have seen.
 */

import { assertInteger, openStreams, type Split, type Task, type TaskOptions, type TokenBatch } from './task.ts';
import { type TokenArray, type TokenSource, tokenSource } from './tokens.ts';

/** A batch of {@link ContiguousBatches}. */
export interface ContiguousBatch extends TokenBatch {
  /** How often the sequence has been gone through before. */
  readonly epoch: number;
  /** Whether the streams begin here, so that carried states are to be reset before this batch. */
  readonly isStart: boolean;
}

/** Parallel streams; see {@link contiguousBatches}. */
export interface ContiguousBatches {
  /** Steps until the streams begin anew. */
  readonly stepsPerEpoch: number;
  /** The batch of a step, from 0; row r goes on where row r of the step before ended, unless `isStart`. */
  batch(step: number): ContiguousBatch;
}

/**
 * Cuts the tokens into `batchSize` streams of equal length and goes through all of them at once, `length` tokens a step.
 * What doesn't fill a step, fewer than `length` tokens at the end of each stream, is left out.
 *
 * @throws RangeError if there aren't enough tokens for one step
 */
export function contiguousBatches(
  tokens: TokenArray | TokenSource,
  { batchSize, length }: { readonly batchSize: number; readonly length: number },
): ContiguousBatches {
  assertInteger('contiguousBatches: batchSize', batchSize, 1);
  const source = checkedSource('contiguousBatches', tokens, length, batchSize * length + 1);
  const streamLength = Math.floor((source.length - 1) / batchSize);
  const stepsPerEpoch = Math.floor(streamLength / length);
  const batch = (step: number): ContiguousBatch => {
    assertInteger('contiguousBatches: step', step, 0);
    const place = step % stepsPerEpoch;
    const begins = Array.from({ length: batchSize }, (_, row) => row * streamLength + place * length);
    return { ...cut(source, begins, length), epoch: Math.floor(step / stepsPerEpoch), isStart: place === 0 };
  };
  return { stepsPerEpoch, batch };
}

/**
 * Pieces that begin at uniformly random places.
 *
 * @returns a task: `batch(index, batchSize)` is a pure function of tokens, seed and index
 * @throws RangeError if there aren't enough tokens for one piece
 */
export function randomCrops(
  tokens: TokenArray | TokenSource,
  { length, seed = 0 }: TaskOptions & { readonly length: number },
): Task<TokenBatch> {
  const source = checkedSource('randomCrops', tokens, length, length + 1);
  const name = 'random-crops';
  const batch = (index: number, batchSize: number, split: Split = 'train'): TokenBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const begins = streams.map((random) => random.integer(source.length - length));
    return cut(source, begins, length);
  };
  return { name, batch };
}

/** Options of {@link slidingWindows}. */
export interface SlidingWindowOptions {
  /** Tokens of a window. */
  readonly length: number;
  /** Tokens from one window to the next, at most `length`. Default 1: the most context and the most work. */
  readonly stride?: number;
}

/** Windows for evaluation; see {@link slidingWindows}. */
export interface SlidingWindows {
  /** Number of windows. */
  readonly count: number;
  /** Number of predictions in all: one for every token but the first. */
  readonly predictions: number;
  /** Windows `index * batchSize` and following, `batchSize` of them or as many as there are. */
  batch(index: number, batchSize: number): TokenBatch;
}

/**
 * Windows of `length` tokens that move on by `stride`: in the first window every prediction counts, in the following only
 * the last `stride` ones, so that each of them has at least `length - stride` tokens of context. The mask says which
 * count; over all windows that is each token but the first exactly once.
 *
 * @throws RangeError if there are fewer than `length + 1` tokens, or `stride` exceeds `length`
 */
export function slidingWindows(
  tokens: TokenArray | TokenSource,
  { length, stride = 1 }: SlidingWindowOptions,
): SlidingWindows {
  const source = checkedSource('slidingWindows', tokens, length, length + 1);
  assertInteger('slidingWindows: stride', stride, 1, length);
  const predictions = source.length - 1;
  const count = 1 + Math.ceil((predictions - length) / stride);
  const batch = (index: number, batchSize: number): TokenBatch => {
    assertInteger('slidingWindows: batchSize', batchSize, 1);
    assertInteger('slidingWindows: index', index, 0, Math.ceil(count / batchSize) - 1);
    const first = index * batchSize;
    const windows = Array.from({ length: Math.min(batchSize, count - first) }, (_, row) => first + row);
    // The last window ends with the tokens; fewer than `stride` of its predictions may be new.
    const beginOf = (window: number) => Math.min(window * stride, predictions - length);
    const result = cut(source, windows.map(beginOf), length);
    windows.forEach((window, row) => {
      const alreadyCounted = window === 0 ? 0 : beginOf(window - 1) + length - beginOf(window);
      result.mask.fill(0, row * length, row * length + alreadyCounted);
    });
    return result;
  };
  return { count, predictions, batch };
}

/** Inputs and targets that begin at the given places; every target counts. */
function cut(source: TokenSource, begins: readonly number[], length: number): TokenBatch {
  const inputs = new Int32Array(begins.length * length);
  const targets = new Int32Array(begins.length * length);
  begins.forEach((begin, row) => {
    const piece = source.read(begin, begin + length + 1);
    inputs.set(piece.subarray(0, length), row * length);
    targets.set(piece.subarray(1), row * length);
  });
  return { batchSize: begins.length, length, inputs, targets, mask: new Float32Array(inputs.length).fill(1) };
}

function checkedSource(name: string, tokens: TokenArray | TokenSource, length: number, atLeast: number): TokenSource {
  assertInteger(`${name}: length`, length, 1);
  const source = tokenSource(tokens);
  if (source.length >= atLeast) return source;
  throw new RangeError(
    `${name}: ${atLeast} tokens are needed, but there are ${source.length}. ` +
      'Use more tokens, a smaller length or a smaller batchSize.',
  );
}
