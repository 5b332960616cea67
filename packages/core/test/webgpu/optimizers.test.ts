import * as tf from '@tensorflow/tfjs-core';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { Adam, AdamW, dispose, init, type Optimizer, RmsProp, Sgd } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { noise } from '../ops/against-reference.ts';
import { expectRelativeErrors } from '../ops/scan-cases.ts';

const [gpu] = await webGpuDevices();

/** Nothing, less than a workgroup, more than a block of the norm. */
const SIZES = [0, 7, 5000];
const STEPS = 4;

/** What a few updates make of parameters, and the norms of the gradients. */
function train(make: (variables: tf.Variable[]) => Optimizer): { parameters: Float32Array[]; norms: number[] } {
  const variables = SIZES.map((size, i) => tf.tidy(() => tf.variable(tf.tensor1d(noise(size, i)))));
  const optimizer = make(variables);
  const norms: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    tf.tidy(() =>
      optimizer.step(
        SIZES.map((size, i) => tf.tensor1d(noise(size, 10 * step + i))),
        { scale: 0.5 },
      ),
    );
    if (optimizer.gradientNorm !== undefined) norms.push(optimizer.gradientNorm);
  }
  const parameters = variables.map((variable) => variable.dataSync() as Float32Array);
  optimizer.dispose();
  tf.dispose(variables);
  return { parameters, norms };
}

describe.skipIf(gpu === undefined)('optimisers on webgpu', { timeout: 240_000 }, () => {
  afterAll(dispose);

  it.each<[string, (variables: tf.Variable[]) => Optimizer]>([
    ['AdamW, clipped', (variables) => new AdamW(variables, { learningRate: 0.1, weightDecay: 0.1, clipNorm: 3 })],
    ['Adam with weight decay', (variables) => new Adam(variables, { learningRate: 0.1, weightDecay: 0.1 })],
    ['SGD with momentum, clipped', (variables) => new Sgd(variables, { momentum: 0.9, nesterov: true, clipNorm: 3 })],
    ['RMSProp, too small to be clipped', (variables) => new RmsProp(variables, { clipNorm: 1000 })],
  ])('%s: as on the CPU', async (_, make) => {
    await init({ device: 'wasm' });
    const expected = train(make);
    await init(gpu?.options);
    const tensors = tf.memory().numTensors;
    const actual = train(make);
    expectRelativeErrors(actual.parameters, expected.parameters, 2e-6);
    expectRelativeErrors([actual.norms], [expected.norms], 1e-6);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('change a parameter in place, but neither its clones nor numbers that are being read', async () => {
    await init(gpu?.options);
    const variable = tf.variable(tf.add(tf.ones([3000]), 1));
    const optimizer = new Adam([variable], { learningRate: 1 });
    const step = () => tf.tidy(() => optimizer.step([tf.ones([3000])]));
    const clone = tf.clone(variable as tf.Tensor);
    step();
    expect([clone.dataSync()[0], variable.dataSync()[0]]).toEqual([2, expect.closeTo(1, 5)]);
    clone.dispose();
    const reading = variable.data();
    step();
    expect((await reading)[0]).toBeCloseTo(1, 5);
    expect(variable.dataSync()[0]).toBeCloseTo(0, 5);
    const { dataId } = variable;
    step();
    expect(variable.dataId).toBe(dataId);
    expect(variable.dataSync()[0]).toBeCloseTo(-1, 5);
    optimizer.dispose();
    variable.dispose();
  });

  it('make updates without reading anything back', async () => {
    await init(gpu?.options);
    const [variable, input] = [tf.variable(tf.ones([30, 40])), tf.ones([50, 30])];
    const optimizer = new AdamW({ weight: variable }, { clipNorm: 0.1 });
    const reads = [vi.spyOn(tf.backend(), 'readSync'), vi.spyOn(tf.backend(), 'read')];
    for (let step = 0; step < 3; step++) {
      const loss = optimizer.minimize(() => tf.mean(tf.square(tf.matMul(input, variable as unknown as tf.Tensor2D))));
      loss.dispose();
    }
    for (const read of reads) expect(read).not.toHaveBeenCalled();
    expect(optimizer.gradientNorm).toBeGreaterThan(0.1);
    expect(reads[0]).toHaveBeenCalledTimes(1);
    optimizer.dispose();
  });
});
