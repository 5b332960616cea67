/**
 * Few-shot learning as a sequence: examples of classes never seen before, with labels that were dealt out for this sequence
 * only, so that they have to be learned while it is read.
 *
 *     synchronous   (■ 2) (▲ 0) (● 1) (▲ ?)       each example with its label, then a query; the target is the query's label
 *     delayed       (■ ?) (▲ 2) (● 0) (▲ 1)       each example with the label of the one before; every label is a target
 *
 * Irie, Schlag, Csordás, Schmidhuber, "A Modern Self-Referential Weight Matrix That Learns to Modify Itself" (ICML 2022); for
 * `futureShots` Irie, Schmidhuber, "Accelerating Neural Self-Improvement via Bootstrapping" (2023). Unlike there, the
 * label of what isn't known is one of its own, `ways`, and not the first class.
 */

import type { Random } from '../random.ts';
import { assertInteger, mapSplits, openStreams, type Split, type Task, type TaskOptions } from '../task.ts';
import { type ClassSource, type ClassSplits, sizeOf } from './class-source.ts';

/** Sequences of labelled examples. */
export interface FewShotBatch {
  /** Sequences: the first extent of the arrays. */
  readonly batchSize: number;
  /** Positions: the second extent of the arrays. */
  readonly length: number;
  /** Examples `[batchSize, length, ...exampleShape]`; 0 at positions that are not used. */
  readonly examples: Float32Array;
  /** The label shown with each example `[batchSize, length]`: 0 … ways − 1, or `ways` for unknown. */
  readonly labels: Int32Array;
  /** Labels to be predicted `[batchSize, length]`; 0 where none is. */
  readonly targets: Int32Array;
  /** 1 where the target counts, 0 elsewhere `[batchSize, length]`. */
  readonly mask: Float32Array;
}

/** A task of {@link fewShot}. */
export interface FewShotTask<Batch extends FewShotBatch = FewShotBatch> extends Task<Batch> {
  /** Classes in a sequence. Labels are 0 … ways − 1, and `ways` for unknown; targets are 0 … ways − 1. */
  readonly ways: number;
  /** Extents of an example. */
  readonly exampleShape: readonly number[];
  /** Positions of a sequence, by split. */
  readonly lengths: Readonly<Record<Split, number>>;
}

/** Options of {@link fewShot}. */
export interface FewShotOptions extends TaskOptions {
  /** Where the examples come from. */
  readonly classes: ClassSplits;
  /** Classes in a sequence. Default 5. */
  readonly ways?: number;
  /** Labelled examples of each class in a training sequence. Default 1. */
  readonly shots?: number;
  /** The same for a validation or test sequence. Default: `shots`. */
  readonly evaluationShots?: number;
  /** Further labelled examples of each class, which all come after the first ones, in every split. Default 0. */
  readonly futureShots?: number;
  /** Whether each example has its own label and a query follows, or that of the example before. Default `'synchronous'`. */
  readonly labels?: 'synchronous' | 'delayed';
}

/**
 * Sequences with `ways` classes, `shots` examples of each in random order, then `futureShots` of each in random order; with
 * synchronous labels one query more, another example of one of the classes. Labels are dealt out to the classes at random.
 *
 * ```ts
 * const task = fewShot({ classes: strokeCharacters(), ways: 5, shots: 1 });
 * const { examples, labels, targets, mask } = task.batch(0, 32);
 * ```
 *
 * @throws RangeError if an option is out of range; `batch` if a split hasn't enough classes or examples
 */
export function fewShot({
  classes,
  ways = 5,
  shots = 1,
  evaluationShots = shots,
  futureShots = 0,
  labels = 'synchronous',
  seed = 0,
}: FewShotOptions): FewShotTask {
  assertInteger('fewShot: ways', ways, 1);
  assertInteger('fewShot: shots', shots, 1);
  assertInteger('fewShot: evaluationShots', evaluationShots, 1);
  assertInteger('fewShot: futureShots', futureShots, 0);
  if (labels !== 'synchronous' && labels !== 'delayed') {
    throw new RangeError(`fewShot: labels must be synchronous or delayed, but is ${String(labels)}.`);
  }
  const shotsBySplit = { train: shots, validation: evaluationShots, test: evaluationShots };
  const queries = labels === 'synchronous' ? 1 : 0;
  const lengths = mapSplits(shotsBySplit, (count) => ways * (count + futureShots) + queries);
  const exampleShape = commonShape('fewShot', [classes]);
  const name = `few-shot/${labels}/${classes.train.name}`;

  const batch = (index: number, batchSize: number, split: Split = 'train'): FewShotBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const source = classes[split];
    const made = emptyBatch(batchSize, lengths[split], exampleShape, ways);
    streams.forEach((random, row) => {
      const groups = [shotsBySplit[split], futureShots];
      const { support, query } = drawEpisode(name, split, source, { ways, groups, queries }, random);
      const sequence = query === undefined ? support : [...support, query];
      sequence.forEach((item, t) => {
        const place = row * made.length + t;
        readExample(source, item, made.examples, place);
        const isTarget = labels === 'delayed' || item === query;
        if (isTarget) {
          made.targets[place] = item.label;
          made.mask[place] = 1;
        }
        if (labels === 'synchronous' && !isTarget) made.labels[place] = item.label;
        if (labels === 'delayed' && t > 0) made.labels[place] = (sequence[t - 1] as Item).label;
      });
    });
    return made;
  };
  return { name, ways, exampleShape, lengths, batch };
}

