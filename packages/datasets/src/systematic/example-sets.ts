/**
 * Finite sets of examples, and batches of them. A set is one part of a data set, for example its training examples; no
 * example is in two parts, and none twice in one, unless a data set says otherwise.
 *
 * - {@link ClassificationSet}: a sentence and a class.
 * - {@link SentencePairSet}: a sentence and another that is to be produced from it.
 *
 * Batches are addressed by number: {@link shuffledBatches} for training, {@link depthBalanced} for training on few
 * examples of different depths, {@link orderedBatches} for evaluation.
 */

import { createRandom } from '../random.ts';
import { assertInteger, openStreams, type Split, type Task, type TaskOptions } from '../task.ts';
import { sentenceCollector } from './sentences.ts';

/** Examples that batches are made of. */
export interface ExampleSet<Batch> {
  /** Number of examples. */
  readonly size: number;
  /** Tokens of each input, start and end included `[size]`. */
  readonly inputLengths: Int32Array;
  /**
   * A batch of the examples with these numbers, in this order.
   *
   * @throws RangeError if a number is not one of 0 … size − 1
   */
  take(numbers: ArrayLike<number>): Batch;
}

/** Sentences with a class each. */
export interface ClassificationBatch {
  /** Examples: the first extent of every array. */
  readonly batchSize: number;
  /** Tokens of the longest input: the second extent of `inputs`. */
  readonly length: number;
  /** Sentences from start to end, then padding `[batchSize, length]`; see `SENTENCE_TOKENS`. */
  readonly inputs: Int32Array;
  /** Tokens of each input, start and end included `[batchSize]`; `end` is at `inputLengths[row] − 1`. */
  readonly inputLengths: Int32Array;
  /** Classes, from 0 `[batchSize]`. */
  readonly targets: Int32Array;
  /** How deep each example is, for accuracies by depth `[batchSize]`. */
  readonly depths: Int32Array;
}

/** Pairs of sentences. */
export interface SentencePairBatch {
  /** Pairs: the first extent of every array. */
  readonly batchSize: number;
  /** Tokens of the longest input. */
  readonly inputLength: number;
  /** Tokens of the longest target. */
  readonly targetLength: number;
  /** Sentences from start to end, then padding `[batchSize, inputLength]`; see `SENTENCE_TOKENS`. */
  readonly inputs: Int32Array;
  /** Tokens of each input, start and end included `[batchSize]`. */
  readonly inputLengths: Int32Array;
  /**
   * Sentences from start to end, then padding `[batchSize, targetLength]`. A decoder reads all but the last column and
   * predicts all but the first.
   */
  readonly targets: Int32Array;
  /** Tokens of each target, start and end included `[batchSize]`. */
  readonly targetLengths: Int32Array;
}

/** Examples of a sentence and a class. */
export interface ClassificationSet extends ExampleSet<ClassificationBatch> {
  /** Class of each example `[size]`. */
  readonly targets: Int32Array;
  /** Depth of each example `[size]`. */
  readonly depths: Int32Array;
}

/** Examples of a sentence and another one. */
export interface SentencePairSet extends ExampleSet<SentencePairBatch> {
  /** Tokens of each target, start and end included `[size]`. */
  readonly targetLengths: Int32Array;
}

/** One example of a {@link ClassificationSet}; `input` are tokens of words. */
export interface Classification {
  readonly input: readonly number[];
  readonly target: number;
  readonly depth: number;
}

/** Makes a set of examples. */
export function classificationSet(examples: Iterable<Classification>): ClassificationSet {
  const sentences = sentenceCollector();
  const classes: number[] = [];
  const levels: number[] = [];
  for (const { input, target, depth } of examples) {
    sentences.add(input);
    classes.push(target);
    levels.push(depth);
  }
  const inputs = sentences.finish();
  const [targets, depths] = [Int32Array.from(classes), Int32Array.from(levels)];
  const size = targets.length;
  const take = (numbers: ArrayLike<number>): ClassificationBatch => {
    assertNumbers(numbers, size);
    const { length, tokens, lengths } = inputs.take(numbers);
    return {
      batchSize: numbers.length,
      length,
      inputs: tokens,
      inputLengths: lengths,
      targets: pick(targets, numbers),
      depths: pick(depths, numbers),
    };
  };
  return { size, inputLengths: inputs.lengths, targets, depths, take };
}

/** Makes a set of pairs; both are tokens of words. */
export function sentencePairSet(
  pairs: Iterable<{ readonly input: ArrayLike<number>; readonly target: ArrayLike<number> }>,
): SentencePairSet {
  const [first, second] = [sentenceCollector(), sentenceCollector()];
  for (const { input, target } of pairs) {
    first.add(input);
    second.add(target);
  }
  const [inputs, targets] = [first.finish(), second.finish()];
  const size = inputs.lengths.length;
  const take = (numbers: ArrayLike<number>): SentencePairBatch => {
    assertNumbers(numbers, size);
    const [input, target] = [inputs.take(numbers), targets.take(numbers)];
    return {
      batchSize: numbers.length,
      inputLength: input.length,
      targetLength: target.length,
      inputs: input.tokens,
      inputLengths: input.lengths,
      targets: target.tokens,
      targetLengths: target.lengths,
    };
  };
  return { size, inputLengths: inputs.lengths, targetLengths: targets.lengths, take };
}

function pick(values: Int32Array, numbers: ArrayLike<number>): Int32Array {
  return Int32Array.from(numbers, (number) => values[number] as number);
}

