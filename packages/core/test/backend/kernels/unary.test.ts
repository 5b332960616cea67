import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FwpBackend } from '../../../src/backend/backend.ts';
import { kernels } from '../../../src/backend/kernels/index.ts';
import { dispose, init } from '../../../src/index.ts';
import { availableDevices } from '../../devices.ts';
import { elementwiseReferences } from '../../reference/elementwise.ts';
import { expectSameAsTfjs } from './same-as-tfjs.ts';
import { floatsBetween, specialValues, ulpError, wideFloats } from './special-values.ts';

/** Largest error in ulp of each function that isn't exact, over all floats. */
const worstUlp: Record<string, number> = {
  Exp: 1.1,
  Expm1: 1.5,
  Log: 1,
  Log1p: 1,
  Tanh: 1.5,
  Sigmoid: 2.5,
  Softplus: 2.7,
  Erf: 1.5,
  Sin: 2,
  Cos: 2,
  Rsqrt: 1.5,
};

/** Functions whose results below this become 0. */
const flushesBelow: Record<string, number> = { Sigmoid: 5e-39, Softplus: 1.2e-38 };

describe.each(await availableDevices())('elementwise functions on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  function valuesOf(kernel: string, x: tf.Tensor, attrs: object = {}): Float32Array {
    const backend = tf.backend() as FwpBackend;
    const y = kernels[kernel]!({ inputs: { x }, attrs, backend } as never) as tf.TensorInfo;
    const values = backend.readSync(y.dataId) as Float32Array;
    backend.release(y);
    return values;
  }

  function* inputsFor(): Iterable<Float32Array> {
    yield wideFloats(3001);
    yield floatsBetween(-20, 20, 4099, 2);
    yield floatsBetween(-110, 100, 4001, 3);
    yield floatsBetween(-1, 1, 1000, 4);
    yield Float32Array.from({ length: 1000 }, (_, i) => (1 + i) * 1e-41);
  }

  it.each(Object.keys(worstUlp))('%s is within its stated error of a float64 reference', (kernel) => {
    const reference = elementwiseReferences[kernel] as (x: number) => number;
    for (const input of inputsFor()) {
      const x = tf.tensor1d(input);
      const y = valuesOf(kernel, x);
      x.dispose();
      for (let i = 0; i < input.length; i++) {
        const exact = reference(input[i] as number);
        if (y[i] === 0 && Math.abs(exact) < (flushesBelow[kernel] ?? 0)) continue;
        const error = ulpError(y[i] as number, exact);
        if (!(error <= worstUlp[kernel]!)) expect.fail(`${kernel}(${input[i]}) is ${y[i]}, expected ${exact}`);
      }
    }
  });

  it.each(['Exp', 'Expm1', 'Log', 'Log1p', 'Tanh', 'Sigmoid', 'Erf', 'Sin', 'Cos', 'Sqrt'])(
    '%s keeps the sign of zero, infinities and NaN',
    (kernel) => {
      const reference = elementwiseReferences[kernel] as (x: number) => number;
      const input = [0, -0, Infinity, -Infinity, Number.NaN];
      const x = tf.tensor1d(input);
      const y = valuesOf(kernel, x);
      x.dispose();
      // Math.expm1 and its like are exact here.
      expect([...y]).toEqual(input.map((value) => Math.fround(reference(value))));
    },
  );

  it('sine and cosine stay accurate for arguments of any size', () => {
    const huge = [1e4, 12345.678, 1e5, 1048575.9, 1048576, 1e7, 3.3e9, 1e15, 1e20, 3.3490227e20, 1e30, 3.4028235e38];
    const input = Float32Array.from([...huge, ...huge.map((value) => -value), ...huge.map((value) => value / 3)]);
    const x = tf.tensor1d(input);
    for (const kernel of ['Sin', 'Cos']) {
      const reference = elementwiseReferences[kernel] as (x: number) => number;
      const y = valuesOf(kernel, x);
      input.forEach((value, i) => {
        expect(ulpError(y[i] as number, reference(value)), `${kernel}(${value})`).toBeLessThan(2);
      });
    }
    x.dispose();
  });

  it.each([
    ['Abs', {}],
    ['Neg', {}],
    ['Sign', {}],
    ['Square', {}],
    ['Reciprocal', {}],
    ['Sqrt', {}],
    ['Floor', {}],
    ['Ceil', {}],
    ['Round', {}],
    ['Relu', {}],
    ['Relu6', {}],
    ['LeakyRelu', { alpha: 0.25 }],
    ['Step', { alpha: 0 }],
    ['Step', { alpha: -0.5 }],
    ['ClipByValue', { clipValueMin: -1.5, clipValueMax: 2 }],
    ['IsNan', {}],
    ['IsInf', {}],
    ['IsFinite', {}],
  ])('%s gives the same values as tfjs, special values included', (kernel, attrs) => {
    for (const count of [0, 1, 5, specialValues.length, 1003]) {
      const x = tf.tensor1d(wideFloats(count));
      expectSameAsTfjs(kernel, { x }, attrs);
      x.dispose();
    }
  });

  it.each(['Elu', 'Selu'])('%s gives the same values as tfjs to rounding', (kernel) => {
    const x = tf.tensor1d(wideFloats(1003));
    expectSameAsTfjs(kernel, { x }, {}, 3e-7);
    x.dispose();
  });

  it('EluGrad multiplies the gradient where the output is negative', () => {
    const dy = tf.tensor1d(floatsBetween(-3, 3, 101));
    const y = tf.tensor1d(floatsBetween(-1, 2, 101, 7));
    expectSameAsTfjs('EluGrad', { dy, y }, {}, 2e-7);
    tf.dispose([dy, y]);
  });

  it.each(['Abs', 'Neg', 'Sign', 'Square', 'Relu', 'Relu6', 'Floor', 'Ceil', 'Round'])(
    '%s of int32 is int32 and wraps as JavaScript does',
    (kernel) => {
      const x = tf.tensor1d([0, 1, -1, 5, 6, 7, -8, 46341, 2147483647, -2147483648], 'int32');
      if (kernel === 'Abs' || kernel === 'Square') {
        // tfjs computes these two in float32; exact integers are better.
        expect([...valuesOf(kernel, x)]).toEqual(
          [...x.dataSync()].map((value) => (kernel === 'Abs' ? Math.abs(value) | 0 : Math.imul(value, value))),
        );
      } else {
        expectSameAsTfjs(kernel, { x });
      }
      x.dispose();
    },
  );

  it('LogicalNot inverts bool', () => {
    const x = tf.tensor1d([1, 0, 0, 1, 1], 'bool');
    expectSameAsTfjs('LogicalNot', { x });
    x.dispose();
  });

  it('takes the fallback for dtypes without a C kernel, with the same result as tfjs', () => {
    const x = tf.tensor1d([1, 2, 3], 'int32');
    expect([...tf.exp(x).dataSync()].map((value) => value.toFixed(3))).toEqual(['2.718', '7.389', '20.086']);
    x.dispose();
  });

  it('a value does not depend on its position or on the length', () => {
    const input = wideFloats(64);
    for (const kernel of Object.keys(worstUlp)) {
      const whole = tf.tensor1d(input);
      const expected = valuesOf(kernel, whole);
      whole.dispose();
      for (let i = 0; i < input.length; i += 3) {
        const x = tf.tensor1d(input.slice(i, i + 3));
        expect(valuesOf(kernel, x), kernel).toEqual(expected.slice(i, i + 3));
        x.dispose();
      }
    }
  });
});

