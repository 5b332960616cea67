/**
 * Initial values of weights. A weight matrix is `[inputs, outputs]`; with fan-in and fan-out its two sizes,
 *
 *     fanInUniform     U(−b, b), b = 1 / √fanIn                  default of PyTorch's layers
 *     xavierUniform    U(−b, b), b = gain √(6 / (fanIn + fanOut))    Glorot and Bengio, 2010, equation 16
 *     xavierNormal     N(0, σ²), σ = gain √(2 / (fanIn + fanOut))    the same, normal
 *     heUniform        U(−b, b), b = √(6 / fanIn)                He et al., 2015, equation 10
 *     heNormal         N(0, σ²), σ = √(2 / fanIn)                the same, normal
 *     lecunNormal      N(0, σ²), σ = 1 / √fanIn                  LeCun et al., 1998
 */

import { fill, type Tensor } from '@tensorflow/tfjs-core';
import type { RandomStream } from '../random/stream.ts';
import { randomNormal, randomTruncatedNormal, randomUniform } from '../random/tensors.ts';
import { assertNumber } from '../shape-checks.ts';

/** How many inputs an output has, and how many outputs an input has. */
export interface Fans {
  readonly fanIn: number;
  readonly fanOut: number;
}

/**
 * Makes the initial value of a parameter of the given shape. `fans` says what the shape of a filter does not: without it they
 * are the last two extents.
 */
export type Initializer = (shape: number[], random: RandomStream, fans?: Fans) => Tensor;

/** The same value everywhere. */
export function constantInitializer(value: number): Initializer {
  assertNumber('constantInitializer: value', value);
  return (shape) => fill(shape, value);
}

/** N(mean, standardDeviation²). */
export function normalInitializer(standardDeviation: number, mean = 0): Initializer {
  assertNumber('normalInitializer: standardDeviation', standardDeviation, 0);
  return (shape, random) => randomNormal(random, shape, { mean, standardDeviation });
}

/** N(mean, standardDeviation²) without what lies beyond two standard deviations. */
export function truncatedNormalInitializer(standardDeviation: number, mean = 0): Initializer {
  assertNumber('truncatedNormalInitializer: standardDeviation', standardDeviation, 0);
  return (shape, random) => randomTruncatedNormal(random, shape, { mean, standardDeviation });
}

/** U(−bound, bound). */
export function uniformInitializer(bound: number): Initializer {
  assertNumber('uniformInitializer: bound', bound, 0);
  return (shape, random) => uniform(shape, random, bound);
}

/** U(−1/√fanIn, 1/√fanIn); `fanIn` says it where the shape does not, as for a bias. */
export function fanInUniform(fanIn?: number): Initializer {
  return (shape, random, fans) => uniform(shape, random, 1 / Math.sqrt(fanIn ?? (fans ?? fansOf(shape)).fanIn));
}

/** Glorot's uniform initialisation. */
export function xavierUniform(gain = 1): Initializer {
  return (shape, random, { fanIn, fanOut } = fansOf(shape)) =>
    uniform(shape, random, gain * Math.sqrt(6 / (fanIn + fanOut)));
}

/** Glorot's normal initialisation. */
export function xavierNormal(gain = 1): Initializer {
  return (shape, random, { fanIn, fanOut } = fansOf(shape)) =>
    randomNormal(random, shape, { standardDeviation: gain * Math.sqrt(2 / (fanIn + fanOut)) });
}

/** He's uniform initialisation, for ReLU. */
export function heUniform(): Initializer {
  return (shape, random, { fanIn } = fansOf(shape)) => uniform(shape, random, Math.sqrt(6 / fanIn));
}

/** He's normal initialisation, for ReLU. */
export function heNormal(): Initializer {
  return (shape, random, { fanIn } = fansOf(shape)) =>
    randomNormal(random, shape, { standardDeviation: Math.sqrt(2 / fanIn) });
}

/** LeCun's normal initialisation. */
export function lecunNormal(): Initializer {
  return (shape, random, { fanIn } = fansOf(shape)) =>
    randomNormal(random, shape, { standardDeviation: 1 / Math.sqrt(fanIn) });
}

/** A stream for a layer that draws in `forward`: of its own, however many layers branch off the same stream. */
export function branch(random: RandomStream): RandomStream {
  return random.split(random.reserve(1));
}

function uniform(shape: number[], random: RandomStream, bound: number): Tensor {
  return bound === 0 ? fill(shape, 0) : randomUniform(random, shape, { low: -bound, high: bound });
}

function fansOf(shape: readonly number[]): Fans {
  if (shape.length < 2) {
    throw new RangeError(
      `This initializer needs a matrix [inputs, outputs], but the parameter has shape [${shape.join(', ')}]. ` +
        'Use one that states its scale, for example normalInitializer().',
    );
  }
  return { fanIn: Math.max(1, shape.at(-2) as number), fanOut: Math.max(1, shape.at(-1) as number) };
}
