import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import { device, dispose, init, NotANumberError, OutOfMemoryError } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';

afterEach(dispose);

const devices = await availableDevices();

describe.each(devices)('device $name', ({ name, options }) => {
  it('becomes the current backend of tfjs and says what it is', async () => {
    const info = await init(options);
    expect(info).toMatchObject({ name, backend: 'fwp', threads: 2 });
    expect(device()).toBe(info);
    expect(tf.getBackend()).toBe('fwp');
    const sum = tf.tidy(() => Array.from(tf.add(tf.tensor1d([1, 2, 3]), tf.tensor1d([4, 5, 6])).dataSync()));
    expect(sum).toEqual([5, 7, 9]);
  });

  it('can be started again with other threads', async () => {
    for (const threads of [1, 3, 2]) {
      await init({ ...options, threads });
      expect(device().threads).toBe(threads);
      expect(tf.tidy(() => tf.sum(tf.ones([1000])).dataSync()[0])).toBe(1000);
    }
  });

  it('names sizes when the heap is too small, and leaves nothing allocated', async () => {
    await init({ ...options, heapLimit: 24 * 1024 * 1024 });
    const before = { tensors: tf.memory().numTensors, live: engineBackend()!.engine.statistics().liveBytes };
    expect(() => tf.tidy(() => tf.zeros([4096, 4096]))).toThrow(OutOfMemoryError);
    expect(() => tf.tidy(() => tf.zeros([4096, 4096]))).toThrow(/64 MiB was asked for .* may not exceed 24 MiB/);
    expect(tf.memory().numTensors).toBe(before.tensors);
    expect(engineBackend()!.engine.statistics().liveBytes).toBe(before.live);
    expect(tf.tidy(() => tf.sum(tf.ones([1000])).dataSync()[0])).toBe(1000);
  });

  it('reports the first operation that makes a NaN in debug mode, and nothing without it', async () => {
    await init({ ...options, debug: true });
    const x = tf.tensor1d([1, -1]);
    const before = engineBackend()!.engine.statistics().liveBytes;
    expect(() => tf.tidy(() => tf.mul(tf.log(x), 2))).toThrow(NotANumberError);
    expect(() => tf.tidy(() => tf.mul(tf.log(x), 2))).toThrow(/'Log' made a NaN: output of shape \[2\] at \[1\]/);
    expect(engineBackend()!.engine.statistics().liveBytes).toBe(before);
    x.dispose();
    await init(options);
    expect(tf.tidy(() => tf.log(tf.tensor1d([-1])).dataSync()[0])).toBeNaN();
  });

  it('calls of init at the same time take their turns', async () => {
    const [first, second] = await Promise.all([init(options), init({ ...options, threads: 1 })]);
    expect([first.name, second.threads, device()]).toEqual([options.device, 1, second]);
    expect(tf.tidy(() => tf.sum(tf.ones([8])).dataSync()[0])).toBe(8);
  });
});

describe('init', () => {
  it('ends the debug mode of another device', async () => {
    await init({ device: 'cpu', debug: true });
    expect(tf.env().getBool('DEBUG')).toBe(true);
    await init({ device: 'cpu' });
    expect(tf.env().getBool('DEBUG')).toBe(false);
    await dispose();
  });

  it('rejects an unknown device with the list of devices', async () => {
    await expect(init({ device: 'cuda' as never })).rejects.toThrow(
      /Unknown device 'cuda'. Choose one of 'auto', 'native'/,
    );
  });

  it.each([0, 1.5, 65, Number.NaN])('rejects %s threads', async (threads) => {
    await expect(init({ device: 'wasm', threads })).rejects.toThrow(/threads must be a whole number from 1 to 64/);
  });

  it.each([0, 1000, Number.NaN])('rejects a heap limit of %s bytes', async (heapLimit) => {
    await expect(init({ device: 'wasm', heapLimit })).rejects.toThrow(/heapLimit must be at least/);
  });

  it('says that a heap which cannot hold the threads’ own memory is too small', async () => {
    await expect(init({ device: 'wasm', threads: 64, heapLimit: 16 * 1024 * 1024 })).rejects.toThrow(OutOfMemoryError);
  });

  it('explains the missing SharedArrayBuffer when threads are asked for', async () => {
    const original = globalThis.SharedArrayBuffer;
    try {
      Object.defineProperty(globalThis, 'SharedArrayBuffer', { value: undefined, configurable: true, writable: true });
      await expect(init({ device: 'wasm', threads: 2 })).rejects.toThrow(/Cross-Origin-Opener-Policy/);
      const info = await init({ device: 'wasm' });
      expect(info.threads).toBe(1);
    } finally {
      Object.defineProperty(globalThis, 'SharedArrayBuffer', { value: original, configurable: true, writable: true });
    }
  });

  it('uses tfjs’s own backend for device cpu', async () => {
    expect(await init({ device: 'cpu' })).toMatchObject({ name: 'cpu', backend: 'cpu' });
    expect(tf.getBackend()).toBe('cpu');
  });

  it('has no device before it is called', async () => {
    await dispose();
    expect(() => device()).toThrow(/call 'await init\(\)'/);
  });
});
