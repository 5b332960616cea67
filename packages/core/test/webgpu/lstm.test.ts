import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectSameBits, noise } from '../ops/against-reference.ts';
import { apply, expectFollowsEquations, noiseInputs, valueAndGradients } from '../ops/lstm-cases.ts';
import type { LstmSizes } from '../reference/lstm.ts';

const [gpu] = await webGpuDevices();

/** More rows than a workgroup has, and more units than are in its memory at a time; and so many that steps are dispatches. */
const TOGETHER: LstmSizes = { batch: 6, time: 5, inputs: 3, hidden: 150 };
const APART: LstmSizes = { batch: 5, time: 3, inputs: 2, hidden: 260 };

describe.skipIf(gpu === undefined)('lstm on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  it.each([
    { sizes: TOGETHER, resets: true },
    { sizes: APART, resets: true },
    { sizes: { batch: 1, time: 4, inputs: 1, hidden: 1 }, resets: false },
  ])('follows its equations, with exact gradients: $sizes, resets $resets', ({ sizes, resets }) => {
    expectFollowsEquations(sizes, resets);
  });

  it('adds up the gradient of the weights in parts, the same ones each time', () => {
    // Parts of 256 steps and more; there are three.
    const sizes = { batch: 3, time: 300, inputs: 1, hidden: 3 };
    const first = valueAndGradients(sizes);
    expectSameBits(valueAndGradients(sizes), first);
    expectFollowsEquations(sizes);
  });

  it('forgets everything at a reset, NaN included', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, time: 4, inputs: 2, hidden: 3 };
      const tensors = Object.fromEntries(
        Object.entries(noiseInputs(sizes)).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
      );
      const poisoned = { ...tensors, initialCell: tf.fill([1, 3], Number.NaN) };
      const values = [...apply(poisoned, tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool'))[0]!.dataSync()];
      expect(values.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(values.slice(6).every(Number.isFinite)).toBe(true);
    });
  });

  it('takes no steps and no sequences, and leaves nothing allocated', () => {
    const step = () => {
      const [output, finalHidden, finalCell] = valueAndGradients({ batch: 2, time: 0, inputs: 3, hidden: 4 });
      expect(output!.length).toBe(0);
      expect(finalHidden).toEqual(noise(8, 5));
      expect(finalCell).toEqual(noise(8, 6));
      expect(valueAndGradients({ batch: 0, time: 5, inputs: 3, hidden: 4 })[4]).toEqual(new Float32Array(48));
      valueAndGradients({ batch: 3, time: 300, inputs: 1, hidden: 3 }, true);
    };
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
