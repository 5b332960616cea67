/**
 * Random calls of tfjs's public operations, on this backend and on tfjs's CPU backend: the same shapes, dtypes and
 * values, or an error on both. Small tensors, of up to six dimensions, and those whose sizes are about those of vectors, tiles and
 * chunks.
 */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { type Call, randomCalls, type TensorSizes } from './random-calls.ts';

type Outcome = { shape: number[]; dtype: string; values: number[] }[] | Error;

const SMALL: TensorSizes = {
  extent: fc.oneof({ arbitrary: fc.integer({ min: 1, max: 4 }), weight: 12 }, { arbitrary: fc.constant(0), weight: 1 }),
  ...{ mostDimensions: 6, mostElements: 400, mostProducts: 64 },
};
/** About the sizes of vectors, tiles and blocks. */
const CRITICAL: TensorSizes = {
  extent: fc.constantFrom(
    ...[1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512, 1024],
  ),
  ...{ mostDimensions: 4, mostElements: 150_000, mostProducts: 1_000_000 },
};

function evaluate({ operands, run }: Call): Outcome {
  try {
    return tf.tidy(() =>
      [run(...operands.map(({ values: v, shape, dtype }) => tf.tensor(v, shape, dtype)))]
        .flat()
        .map((y) => ({ shape: y.shape, dtype: y.dtype, values: Array.from(y.dataSync()) })),
    );
  } catch (error) {
    return error as Error;
  }
}

function compare({ name, operands, tolerance = 0 }: Call, ours: Outcome, theirs: Outcome): void {
  const call = `${name}(${operands.map(({ shape, dtype }) => `${dtype} [${shape}]`).join(', ')})`;
  if (theirs instanceof Error) {
    if (!(ours instanceof Error)) throw new Error(`${call} gave a result, but tfjs throws: ${theirs.message}`);
    return;
  }
  if (ours instanceof Error) throw new Error(`${call} threw: ${ours.stack}`);
  if (ours.length !== theirs.length) throw new Error(`${call} gave ${ours.length} tensors, expected ${theirs.length}`);
  ours.forEach((y, i) => {
    const expected = theirs[i] as (typeof theirs)[number];
    if (
      y.dtype !== expected.dtype ||
      `${y.shape}` !== `${expected.shape}` ||
      y.values.length !== expected.values.length
    ) {
      throw new Error(`${call} is ${y.dtype} [${y.shape}], expected ${expected.dtype} [${expected.shape}]`);
    }
    y.values.forEach((value, j) => {
      const wanted = expected.values[j] as number;
      const close =
        Object.is(value, wanted) || value === wanted || Math.abs(value - wanted) <= tolerance * (1 + Math.abs(wanted));
      if (!close) throw new Error(`${call}: element ${j} is ${value}, expected ${wanted}`);
    });
  });
}

describe.each(await availableDevices())('operations on $name agree with tfjs', ({ options }) => {
  beforeAll(async () => void (await init(options)));
  afterAll(dispose);

  it.each(Object.entries(randomCalls(SMALL)))('%s', (_, calls) => expectSame(calls, { numRuns: 400, seed: 20 }));

  it.each(Object.entries(randomCalls(CRITICAL)))('%s of critical sizes', (_, calls) =>
    expectSame(calls, { numRuns: 60, endOnFailure: true }),
  );

  async function expectSame(calls: fc.Arbitrary<Call>, runs: fc.Parameters<[Call]>): Promise<void> {
    const tensors = tf.memory().numTensors;
    await fc.assert(
      fc.asyncProperty(calls, async (call) => {
        await tf.setBackend('cpu');
        const theirs = evaluate(call);
        await tf.setBackend('fwp');
        compare(call, evaluate(call), theirs);
      }),
      { endOnFailure: false, ...runs },
    );
    expect(tf.memory().numTensors).toBe(tensors);
  }
});
