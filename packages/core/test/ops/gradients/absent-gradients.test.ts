import { assertAllClose } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { addLayerNorm, deltaRule, dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';

const [ROWS, FEATURES] = [5, 7];

describe.each(await availableDevices())('gradients of outputs on which nothing depends, on $name', ({ options }) => {
  let operands: [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  beforeAll(async () => {
    await init(options);
    operands = [
      tf.randomNormal([ROWS, FEATURES], 0, 1, 'float32', 1),
      tf.randomNormal([ROWS, FEATURES], 0, 1, 'float32', 2),
      tf.randomNormal([FEATURES], 1, 0.1, 'float32', 3),
      tf.randomNormal([FEATURES], 0, 1, 'float32', 4),
    ];
  });
  afterAll(() => {
    tf.dispose(operands);
    dispose();
  });

  const normalized = (...[x, residual, gain, bias]: tf.Tensor[]) =>
    addLayerNorm(x as tf.Tensor, residual as tf.Tensor, gain as tf.Tensor, bias as tf.Tensor);

  it('are left out where they are not read: tfjs makes no zeros', () => {
    const made = vi.spyOn(tf.engine(), 'makeTensor');
    tf.tidy(() => tf.grads((...given) => tf.sum(tf.square(normalized(...given).output)))(operands));
    const shapes = made.mock.calls.map(([, shape]) => shape);
    made.mockRestore();
    expect(shapes).not.toContainEqual([ROWS, FEATURES]);
    expect(shapes).not.toContainEqual([ROWS]);
  });

  it.each(['output', 'sum'] as const)('count as zero: only the %s of addLayerNorm is used', (used) => {
    tf.tidy(() => {
      const alone = tf.grads((...given) => tf.sum(tf.square(normalized(...given)[used])));
      const withTheOther = tf.grads((...given) => {
        const results = normalized(...given);
        const other = results[used === 'output' ? 'sum' : 'output'];
        return tf.add(tf.sum(tf.square(results[used])), tf.mul(0, tf.sum(other)));
      });
      const expected = withTheOther(operands);
      for (const [i, gradient] of alone(operands).entries())
        assertAllClose(gradient.dataSync(), (expected[i] as tf.Tensor).dataSync());
    });
  });

  it('are zeros where they are read: the final state of a scan', () => {
    tf.tidy(() => {
      const [q, k, v] = [5, 6, 7].map((seed) => tf.randomNormal([1, 2, 6, 4], 0, 0.5, 'float32', seed) as tf.Tensor4D);
      const beta = tf.fill([1, 2, 6], 0.5) as tf.Tensor3D;
      const gradients = (weight: number | undefined) =>
        tf.grads((...given) => {
          const [queries, keys, values] = given as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
          const { output, finalState } = deltaRule(queries, keys, values, beta);
          const loss = tf.sum(tf.square(output));
          return weight === undefined ? loss : tf.add(loss, tf.mul(weight, tf.sum(finalState)));
        })([q, k, v] as tf.Tensor[]);
      const [absent, zero] = [gradients(undefined), gradients(0)];
      for (const [i, gradient] of absent.entries())
        assertAllClose(gradient.dataSync(), (zero[i] as tf.Tensor).dataSync());
    });
  });
});
