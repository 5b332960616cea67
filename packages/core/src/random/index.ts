/** Repeatable random numbers: streams that can be split, saved and moved, and random tensors. */

export { type NormalOptions, RandomStream, type RandomStreamState, type UniformOptions } from './stream.ts';
export {
  type BernoulliOptions,
  randomBernoulli,
  randomIntegers,
  randomNormal,
  randomPermutation,
  randomTruncatedNormal,
  randomUniform,
} from './tensors.ts';
