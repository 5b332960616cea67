import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';
import { floatsBetween, uniformSequence } from './special-values.ts';

describe.each(await availableDevices())('cumulative sums and products on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(['Cumsum', 'Cumprod'])('%s agrees with tfjs for any axis, exclusive or not, in both directions', (kernel) => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.nat(3),
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom('float32', 'int32', 'bool'),
        (shape, axis, exclusive, reverse, dtype) => {
          const next = uniformSequence(shape.length);
          const draw = {
            float32: () => next() * 2 - 0.5,
            int32: () => Math.floor(next() * 5) - 2,
            bool: () => Number(next() < 0.7),
          };
          const x = tf.tensor(Float32Array.from({ length: tf.util.sizeFromShape(shape) }, draw[dtype]), shape, dtype);
          expectSameAsTfjs(kernel, { x }, { axis: axis % shape.length, exclusive, reverse }, 1e-6);
          x.dispose();
        },
      ),
      { numRuns: 80 },
    );
  });

  it.each([[1003], [5, 1003], [300, 513], [4, 70, 300]])('%j agrees with tfjs along every axis', (...shape) => {
    const x = tf.tensor(floatsBetween(-1, 1, tf.util.sizeFromShape(shape)), shape);
    for (let axis = 0; axis < shape.length; axis++) {
      expectSameAsTfjs('Cumsum', { x }, { axis, exclusive: false, reverse: false }, 1e-5);
      expectSameAsTfjs('Cumsum', { x }, { axis, exclusive: true, reverse: true }, 1e-5);
    }
    x.dispose();
  });

  it('a long cumulative sum along a row keeps full accuracy', () => {
    const values = floatsBetween(0, 1, 1_000_000, 4);
    const x = tf.tensor1d(values);
    const y = tf.cumsum(x).dataSync();
    let exact = 0;
    values.forEach((value, i) => {
      exact += value;
      if (i % 99_999 === 0) expect(y[i]).toBe(Math.fround(exact));
    });
    x.dispose();
  });

  it('nothing and a scalar', () => {
    expect(tf.cumsum(tf.zeros([0, 3]), 1).shape).toEqual([0, 3]);
    expect(tf.cumsum(tf.zeros([3, 0]), 1).shape).toEqual([3, 0]);
  });
});