describe.each(await availableDevices())('gradients of elementwise functions on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  const gradients: [string, (dy: number, saved: number) => number][] = [
    ['tanh_grad', (dy, y) => dy * (1 - y * y)],
    ['sigmoid_grad', (dy, y) => dy * y * (1 - y)],
    ['sqrt_grad', (dy, y) => dy / (2 * y)],
    ['relu_grad', (dy, x) => (x > 0 ? dy : 0)],
    ['softplus_grad', (dy, x) => dy / (1 + Math.exp(-x))],
    ['gelu_grad', (dy, x) => dy * (elementwiseReferences['GeluGrad'] as (x: number) => number)(x)],
    ['gelu_tanh_grad', (dy, x) => dy * (elementwiseReferences['GeluTanhGrad'] as (x: number) => number)(x)],
  ];

  it.each(gradients)('%s is the product with the derivative', (kernel, reference) => {
    const backend = tf.backend() as FwpBackend;
    const count = 1003;
    const dy = tf.tensor1d(floatsBetween(-2, 2, count, 5));
    const saved = tf.tensor1d(floatsBetween(-8, 8, count, 6));
    const dx = backend.makeOutput([count], 'float32');
    backend.engine.run(kernel, backend.offsetOf(dy), backend.offsetOf(saved), backend.offsetOf(dx), count);
    const [dyValues, savedValues] = [dy.dataSync(), saved.dataSync()];
    backend.viewOf(dx).forEach((value, i) => {
      const expected = reference(dyValues[i] as number, savedValues[i] as number);
      expect(Math.abs(value - expected), `${kernel} at ${savedValues[i]}`).toBeLessThan(
        5e-7 * (1 + Math.abs(expected)),
      );
    });
    backend.release(dx);
    tf.dispose([dy, saved]);
  });

  it.each(['Gelu', 'GeluTanh'])('%s agrees with its float64 reference in both tails', (name) => {
    const backend = tf.backend() as FwpBackend;
    const reference = elementwiseReferences[name] as (x: number) => number;
    const input = [...floatsBetween(-15, 15, 2001, 8), 0, -0, 1e10, -1e10, Infinity, -Infinity, Number.NaN];
    const x = tf.tensor1d(input);
    const y = backend.makeOutput([input.length], 'float32');
    const kernel = name === 'Gelu' ? 'gelu' : 'gelu_tanh';
    backend.engine.run(kernel, backend.offsetOf(x), backend.offsetOf(y), input.length);
    backend.viewOf(y).forEach((value, i) => {
      const at = input[i] as number;
      const exact = reference(Math.fround(at));
      // The argument of the exponential loses accuracy as it grows on the left, as in every float32 implementation.
      if (value === 0 && Math.abs(exact) < 1e-37) return;
      const allowed = !(at < 0) ? 5 : name === 'Gelu' ? 5 + at ** 2 / 2 : 5 + 6 * at ** 2;
      expect(ulpError(value, exact), `${name}(${at}) is ${value}, expected ${exact}`).toBeLessThan(allowed);
    });
    backend.release(y);
    x.dispose();
  });
});
