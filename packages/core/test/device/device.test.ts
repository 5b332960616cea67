import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { device, dispose, init } from '../../src/index.ts';

afterEach(dispose);

describe.each(['wasm', 'native'] as const)('device %s', (name) => {
  it('computes with tfjs ops', async () => {
    await init({ device: name, threads: 2 });
    expect(device().name).toBe(name);
    const sum = tf.tidy(() => tf.add(tf.tensor1d([1, 2, 3]), tf.tensor1d([4, 5, 6])));
    expect(Array.from(sum.dataSync())).toEqual([5, 7, 9]);
    sum.dispose();
  });
});
