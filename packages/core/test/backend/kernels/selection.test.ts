import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';
import { specialValues, uniformSequence, wideFloats } from './special-values.ts';

const dtypes = ['float32', 'int32', 'bool'] as const;

describe.each(await availableDevices())('casts, selection and constants on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(dtypes.flatMap((from) => dtypes.map((to) => [from, to] as const)))(
    '%s is cast to %s as tfjs does',
    (from, dtype) => {
      const input = from === 'float32' ? wideFloats(1003) : [0, 1, 2, -1, -5, 2147483647, -2147483648, 16777217];
      const x = tf.tensor1d(from === 'bool' ? [0, 1, 1, 0, 1] : input, from);
      // tfjs widens without touching the data, which would keep integers that a float32 cannot hold.
      if (from === 'int32' && dtype === 'float32') {
        expect([...x.cast(dtype).dataSync()]).toEqual([...x.dataSync()].map(Math.fround));
      } else {
        expectSameAsTfjs('Cast', { x }, { dtype });
      }
      x.dispose();
    },
  );

  it('floats beyond int32 wrap modulo 2^32, and what is not a number becomes 0', () => {
    const input = [...specialValues, 6e9, -6e9, 1e15, 2 ** 62, 2 ** 63, 2 ** 64, 2 ** 84, 1.99, -1.99];
    const x = tf.tensor1d(input);
    expect([...x.cast('int32').dataSync()]).toEqual([...Int32Array.from(Float32Array.from(input))]);
    x.dispose();
  });

  it('complex numbers are cast from and to their real part', () => {
    const z = tf.complex([1.5, -2.5], [3, 4]);
    expect([...z.cast('float32').dataSync()]).toEqual([1.5, -2.5]);
    expect([...z.cast('int32').dataSync()]).toEqual([1, -2]);
    expect([...tf.tensor1d([1, 2], 'int32').cast('complex64').dataSync()]).toEqual([1, 0, 2, 0]);
    z.dispose();
  });

  it.each(dtypes)('Select of %s takes each element from the side that the condition names', (dtype) => {
    for (const count of [0, 1, 17, 1003, 200_000]) {
      const next = uniformSequence(count);
      const list = (): Float32Array =>
        Float32Array.from({ length: count }, () =>
          dtype === 'bool' ? Number(next() < 0.5) : Math.floor(next() * 1000),
        );
      const condition = tf.tensor1d(
        Uint8Array.from({ length: count }, () => Number(next() < 0.5)),
        'bool',
      );
      const t = tf.tensor1d(list(), dtype);
      const e = tf.tensor1d(list(), dtype);
      expectSameAsTfjs('Select', { condition, t, e });
      tf.dispose([condition, t, e]);
    }
  });

  it('Select of different dtypes gives the wider one, and where() broadcasts', () => {
    const condition = tf.tensor1d([1, 0, 1], 'bool');
    const y = tf.where(condition, tf.tensor1d([1, 2, 3], 'int32'), tf.tensor1d([0.5, 1.5, 2.5]));
    expect(y.dtype).toBe('float32');
    expect([...y.dataSync()]).toEqual([1, 1.5, 3]);
    expect([...tf.where(condition, tf.ones([2, 3]), tf.scalar(0)).dataSync()]).toEqual([1, 0, 1, 1, 0, 1]);
  });

  it('NaN on the side that is not chosen leaves no trace', () => {
    const condition = tf.tensor1d([1, 0], 'bool');
    const y = tf.where(condition, tf.tensor1d([1, Number.NaN]), tf.tensor1d([Number.NaN, 2]));
    expect([...y.dataSync()]).toEqual([1, 2]);
  });

  it.each(dtypes)('constants of %s are filled to the last element', (dtype) => {
    for (const shape of [[], [0], [1], [7, 3], [65_537], [600_001]]) {
      const x = tf.zeros(shape, dtype);
      expectSameAsTfjs('Fill', {}, { shape, value: 1, dtype });
      expectSameAsTfjs('ZerosLike', { x });
      expectSameAsTfjs('OnesLike', { x });
      x.dispose();
    }
  });

  it('fills keep fractions, signs and infinities', () => {
    for (const value of [0.1, -2.5, Infinity, Number.NaN, -0]) {
      expect(tf.fill([3], value).dataSync()[2]).toBe(Math.fround(value));
    }
    expect([...tf.fill([2], 'a').dataSync()]).toEqual(['a', 'a']);
  });
});
