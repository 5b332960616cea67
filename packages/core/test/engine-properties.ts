/** Properties that kernels of the CPU engine have in common: the same bits from every number of threads, and nothing left in use. */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { engineBackend } from '../src/device/device.ts';
import { type InitOptions, init } from '../src/index.ts';
import { expectSameBits } from './ops/against-reference.ts';

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
