import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameBitsForAllThreads } from '../../engine-properties.ts';
import { noiseTensor } from './noise.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';

const size = fc.integer({ min: 1, max: 12 });
const small = fc.integer({ min: 1, max: 4 });
const channels = fc.constantFrom(1, 3, 8, 16, 21, 40);
const pads = fc.constantFrom('same' as const, 'valid' as const, 1);

describe.each(await availableDevices())('pooling on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('and its gradients do what tfjs does', () => {
    fc.assert(
      fc.property(small, size, size, channels, small, small, small, small, pads, (n, h, w, c, kh, kw, sh, sw, pad) => {
        if ((kh > h || kw > w || kh === 1 || kw === 1) && pad !== 'same') return;
        const x = noiseTensor([n, h, w, c], h);
        const attrs = {
          filterSize: [kh, kw],
          strides: [sh, sw],
          pad,
          dimRoundingMode: pad === 1 ? 'floor' : undefined,
        };
        const { outShape } = tf.backend_util.computePool2DInfo(
          [n, h, w, c],
          [kh, kw],
          [sh, sw],
          1,
          pad,
          attrs.dimRoundingMode as 'floor' | undefined,
        );
        const dy = noiseTensor(outShape, w);
        expectSameAsTfjs('MaxPool', { x }, attrs);
        expectSameAsTfjs('AvgPool', { x }, attrs, 1e-6);
        expectSameAsTfjs('MaxPoolGrad', { dy, input: x, output: dy }, attrs, 1e-6);
        if (pad !== 1) expectSameAsTfjs('AvgPoolGrad', { dy, input: x }, attrs, 1e-6);
        tf.dispose([x, dy]);
      }),
    );
  });

  it('gives the gradient of a maximum to the first of equal values', () => {
    const x = tf.ones([1, 2, 2, 1]) as tf.Tensor4D;
    const dx = tf.grad((input: tf.Tensor) => tf.maxPool(input as tf.Tensor4D, 2, 1, 'valid'))(x);
    expect([...dx.dataSync()]).toEqual([1, 0, 0, 0]);
  });

  it('skips NaN in a maximum as tfjs does', () => {
    const x = tf.tensor4d([Number.NaN, -3, -5, Number.NaN], [1, 2, 2, 1]);
    const attrs = { filterSize: [2, 2], strides: [1, 1], pad: 'same' };
    expectSameAsTfjs('MaxPool', { x }, attrs);
    expectSameAsTfjs('MaxPoolGrad', { dy: tf.ones([1, 2, 2, 1]), input: x, output: x }, attrs);
  });

  it('keeps integers working', () => {
    const x = tf.tensor4d([1, 7, 3, 4], [1, 2, 2, 1], 'int32');
    const y = tf.maxPool(x, 2, 1, 'valid');
    expect(y.dtype).toBe('int32');
    expect(y.dataSync()[0]).toBe(7);
  });

  it('gives the same bits for 1, 2 and 4 threads', async () => {
    await expectSameBitsForAllThreads(options, () => {
      const x = noiseTensor([3, 40, 41, 70], 1) as tf.Tensor4D;
      const mean = tf.avgPool(x, 3, 2, 'same');
      const dx = tf.grad((input: tf.Tensor) => tf.maxPool(input as tf.Tensor4D, 3, 2, 'same'))(x);
      return [mean.dataSync(), dx.dataSync()];
    });
    await init(options);
  });
});
