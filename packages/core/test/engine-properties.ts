/**
 * Properties that kernels have in common: those of the CPU engine give the same bits from every number of threads and leave
 * nothing in use, and all of them give what operations of tfjs give that they stand for.
 */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { engineBackend } from '../src/device/device.ts';
import { type InitOptions, init } from '../src/index.ts';
import { availableDevices, otherDevices, tfjsCpu } from './devices.ts';
import { expectSameBits, expectWithin } from './ops/against-reference.ts';

/** Expects the same bits from 1, 2 and 4 threads; `run` is tidied. The device that comes last stays. */
export async function expectSameBitsForAllThreads(options: InitOptions, run: () => ArrayLike<number>[]): Promise<void> {
  const results: ArrayLike<number>[][] = [];
  for (const threads of [1, 2, 4]) {
    await init({ ...options, threads });
    // Not returned, as tfjs would look for tensors in every element.
    tf.tidy(() => {
      results.push(run());
    });
  }
  expectSameBits(results[1]!, results[0]!);
  expectSameBits(results[2]!, results[0]!);
}

/** What is in use on the engine: tensors, their data, bytes. */
export function memoryInUse(): number[] {
  return [tf.memory().numTensors, engineBackend()!.numDataIds(), engineBackend()!.memory().numBytesLive];
}

/** Expects nothing more to be in use after `run` than before; a first run makes what stays. */
export function expectNothingLeft(run: () => unknown): void {
  run();
  const before = memoryInUse();
  run();
  expect(memoryInUse()).toEqual(before);
}

/** Expects the kernels of every device to give what tfjs's own backend gives, where the operation is composed; `run` is tidied. */
export async function expectKernelsEqualComposition(run: () => ArrayLike<number>[]): Promise<void> {
  const arrays: ArrayLike<number>[][] = [];
  for (const { name, options } of [tfjsCpu, ...(await availableDevices()), ...otherDevices]) {
    await init(options);
    tf.tidy(() => {
      arrays.push(run());
    });
    const [composed, given] = [arrays[0]!, arrays.at(-1)!];
    expect(given.length).toBe(composed.length);
    for (const [i, values] of given.entries()) expectWithin(values, composed[i]!, 3e-6, `${name}, array ${i}`);
  }
}
