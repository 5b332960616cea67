import { dispose, init } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readScalar } from '../src/index.ts';

describe('readScalar', () => {
  beforeAll(async () => {
    await init({ device: 'wasm', threads: 1 });
  });
  afterAll(dispose);

  it('gives the number, or nothing where it is not wanted, and keeps no tensor', async () => {
    const before = tf.memory().numTensors;
    const loss = () => tf.tidy(() => tf.sum(tf.tensor1d([1, 2, 3.5])) as tf.Scalar);
    expect(await readScalar(loss())).toBe(6.5);
    expect(await readScalar(loss(), true)).toBe(6.5);
    expect(await readScalar(loss(), false)).toBeUndefined();
    expect(tf.memory().numTensors).toBe(before);
  });
});
