/** Compares kernels of the backend with tfjs's own CPU kernels on the same inputs. */

import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { FwpBackend } from '../../../src/backend/backend.ts';
import { fallback } from '../../../src/backend/fallback.ts';
import { kernels } from '../../../src/backend/kernels/index.ts';

/** Tensors of a call: one, several by name, or a list. */
type Inputs = Record<string, tf.Tensor | undefined> | tf.Tensor[];

/**
 * Runs kernel `name` in C and in tfjs, and expects equal shapes, dtypes and values (to `tolerance`, absolute and
 * relative; 0 means bit for bit). Fails if the kernel takes the fallback itself, or leaves memory behind.
 */
export function expectSameAsTfjs(name: string, inputs: Inputs, attrs: object = {}, tolerance = 0): void {
  const backend = tf.backend() as FwpBackend;
  const call = { inputs, attrs, backend } as never;
  const fallbacks = backend.fallbackCalls().get(name) ?? 0;
  const before = backend.engine.statistics().liveBytes;
  const ours = [kernels[name]!(call)].flat();
  expect(backend.fallbackCalls().get(name) ?? 0, `${name} took the fallback`).toBe(fallbacks);
  const theirs = [fallback(name, call)].flat();
  expect(ours.length).toBe(theirs.length);
  ours.forEach((tensor, i) => {
    const expected = theirs[i]!;
    expect(tensor.shape).toEqual(expected.shape);
    expect(tensor.dtype).toBe(expected.dtype);
    expectValues(backend.viewOf(tensor), backend.viewOf(expected), tolerance, `${name} ${JSON.stringify(attrs)}`);
  });
  for (const tensor of [...ours, ...theirs]) backend.release(tensor);
  expect(backend.engine.statistics().liveBytes).toBe(before);
}

/** Expects equal values to a tolerance, absolute and relative; NaN equals NaN. */
export function expectValues(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  message = '',
): void {
  expect(actual.length, message).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i] as number;
    const e = expected[i] as number;
    const close = Object.is(a, e) || a === e || Math.abs(a - e) <= tolerance * (1 + Math.abs(e));
    if (!close) expect.fail(`${message}: element ${i} is ${a}, expected ${e}`);
  }
}
