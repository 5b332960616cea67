/** Sizes of the models, the state of a model along a word, and its picture. */

import { dispose, init, RandomStream } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MODELS, makeModel } from '../src/models.ts';
import { traceParity } from '../src/parity-trace.ts';
import { trajectoryPicture } from '../src/trajectory-picture.ts';

const task = { vocabularySize: 3, targetCount: 2 };

describe('models', () => {
  beforeAll(async () => {
    await init({ device: 'wasm' });
  });
  afterAll(dispose);

  // The numbers of parameters of an independent implementation with one output more (for padding).
  it.each([
    ['recurrentDeltaNet', 13_700],
    ['srwm', 10_600],
    ['deltaNetBeta2', 12_900],
  ] as const)('%s has about %i parameters', (name, expected) => {
    const model = makeModel(name, { size: 32, heads: 4, layers: 1 }, task, new RandomStream(1));
    expect(Math.abs(model.parameterCount - expected)).toBeLessThan(60);
    model.dispose();
  });

  it.each(MODELS)('%s can be traced along a word, and leaves nothing behind', async (name) => {
    const { numTensors } = tf.memory();
    const model = makeModel(name, { size: 16, heads: 2, layers: 2 }, task, new RandomStream(1));
    const trace = await traceParity(model, new RandomStream(2), 30);
    expect(trace.bits).toHaveLength(30);
    expect(trace.even[0]).toBe(trace.bits[0] === 0);
    expect(trace.places.every(Number.isFinite)).toBe(true);
    const mean = (even: boolean) => {
      const places = trace.places.filter((_, t) => trace.even[t] === even);
      return places.reduce((a, b) => a + b, 0) / places.length;
    };
    expect(mean(true)).toBeCloseTo(1, 3);
    expect(mean(false)).toBeCloseTo(-1, 3);
    const svg = trajectoryPicture(name, trace);
    expect(svg.match(/<circle/g)).toHaveLength(30);
    expect(svg).not.toContain('NaN');
    model.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
