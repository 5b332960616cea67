/**
 * Random tensors. On the `fwp` backend C fills them in place; on any other backend TypeScript draws the same numbers,
 * bit for bit.
 */

import * as tf from '@tensorflow/tfjs-core';
import { BACKEND_NAME, type FwpBackend } from '../backend/backend.ts';
import { filled } from '../backend/outputs.ts';
import { randomArguments } from '../backend/random-arguments.ts';
import { assertCount } from '../shape-checks.ts';
import { bernoulliFrom } from './distributions.ts';
import {
  bernoulliThreshold,
  integerRange,
  type NormalOptions,
  normalParameters,
  permutationWords,
  type RandomStream,
  type UniformOptions,
  uniformParameters,
} from './stream.ts';

/** Options of {@link randomBernoulli}. */
export interface BernoulliOptions {
  /** Probability of a 1; default 0.5. */
  readonly probability?: number;
  /** Default `'bool'`. */
  readonly dtype?: 'bool' | 'float32';
  /** What stands for success in a float32 tensor, for example 1 / (1 − rate) in a dropout mask; default 1. */
  readonly value?: number;
}

/** float32 values in [low, high), by default [0, 1). */
export function randomUniform(stream: RandomStream, shape: number[], options: UniformOptions = {}): tf.Tensor {
  const { low, range, greatest } = uniformParameters(options);
  return draw('randomUniform', stream, shape, 'float32', {
    kernel: 'random_uniform',
    words: (count) => count,
    parameters: [low, range, greatest],
    values: (count) => stream.uniform(count, options),
  });
}

/** Normally distributed float32 values. */
export function randomNormal(stream: RandomStream, shape: number[], options: NormalOptions = {}): tf.Tensor {
  const { mean, deviation } = normalParameters(options);
  return draw('randomNormal', stream, shape, 'float32', {
    kernel: 'random_normal',
    words: (count) => Math.ceil(count / 2) * 2,
    parameters: [mean, deviation],
    values: (count) => stream.normal(count, options),
  });
}

/** float32 values of the normal distribution within two standard deviations of the mean. */
export function randomTruncatedNormal(stream: RandomStream, shape: number[], options: NormalOptions = {}): tf.Tensor {
  const { mean, deviation } = normalParameters(options);
  return draw('randomTruncatedNormal', stream, shape, 'float32', {
    kernel: 'random_truncated_normal',
    words: (count) => count,
    parameters: [mean, deviation],
    values: (count) => stream.truncatedNormal(count, options),
  });
}

/** Independent successes of equal probability: 1 or 0 as bool, or `value` or 0 as float32. */
export function randomBernoulli(stream: RandomStream, shape: number[], options: BernoulliOptions = {}): tf.Tensor {
  const { probability = 0.5, dtype = 'bool', value = 1 } = options;
  const threshold = bernoulliThreshold(probability);
  const words = (count: number): number => count;
  if (dtype === 'bool') {
    return draw('randomBernoulli', stream, shape, dtype, {
      kernel: 'random_bernoulli_bool',
      words,
      parameters: [threshold],
      values: (count) => stream.bernoulli(count, probability),
    });
  }
  return draw('randomBernoulli', stream, shape, dtype, {
    kernel: 'random_bernoulli',
    words,
    parameters: [threshold, value],
    values: (count) => bernoulliFrom(stream.bits(count), threshold, new Float32Array(count), value),
  });
}

/** int32 values from `low` to `high` − 1. */
export function randomIntegers(stream: RandomStream, shape: number[], low: number, high: number): tf.Tensor {
  const range = integerRange(low, high);
  return draw('randomIntegers', stream, shape, 'int32', {
    kernel: 'random_integers',
    words: (count) => 2 * count,
    parameters: [low, range],
    values: (count) => stream.integers(count, low, high),
  });
}

/** The integers 0 … count − 1 in random order, as int32 [count]. */
export function randomPermutation(stream: RandomStream, count: number): tf.Tensor1D {
  assertCount('randomPermutation: count', count, 0);
  return draw('randomPermutation', stream, [count], 'int32', {
    kernel: 'random_permutation',
    words: permutationWords,
    parameters: [],
    values: () => stream.permutation(count),
  }) as tf.Tensor1D;
}

/** How a distribution is drawn in C and in TypeScript. */
interface Sampler {
  readonly kernel: string;
  /** Random words that `count` elements take. */
  words(count: number): number;
  readonly parameters: readonly number[];
  values(count: number): tf.TypedArray;
}

/** Nothing is taken of the stream if that fails; `name` is what messages call the function. */
function draw(
  name: string,
  stream: RandomStream,
  shape: number[],
  dtype: 'float32' | 'int32' | 'bool',
  sampler: Sampler,
): tf.Tensor {
  for (const [axis, extent] of shape.entries()) assertCount(`${name}: shape[${axis}]`, extent, 0);
  const count = tf.util.sizeFromShape(shape);
  if (tf.getBackend() !== BACKEND_NAME) return tf.tensor(sampler.values(count), shape, dtype);
  const backend = tf.backend() as FwpBackend;
  const output = backend.makeOutput(shape.slice(), dtype);
  const info = filled(backend, output, () => {
    const { state } = stream;
    stream.reserve(sampler.words(count));
    const place = randomArguments(backend.offsetOf(output), count, state);
    backend.engine.run(sampler.kernel, ...place, ...sampler.parameters);
  });
  return tf.engine().makeTensorFromTensorInfo(info);
}
