import { dispose } from '@fwp/core';
import { checkDevice, type DeviceCheckOptions, UsageError } from '@fwp/lab';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { fwp } from '../commands/run-command-line.ts';
import differing from '../fixtures/differing.ts';
import toy from '../fixtures/toy.ts';

const DIFFERING = new URL('../fixtures/differing.ts', import.meta.url).pathname;

const check = (what: string, options: Partial<DeviceCheckOptions> = {}) =>
  checkDevice(differing, { device: 'cpu', overrides: [`what=${what}`], ...options });

afterEach(() => dispose());

describe('a check of a device', () => {
  it('finds that two devices that are right agree, over all loops of all trials', async () => {
    const result = await checkDevice(toy, { device: 'cpu', preset: 'standard' });
    expect(result).toMatchObject({
      agrees: true,
      preset: 'standard',
      device: { name: 'cpu' },
      against: { name: 'wasm' },
      // Two loops of two steps: a loss, two kernels and two biases each.
      trials: [0.01, 0.1].map((rate) => ({
        key: { rate },
        seed: 1,
        updates: 4,
        compared: 20,
        buffers: null,
        differences: [],
      })),
    });
    for (const { loss, gradients, later } of result.trials) {
      expect(loss).toBeLessThan(1e-5);
      expect(gradients).toBeGreaterThan(0);
      expect(gradients).toBeLessThan(1e-5);
      expect(later).toBeLessThan(1e-5);
    }
  });

  it('leaves no tensors', async () => {
    await check('nothing');
    const tensors = tf.memory().numTensors;
    await check('nothing', { against: 'wasm' });
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('names the gradient, the loss and the buffer that differ, and by how much', async () => {
    const gradient = await check('gradient');
    expect(gradient.agrees).toBe(false);
    expect(gradient.trials[0]?.differences).toEqual([]);
    const [weight, bias, ...others] = gradient.trials[1]?.differences ?? [];
    expect(weight).toMatchObject({ what: 'update 1: gradient of linear.weight', shape: [3, 2] });
    expect(weight?.difference).toBeGreaterThan(5e-4);
    expect(weight?.difference).toBeLessThan(2e-3);
    expect(bias?.what).toBe('update 1: gradient of linear.bias');
    // After the first update parameters differ a little, and so does what is computed with them.
    expect(others).toEqual([]);
    expect(gradient.trials[1]?.later).toBeGreaterThan(5e-4);

    const loss = (await check('loss')).trials[1];
    expect(loss).toMatchObject({ differences: [{ what: 'update 1: loss', shape: [] }] });
    expect(loss?.loss).toBeCloseTo(1e-3, 4);
    expect(loss?.gradients).toBeLessThan(1e-5);

    const buffer = (await check('buffer')).trials[1];
    expect(buffer?.differences).toEqual([
      { what: 'after loop 1: calls', shape: [1], difference: 0.5, value: 3, expected: 2 },
    ]);
    expect((await check('buffer', { tolerance: 0.6 })).agrees).toBe(true);
  });

  it('finds a gradient that is missing, and numbers that are not finite', async () => {
    const missing = (await check('missing')).trials[1]?.differences;
    expect(missing).toContainEqual({
      what: 'update 1: gradient of linear.bias',
      ...{ shape: [2], difference: null, value: null, expected: expect.any(Number) },
    });
    const nan = (await check('nan')).trials[1]?.differences;
    expect(nan?.[0]).toMatchObject({ what: 'update 1: loss', difference: null, value: Number.NaN });
  });

  it('does not agree where there is nothing to compare', async () => {
    expect(await check('untrained')).toMatchObject({ agrees: false, trials: [{ compared: 0 }, { compared: 0 }] });
  });

  it('checks the first seed of the preset, or those that are given', async () => {
    const { trials } = await check('nothing', { seeds: [3, 4] });
    expect(trials.map(({ key, seed }) => [key.model, seed])).toEqual([
      ['a', 3],
      ['b', 3],
      ['a', 4],
      ['b', 4],
    ]);
  });

  it('refuses a device against itself, and a tolerance that is none', async () => {
    await expect(check('nothing', { device: 'wasm' })).rejects.toThrow(UsageError);
    await expect(check('nothing', { tolerance: 0 })).rejects.toThrow('expected a positive number');
  });
});

describe('fwp check', () => {
  it('shows differences of every trial and exits with 0', async () => {
    const { status, stdout, stderr } = await fwp('check', DIFFERING, '--device', 'cpu');
    expect(status).toBe(0);
    expect(stdout).toContain('toy/differing, preset quick: relative differences of cpu');
    expect(stdout).toMatch(/model=b seed=1 +2 .* 0\n/);
    expect(stdout).toContain('✓ The devices agree: 14 losses, gradients and buffers of 2 trials');
    expect(stderr).toContain('device   wasm');
    expect(stderr).toContain('device   cpu');
    expect(stderr).not.toContain('folder');
  });

  it('tells what differs and exits with 1', async () => {
    const differ = ['check', DIFFERING, '--device', 'cpu', '--quiet', '--set'] as const;
    const { status, stdout, stderr } = await fwp(...differ, 'what=buffer');
    expect(status).toBe(1);
    expect(stderr).toBe('');
    expect(stdout).toContain('model=b seed=1\n  after loop 1: calls [1]: differs by 0.5 of it, norm 3 instead of 2');
    expect(stdout).toContain('See whether other seeds agree (--seed 1..3)');
    expect(stdout).toContain(
      '✗ The devices disagree: of 14 losses, gradients and buffers of 2 trials, 1 differ by more',
    );
    expect((await fwp(...differ, 'what=missing')).stdout).toContain(
      'gradient of linear.bias [2]: norm none instead of',
    );
    expect((await fwp(...differ, 'what=untrained')).stdout).toContain('✗ Nothing was compared');
    const json = await fwp(...differ, 'what=gradient', '--json');
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ id: 'toy/differing', agrees: false, tolerance: 1e-4 });
  });

  it('explains what it cannot do', async () => {
    expect((await fwp('check', DIFFERING)).status).toBe(2);
    expect(await fwp('check', DIFFERING, '--device', 'wasm')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Device 'wasm' can only be checked against another one."),
    });
    expect(await fwp('check', DIFFERING, '--device', 'webgp')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("'webgpu'"),
    });
    expect((await fwp('check', DIFFERING, '--device', 'cpu', '--tolerance', 'much')).stderr).toContain(
      'positive number',
    );
  });
});