/** Sequences of {@link sequentialFewShot}. */
export interface SequentialFewShotBatch extends FewShotBatch {
  /** Which of the sources each example is from `[batchSize, length]`; 0 at positions that are not used. */
  readonly sources: Int32Array;
}

/** Options of {@link sequentialFewShot}. */
export interface SequentialFewShotOptions extends TaskOptions {
  /** Where the examples come from: each is one part of a sequence. All have the same shape. */
  readonly classes: readonly ClassSplits[];
  /** Classes in each part; all parts have the same labels. Default 5. */
  readonly ways?: number;
  /** Examples of each class. Default 15. */
  readonly shots?: number;
  /** Most examples that each part of a training sequence loses at its end. Default: 4/5 of them. */
  readonly maxTrim?: number;
}

/**
 * Adaptation to one task after the other: the parts of a sequence are few-shot problems of different sources, in random
 * order, with delayed labels that don't stop at the border. In training each part loses a random number of its last examples,
 * so that a change of task can't be foreseen. Order and number are drawn for each sequence; in the paper, for each batch.
 *
 * @throws RangeError if an option is out of range; `batch` if a split hasn't enough classes or examples
 */
export function sequentialFewShot({
  classes,
  ways = 5,
  shots = 15,
  maxTrim = Math.floor((4 * ways * shots) / 5),
  seed = 0,
}: SequentialFewShotOptions): FewShotTask<SequentialFewShotBatch> {
  assertInteger('sequentialFewShot: ways', ways, 1);
  assertInteger('sequentialFewShot: shots', shots, 1);
  assertInteger('sequentialFewShot: maxTrim', maxTrim, 0, ways * shots - 1);
  const exampleShape = commonShape('sequentialFewShot', classes);
  const names = classes.map(({ train }) => train.name);
  const name = `sequential-few-shot/${names.join('+')}`;
  const length = classes.length * ways * shots;
  const lengths = { train: length, validation: length, test: length };

  const batch = (index: number, batchSize: number, split: Split = 'train'): SequentialFewShotBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const made = emptyBatch(batchSize, length, exampleShape, ways);
    const sources = new Int32Array(batchSize * length);
    streams.forEach((random, row) => {
      let place = row * length;
      let before = ways;
      for (const number of random.permutation(classes.length)) {
        const source = (classes[number] as ClassSplits)[split];
        const { support } = drawEpisode(name, split, source, { ways, groups: [shots], queries: 0 }, random);
        const trim = split === 'train' ? random.integer(maxTrim + 1) : 0;
        for (const item of support.slice(0, support.length - trim)) {
          readExample(source, item, made.examples, place);
          made.labels[place] = before;
          made.targets[place] = item.label;
          made.mask[place] = 1;
          sources[place] = number;
          before = item.label;
          place++;
        }
      }
    });
    return { ...made, sources };
  };
  return { name, ways, exampleShape, lengths, batch };
}

function emptyBatch(batchSize: number, length: number, shape: readonly number[], unknown: number): FewShotBatch {
  return {
    batchSize,
    length,
    examples: new Float32Array(batchSize * length * sizeOf(shape)),
    labels: new Int32Array(batchSize * length).fill(unknown),
    targets: new Int32Array(batchSize * length),
    mask: new Float32Array(batchSize * length),
  };
}

/** An example of a class, with the label that the class has in this sequence. */
interface Item {
  readonly classIndex: number;
  readonly example: number;
  readonly label: number;
}

/** The examples of a sequence: of each class as many as `groups` say, each group shuffled; and one more for a query. */
function drawEpisode(
  name: string,
  split: Split,
  { classCount, exampleCount }: ClassSource,
  { ways, groups, queries }: { readonly ways: number; readonly groups: readonly number[]; readonly queries: 0 | 1 },
  random: Random,
): { readonly support: readonly Item[]; readonly query: Item | undefined } {
  const perClass = groups.reduce((a, b) => a + b) + queries;
  if (classCount < ways || exampleCount < perClass) {
    throw new RangeError(
      `${name}: a sequence needs ${ways} classes with ${perClass} examples each; there are ${classCount} with ${exampleCount} for ${split}.`,
    );
  }
  // The order in which classes are drawn is random, and so is what their labels are.
  const drawn = Array.from(random.sample(classCount, ways), (classIndex, label) =>
    Array.from(random.sample(exampleCount, perClass), (example): Item => ({ classIndex, example, label })),
  );
  let begin = 0;
  const support = groups.flatMap((count) => {
    const group = drawn.flatMap((items) => items.slice(begin, begin + count));
    begin += count;
    return Array.from(random.permutation(group.length), (place) => group[place] as Item);
  });
  return { support, query: queries === 1 ? random.choice(drawn)[perClass - 1] : undefined };
}

/** The shape that the examples of all sources have. */
function commonShape(name: string, classes: readonly ClassSplits[]): readonly number[] {
  const shapes = classes.flatMap(({ train, validation, test }) => [train.shape, validation.shape, test.shape]);
  const shape = shapes[0];
  if (shape === undefined) throw new RangeError(`${name}: classes must have at least one source.`);
  const other = shapes.find((other) => String(other) !== String(shape));
  if (other === undefined) return shape;
  throw new RangeError(`${name}: examples must have the same shape, but are [${shape}] and [${other}].`);
}

/** Writes an example to its place in an array of examples. */
function readExample(source: ClassSource, { classIndex, example }: Item, examples: Float32Array, place: number): void {
  const size = sizeOf(source.shape);
  source.read(classIndex, example, examples.subarray(place * size, (place + 1) * size));
}
