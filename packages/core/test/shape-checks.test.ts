import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  assertShape,
  assertTensor,
} from '../src/shape-checks.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('assertShape', () => {
  it('returns the sizes of the names', () => {
    tf.tidy(() => {
      expect(assertShape('x', tf.zeros([2, 5, 64]), ['batch', 'length', 64])).toEqual({ batch: 2, length: 5 });
      expect(assertShape('x', tf.zeros([7, 2, 5, 64]), ['...', 'length', 64])).toEqual({ length: 5 });
      expect(assertShape('x', tf.scalar(1), [])).toEqual({});
    });
  });

  it('says which dimension differs', () => {
    tf.tidy(() => {
      const x = tf.zeros([2, 5, 32]);
      expect(() => assertShape('layer: x', x, ['batch', 'length', 64])).toThrow(
        'layer: x must have shape [batch, length, 64], but has shape [2, 5, 32]: dimension 2 is 32 instead of 64.',
      );
      expect(() => assertShape('layer: x', x, ['batch', 'length', 32], { batch: 3 })).toThrow(
        "shape [batch = 3, length, 32], but has shape [2, 5, 32]: dimension 0 ('batch') is 2 instead of 3.",
      );
      expect(() => assertShape('x', x, ['size', 'size', 'width'])).toThrow("dimension 1 ('size') is 5 instead of 2");
    });
  });

  it('says that the rank differs', () => {
    tf.tidy(() => {
      expect(() => assertShape('x', tf.zeros([3]), ['batch', 3])).toThrow('1 dimension instead of 2');
      expect(() => assertShape('x', tf.zeros([3]), ['...', 'batch', 3])).toThrow('1 dimension instead of at least 2');
    });
  });
});

describe('assertTensor', () => {
  it('refuses what is no tensor, disposed tensors and other dtypes', () => {
    expect(() => assertTensor('x', [1, 2])).toThrow('x must be a tensor, but is an array');
    expect(() => assertTensor('x', undefined)).toThrow('x must be a tensor, but is undefined');
    const x = tf.tensor1d([1], 'int32');
    expect(() => assertTensor('x', x, 'float32')).toThrow('x must be float32, but is int32');
    expect(() => assertFloatShape('x', x, [1])).toThrow(TypeError);
    x.dispose();
    expect(() => assertTensor('x', x)).toThrow('x was disposed (shape [1])');
  });
});

describe('assertCount, assertNumber and assertOneOf', () => {
  it('say what was given and what is allowed', () => {
    expect(() => assertCount('heads', 0)).toThrow('heads must be a whole number of at least 1, but is 0');
    expect(() => assertCount('heads', 1.5)).toThrow('but is 1.5');
    expect(() => assertNumber('rate', Number.NaN)).toThrow('rate must be a finite number, but is NaN');
    expect(() => assertNumber('rate', 2, 0, 1)).toThrow('rate must be a finite number from 0 to 1, but is 2');
    expect(() => assertNumber('rate', -1, 0)).toThrow('rate must be a finite number of at least 0, but is -1');
    expect(() => assertOneOf('mode', 'x', ['a', 'b'])).toThrow("mode must be 'a' or 'b', but is 'x'");
    expect(() => assertCount('heads', 4)).not.toThrow();
    expect(() => assertNumber('rate', 0.5, 0, 1)).not.toThrow();
  });
});
