/**
 * Classes of random vectors: the smallest few-shot problem. A class is a vector μ ~ N(0, I), its examples are
 * x ~ N(μ, σ² I).
 */

import { createRandom } from '../random.ts';
import { assertInteger, mapSplits, type Split, type TaskOptions } from '../task.ts';
import { type ClassSplits, countBySplit } from './class-source.ts';

/** Options of {@link gaussianClasses}. */
export interface GaussianClassesOptions extends TaskOptions {
  /** Numbers in a vector. Default 16. */
  readonly size?: number;
  /** σ, the standard deviation of the examples of a class. Default 0.5. */
  readonly deviation?: number;
  /** Classes in each split, or in all of them. Default 2³¹: every episode has new ones. */
  readonly classes?: number | Readonly<Record<Split, number>>;
  /** Examples of each class. Default 2³¹. */
  readonly examples?: number;
}

/**
 * Classes of normally distributed vectors; `shape` is `[size]`.
 *
 * @throws RangeError if an option is out of range
 */
export function gaussianClasses({
  size = 16,
  deviation = 0.5,
  classes = 2 ** 31,
  examples = 2 ** 31,
  seed = 0,
}: GaussianClassesOptions = {}): ClassSplits {
  assertInteger('gaussianClasses: size', size, 1);
  assertInteger('gaussianClasses: examples', examples, 1, 2 ** 31);
  if (!(deviation >= 0 && deviation < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`gaussianClasses: deviation must be a number of at least 0, but is ${String(deviation)}.`);
  }
  const name = 'gaussian-classes';
  return mapSplits(countBySplit(name, classes), (classCount, split) => ({
    name,
    shape: [size],
    classCount,
    exampleCount: examples,
    read: (classIndex, example, into) => {
      const mean = createRandom(seed, name, split, classIndex);
      const noise = createRandom(seed, name, split, classIndex, example);
      for (let i = 0; i < size; i++) into[i] = mean.normal() + deviation * noise.normal();
    },
  }));
}
