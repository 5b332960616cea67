/** What is kept from one command to the next on device webgpu. */

import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Adam, dispose, dropout, init, Linear, RandomStream } from '../../src/index.ts';
import type { WebGpuBackend } from '../../src/webgpu/backend.ts';
import { Dispatcher, Generations } from '../../src/webgpu/dispatcher.ts';
import { webGpuDevices } from '../devices.ts';
import { expectSameBits, noiseInput } from '../ops/against-reference.ts';

const [gpu] = await webGpuDevices();

describe('generations', () => {
  it('have the values that were asked for last, and drop each of the others once', () => {
    const dropped: string[] = [];
    const made: string[] = [];
    const kept = new Generations<string>(3, (value) => dropped.push(value));
    const get = (key: string) =>
      kept.get(key, () => {
        made.push(key);
        return key.toUpperCase();
      });
    for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'e']) expect(get(key)).toBe(key.toUpperCase());
    expect(made).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(dropped).toEqual([]);
    // 'a' was asked for since, 'b' and 'c' were not.
    for (const key of ['f', 'g']) get(key);
    expect(dropped.toSorted()).toEqual(['B', 'C']);
    get('a');
    expect(made).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    get('b');
    expect(made.at(-1)).toBe('b');
  });
});

describe.skipIf(gpu === undefined)('the dispatcher on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
    tf.env().set('WEBGPU_CPU_FORWARD', false);
  });
  afterAll(dispose);

  const backend = () => tf.backend() as WebGpuBackend & { dispatcher: Dispatcher };

  it('makes nothing for a step of a training that the steps before had made', () => {
    const layer = new Linear({ inputSize: 6, outputSize: 3, random: new RandomStream(1) });
    const optimizer = new Adam(layer, { learningRate: 0.01 });
    const x = tf.tensor2d(noiseInput([8, 6], 1).values, [8, 6]);
    const random = new RandomStream(2);
    const { device } = backend();
    let made = 0;
    const createBindGroup = device.createBindGroup.bind(device);
    device.createBindGroup = (descriptor) => {
      made++;
      return createBindGroup(descriptor);
    };
    const counts: number[] = [];
    for (let step = 0; step < 60; step++) {
      made = 0;
      optimizer
        .minimize(() => tf.mean(tf.square(dropout(layer.forward(x) as tf.Tensor, 0.5, random))) as tf.Scalar)
        .dispose();
      counts.push(made);
    }
    expect(counts[0]).toBeGreaterThan(5);
    expect(counts.slice(-15).reduce((a, b) => a + b)).toBe(0);
    optimizer.dispose();
    layer.dispose();
    x.dispose();
  });

  it('does not change the parameters of a command that waits, however few are kept', () => {
    const { dispatcher } = backend();
    const compute = () =>
      tf.tidy(() => {
        const results: tf.Tensor[] = [];
        for (let size = 1; size <= 12; size++) {
          const x = tf.reshape(tf.range(0, 7 * size, 1, 'float32'), [7, size]);
          results.push(tf.cumsum(x, 0), tf.transpose(tf.mul(x, size)), tf.softmax(x));
        }
        return results.map((result) => result.dataSync() as Float32Array);
      });
    const expected = compute();
    backend().dispatcher = new Dispatcher(backend(), 2);
    try {
      expectSameBits(compute(), expected);
    } finally {
      backend().dispatcher = dispatcher;
    }
  });
});
