/** Adaptive computation time on device webgpu, which is never asked whether all columns have halted: the same as on the CPU. */

import { DeviceUnavailableError, dispose, init } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, expect, it } from 'vitest';
import { adaptiveComputation } from '../src/adaptive-computation.ts';

const isThere = await hasGpu();

afterAll(dispose);

/** Whether tests of the device were asked for (`FWP_WEBGPU`) and there is one. */
async function hasGpu(): Promise<boolean> {
  if ((process.env['FWP_WEBGPU'] ?? '0') === '0') return false;
  try {
    await init({ device: 'webgpu' });
    return true;
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error;
    return false;
  }
}

/** Output, ponder time, steps and the gradient of x; and how often the layer was applied. */
function compute(weighting: 'mean' | 'interpolated'): { numbers: Float32Array; applications: number } {
  let applications = 0;
  const run = (x: tf.Tensor) =>
    adaptiveComputation(
      x as tf.Tensor3D,
      (h) => tf.add(tf.sum(h, 2), 1) as tf.Tensor2D,
      (h) => {
        applications++;
        return tf.tanh(tf.mul(h, 1.1)) as tf.Tensor3D;
      },
      { maxSteps: 5, threshold: 0.9, weighting },
    );
  const numbers = tf.tidy(() => {
    const x = tf.tensor3d([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.1, 0.9, -0.3, 0.2, 0.2, 0.4], [2, 3, 2]);
    const { output, ponderTime, steps } = run(x);
    const gradient = tf.grad((given) => {
      const result = run(given);
      return tf.add(tf.sum(tf.mul(result.output, tf.reshape(tf.range(1, 13), [2, 3, 2]))), result.ponderTime);
    })(x);
    const flat = [output, ponderTime, steps, gradient].map((tensor) => tf.reshape(tensor, [-1]));
    return tf.concat(flat).dataSync() as Float32Array;
  });
  return { numbers, applications: applications / 2 };
}

it.skipIf(!isThere).each(['mean', 'interpolated'] as const)(
  'columns that have halted stay as they are: %s',
  async (weighting) => {
    await init({ device: 'wasm', threads: 1 });
    const expected = compute(weighting);
    await init({ device: 'webgpu' });
    const actual = compute(weighting);
    expect([expected.applications, actual.applications]).toEqual([2, 5]);
    for (const [i, value] of actual.numbers.entries()) expect(value).toBeCloseTo(expected.numbers[i] as number, 5);
  },
  120_000,
);
