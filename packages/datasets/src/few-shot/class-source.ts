/** Where few-shot learning takes its examples from: classes, each with examples of one shape. */

import { assertInteger, mapSplits, type Split } from '../task.ts';

/** Classes with examples. What an example is depends on nothing but the numbers of class and example. */
export interface ClassSource {
  /** Name of the source, for example `'stroke-characters'`. Part of what decides which classes an episode draws. */
  readonly name: string;
  /** Extents of an example, for example `[28, 28, 1]`: rows, columns, channels. */
  readonly shape: readonly number[];
  /** Classes are 0 … classCount − 1. At most 2³¹. */
  readonly classCount: number;
  /** Examples of each class are 0 … exampleCount − 1. At most 2³¹. */
  readonly exampleCount: number;
  /** Writes an example, row by row, to an array of as many numbers as `shape` says. */
  read(classIndex: number, example: number, into: Float32Array): void;
}

/** Other classes in each split. */
export type ClassSplits = Readonly<Record<Split, ClassSource>>;

/** Numbers in an example. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The number of classes of each split, checked. */
export function countBySplit(
  name: string,
  classes: number | Readonly<Record<Split, number>>,
): Readonly<Record<Split, number>> {
  const counts = typeof classes === 'number' ? { train: classes, validation: classes, test: classes } : classes;
  return mapSplits(counts, (count, split) => {
    assertInteger(`${name}: classes of ${split}`, count, 0, 2 ** 31);
    return count;
  });
}

/**
 * Four classes for each one of square images: turned by 0, 90, 180 and 270 degrees anticlockwise. Class c turned by 90 r
 * degrees is class c + r · (number of classes before).
 *
 * ```ts
 * const classes = strokeCharacters();
 * const task = fewShot({ classes: { ...classes, train: withRotations(classes.train) } });
 * ```
 *
 * @throws RangeError if the examples aren't square images, or there are too many classes
 */
export function withRotations(source: ClassSource): ClassSource {
  const { name, shape, classCount } = source;
  const [rows, columns, channels = 1] = shape as [number, number, number?];
  if (rows !== columns || shape.length > 3) {
    throw new RangeError(`withRotations: examples must be square images, but those of ${name} are [${shape}].`);
  }
  if (4 * classCount > 2 ** 31) {
    throw new RangeError(`withRotations: ${name} has ${classCount} classes; four times as many are more than 2^31.`);
  }
  const last = rows - 1;
  // For each number of quarter turns: which pixel comes to the first place, and how far from it those below and beside it are.
  const turned = [
    { first: 0, down: rows, right: 1 },
    { first: last, down: -1, right: rows },
    { first: rows * rows - 1, down: -rows, right: -1 },
    { first: last * rows, down: 1, right: -rows },
  ] as const;
  const upright = new Float32Array(sizeOf(shape));
  const read = (classIndex: number, example: number, into: Float32Array): void => {
    const turns = Math.floor(classIndex / classCount) as 0 | 1 | 2 | 3;
    source.read(classIndex - turns * classCount, example, upright);
    const { first, down, right } = turned[turns];
    let place = 0;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < rows; column++) {
        const from = (first + row * down + column * right) * channels;
        for (let channel = 0; channel < channels; channel++) into[place++] = upright[from + channel] as number;
      }
    }
  };
  return { ...source, name: `${name}/rotated`, classCount: 4 * classCount, read };
}
