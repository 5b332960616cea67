import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { DeviceLostError, device, dispose, init, OutOfMemoryError, synchronize } from '../../src/index.ts';
import type { WebGpuBackend } from '../../src/webgpu/backend.ts';
import { runKernel, type WgslKernel } from '../../src/webgpu/program.ts';
import { webGpuDevices } from '../devices.ts';

const [gpu] = await webGpuDevices();

afterEach(dispose);

const backend = () => tf.backend() as WebGpuBackend;

describe.skipIf(gpu === undefined)('device webgpu', { timeout: 240_000 }, () => {
  it('becomes the current backend of tfjs and describes its GPU', async () => {
    const info = await init({ device: 'webgpu' });
    expect(info).toMatchObject({ name: 'webgpu', backend: 'webgpu', version: '4.22.0' });
    expect(info.simd).toMatch(/\w/);
    expect(device()).toBe(info);
    expect(tf.getBackend()).toBe('webgpu');
  });

  it('reads synchronously and asynchronously, also while the other is under way', async () => {
    await init({ device: 'webgpu' });
    const [x, y] = [tf.randomUniform([40, 60], 0, 1, 'float32', 1), tf.randomUniform([60, 30], 0, 1, 'float32', 2)];
    const later = tf.matMul(x, y).data();
    const now = tf.matMul(x, y).dataSync();
    const sums = tf.cast(tf.greater(tf.matMul(x, y), 15), 'int32').dataSync();
    expect(await later).toEqual(now);
    expect([...sums]).toEqual([...now].map((value) => (value > 15 ? 1 : 0)));
    expect([...tf.greater(tf.matMul(x, y), 15).dataSync()]).toEqual([...sums]);
    expect(await tf.matMul(x, y).array()).toHaveLength(40);
    expect(tf.complex([1, 2], [3, 4]).dataSync()).toEqual(Float32Array.from([1, 3, 2, 4]));
  });

  it('submits what it was asked for, and has computed it, when it was waited for', async () => {
    await init({ device: 'webgpu' });
    const { queue } = backend();
    const events: string[] = [];
    const [submit, isDone] = [queue.submit.bind(queue), queue.onSubmittedWorkDone.bind(queue)];
    queue.submit = (commands) => {
      events.push('submitted');
      submit(commands);
    };
    queue.onSubmittedWorkDone = async () => {
      await isDone();
      events.push('done');
    };
    const product = tf.matMul(tf.ones([300, 300]), tf.ones([300, 300]));
    expect(events).toEqual([]);
    await synchronize();
    expect(events).toEqual(['submitted', 'done']);
    expect(product.dataSync()[0]).toBe(300);
  });

  it('can be left and started again', async () => {
    for (const name of ['webgpu', 'cpu', 'webgpu', 'wasm', 'webgpu'] as const) {
      await init({ device: name });
      expect(tf.tidy(() => tf.sum(tf.matMul(tf.ones([50, 50]), tf.ones([50, 50]))).dataSync()[0])).toBe(125000);
    }
  });

  it('says how much a tensor may have, and goes on', async () => {
    await init({ device: 'webgpu' });
    const { maxStorageBufferBindingSize } = backend().device.limits;
    const row = tf.ones([1, 2 ** 14]);
    const column = tf.ones([Math.ceil(maxStorageBufferBindingSize / 2 ** 16) + 1, 1]);
    const tensors = tf.memory().numTensors;
    expect(() => tf.tidy(() => tf.mul(row, column))).toThrow(OutOfMemoryError);
    expect(() => tf.tidy(() => tf.mul(row, column))).toThrow(/Out of memory: a tensor of .*iB was asked for/);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tf.tidy(() => tf.sum(tf.add(row, 1)).dataSync()[0])).toBe(2 ** 15);
  });

  it('throws what the GPU reported, and goes on', async () => {
    await init({ device: 'webgpu' });
    const wrong: WgslKernel = {
      name: 'wrong',
      storage: () => ({ x: 'write f32' }),
      parameters: { size: 'u32' },
      code: () => '@compute @workgroup_size(1) fn main() { x[0] = nothing; }',
    };
    tf.tidy(() => {
      const x = tf.add(tf.ones([2000]), 1);
      const run = () => runKernel(backend(), wrong, { tensors: { x }, parameters: { size: 1 }, groups: 1 });
      for (let times = 0; times < 2; times++) expect(run).toThrow(/WebGPU \(.*nothing/s);
      expect(tf.add(tf.ones([2000]), 1).dataSync()[0]).toBe(2);
    });
  });

  it('says that there is no more room, once, and goes on', async () => {
    await init({ device: 'webgpu' });
    const x = tf.add(tf.ones([2000]), 1);
    x.dataSync();
    // As WebGPU reports it; to fill a GPU in software would fill the machine's memory.
    const { device: gpuDevice } = backend();
    const event = new Event('uncapturederror', { cancelable: true });
    gpuDevice.dispatchEvent(Object.assign(event, { error: new GPUOutOfMemoryError('no room') }));
    expect(event.defaultPrevented).toBe(true);
    expect(() => tf.add(x, 1)).toThrow(OutOfMemoryError);
    expect(tf.tidy(() => tf.sum(tf.add(x, 1)).dataSync()[0])).toBe(6000);
  });

  it('says that the GPU was lost, until there is a new one', async () => {
    await init({ device: 'webgpu' });
    const x = tf.add(tf.ones([2000]), 1);
    x.dataSync();
    const { device } = backend();
    device.destroy();
    await device.lost;
    expect(() => tf.add(x, 1)).toThrow(DeviceLostError);
    expect(() => tf.add(x, 1)).toThrow(/was lost .* init\(\{ device: 'webgpu' \}\)/s);
    await expect(tf.tidy(() => tf.clone(x)).data()).rejects.toThrow(DeviceLostError);
    await init({ device: 'webgpu' });
    expect(tf.tidy(() => tf.sum(tf.ones([2000])).dataSync()[0])).toBe(2000);
  });
});
