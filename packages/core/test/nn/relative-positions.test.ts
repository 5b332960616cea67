import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, RandomStream, RelativePositions } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';

describe.each([...(await availableDevices()), ...composedDevices])('relative positions on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(['sinusoidal', 'learned'] as const)('%s: of sequences without elements are none', (kind) => {
    const sizes = { size: 6, heads: 2, headSize: 3, maxDistance: 4 };
    const positions = new RelativePositions({ ...sizes, kind, random: new RandomStream(1) });
    tf.tidy(() => {
      for (const causal of [false, true]) {
        const { q, bias } = positions.terms(tf.zeros([2, 0, 2, 3]), 0, causal, 1);
        expect(q.shape).toEqual([2, 0, 2, 3]);
        expect(bias.shape).toEqual([2, 2, 0, 0]);
      }
    });
    positions.dispose();
  });
});