function assertNumbers(numbers: ArrayLike<number>, size: number): void {
  for (let i = 0; i < numbers.length; i++) assertInteger('take: example', numbers[i] as number, 0, size - 1);
}

/** Batches of a shuffled set; see {@link shuffledBatches}. */
export interface ShuffledBatches<Batch> {
  /** Steps in which the set is gone through once. */
  readonly stepsPerEpoch: number;
  /** The batch of a step, from 0. */
  batch(step: number): Batch;
}

/** Options of {@link shuffledBatches}. */
export interface ShuffledBatchesOptions extends TaskOptions {
  /** Examples in a batch. */
  readonly batchSize: number;
  /**
   * Batches whose examples are sorted by length before they are divided, so that sentences of a batch
   * are about as long and little is padding. The batches are shuffled after. Default 1: no sorting.
   */
  readonly sortedBatches?: number;
  /** What they are sorted by `[set.size]`, for example `targetLengths` of pairs. Default: the set's `inputLengths`. */
  readonly lengths?: Int32Array;
}

/**
 * Goes through a set in another random order in every epoch. What doesn't fill a batch is left out, another part each time.
 *
 * @throws RangeError if the set is smaller than a batch, or there are not as many lengths as examples
 */
export function shuffledBatches<Batch>(
  set: ExampleSet<Batch>,
  { batchSize, sortedBatches = 1, lengths = set.inputLengths, seed = 0 }: ShuffledBatchesOptions,
): ShuffledBatches<Batch> {
  assertInteger('shuffledBatches: batchSize', batchSize, 1, set.size);
  assertInteger('shuffledBatches: sortedBatches', sortedBatches, 1);
  assertInteger('shuffledBatches: number of lengths', lengths.length, set.size, set.size);
  const stepsPerEpoch = Math.floor(set.size / batchSize);
  // The order of the last epoch asked for: it is the same for all its steps.
  let known: { readonly epoch: number; readonly order: Int32Array } = { epoch: -1, order: new Int32Array(0) };
  const orderOf = (epoch: number): Int32Array => {
    if (known.epoch !== epoch) {
      const random = createRandom(seed, 'shuffled-batches', epoch);
      const order = random.permutation(set.size).subarray(0, stepsPerEpoch * batchSize);
      for (let first = 0; sortedBatches > 1 && first < stepsPerEpoch; first += sortedBatches) {
        const count = Math.min(sortedBatches, stepsPerEpoch - first);
        const part = order.subarray(first * batchSize, (first + count) * batchSize);
        const lengthOf = (number: number) => lengths[number] as number;
        const sorted = part.slice().sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
        random.permutation(count).forEach((from, to) => {
          part.set(sorted.subarray(from * batchSize, (from + 1) * batchSize), to * batchSize);
        });
      }
      known = { epoch, order };
    }
    return known.order;
  };
  const batch = (step: number): Batch => {
    assertInteger('shuffledBatches: step', step, 0);
    const place = (step % stepsPerEpoch) * batchSize;
    return set.take(orderOf(Math.floor(step / stepsPerEpoch)).subarray(place, place + batchSize));
  };
  return { stepsPerEpoch, batch };
}

/** Options of {@link depthBalanced}. */
export interface DepthBalancedOptions extends TaskOptions {
  /**
   * Whether all examples of a batch have the same depth, each depth as often as the others: where sentences of one depth are
   * equally long, nothing is padding. Default false.
   */
  readonly oneDepthPerBatch?: boolean;
}

/**
 * Examples drawn with replacement: first a depth, uniformly among those of the set, then an example of this depth. For sets
 * that have far more deep examples than shallow ones, as there are more of them.
 *
 * @throws RangeError if the set is empty
 */
export function depthBalanced(
  set: ClassificationSet,
  { seed = 0, oneDepthPerBatch = false }: DepthBalancedOptions = {},
): Task<ClassificationBatch> {
  assertInteger('depthBalanced: size of the set', set.size, 1);
  const byDepth = new Map<number, number[]>();
  set.depths.forEach((depth, number) => {
    const numbers = byDepth.get(depth);
    if (numbers === undefined) byDepth.set(depth, [number]);
    else numbers.push(number);
  });
  const groups = [...byDepth.keys()].sort((a, b) => a - b).map((depth) => byDepth.get(depth) as number[]);
  const name = 'depth-balanced';
  /** Goes through the depths in another random order each time. */
  const groupsOf = (index: number, split: Split): readonly number[][] => {
    if (!oneDepthPerBatch) return groups;
    const order = createRandom(seed, name, 'depths', split, Math.floor(index / groups.length)).permutation(
      groups.length,
    );
    return [groups[order[index % groups.length] as number] as number[]];
  };
  const batch = (index: number, batchSize: number, split: Split = 'train'): ClassificationBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const drawn = groupsOf(index, split);
    return set.take(streams.map((random) => random.choice(random.choice(drawn))));
  };
  return { name, batch };
}

/** All examples of a set once, in their order; the last batch has what is left. For evaluation. */
export function* orderedBatches<Batch>(
  set: ExampleSet<Batch>,
  { batchSize }: { readonly batchSize: number },
): Generator<Batch, void> {
  assertInteger('orderedBatches: batchSize', batchSize, 1);
  for (let begin = 0; begin < set.size; begin += batchSize) {
    yield set.take(Int32Array.from({ length: Math.min(batchSize, set.size - begin) }, (_, i) => begin + i));
  }
}
