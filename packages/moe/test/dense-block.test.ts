/** The dense block is two linear maps with a ReLU, with weights of the stated deviation. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DenseBlock, preNormScale } from '../src/index.ts';

describe.each(await availableDevices(core))('DenseBlock on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  it('computes relu(x W1 + b1) W2 + b2 for any leading dimensions', () => {
    const block = new DenseBlock({ size: 5, hiddenSize: 7, random: new core.RandomStream(1) });
    const x = core.randomNormal(new core.RandomStream(2), [2, 3, 5]);
    const { outputs, selections, regularization } = block.apply(x);
    const { input, output } = block.layers;
    const hidden = tf.relu(tf.add(tf.matMul(tf.reshape(x, [6, 5]), input.weight), input.bias as tf.Tensor));
    const expected = tf.add(tf.matMul(hidden, output.weight), output.bias as tf.Tensor);
    expect(outputs.shape).toEqual([2, 3, 5]);
    assertAllClose(outputs.dataSync(), expected.dataSync());
    expect(selections).toEqual([]);
    expect(regularization).toBeUndefined();
    expect(block.multiplyAdds).toBe(70);
  });

  it.each([0, -1, 1.5, Number.NaN])('has no scale for %d layers', (layers) => {
    expect(() => preNormScale(layers)).toThrow(
      `preNormScale: layers must be a whole number of at least 1, but is ${layers}`,
    );
  });

  it('has weights of deviation s / √fanIn and biases of 0', () => {
    const initialScale = preNormScale(8);
    expect(initialScale).toBe(0.5);
    const block = new DenseBlock({ size: 64, hiddenSize: 256, initialScale, random: new core.RandomStream(3) });
    for (const { weight, bias, inputSize } of [block.layers.input, block.layers.output]) {
      const deviation = Math.sqrt(tf.moments(weight).variance.dataSync()[0] as number);
      expect(deviation * Math.sqrt(inputSize)).toBeCloseTo(0.5, 1.5);
      expect(tf.max(tf.abs(bias as tf.Tensor)).dataSync()[0]).toBe(0);
    }
  });
});
