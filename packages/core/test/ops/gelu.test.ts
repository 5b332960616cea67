import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, gelu, init } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';

const POINTS = Float32Array.from({ length: 133 }, (_, i) => (i - 66) / 8);

/** Φ(x) by Simpson's rule on the density, in float64. */
function normalDistribution(x: number): number {
  const steps = 4000;
  const width = x / steps;
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 1 ? 4 : 2) * density(i * width);
  return 0.5 + (sum * width) / 3;
}

function density(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/** The tanh form and its derivative, in float64. */
function tanhForm(x: number): { value: number; slope: number } {
  const factor = Math.sqrt(2 / Math.PI);
  const t = Math.tanh(factor * (x + 0.044715 * x ** 3));
  return { value: (x * (1 + t)) / 2, slope: (1 + t) / 2 + (x / 2) * (1 - t * t) * factor * (1 + 3 * 0.044715 * x * x) };
}

const EXPECTED = {
  none: {
    value: (x: number) => x * normalDistribution(x),
    slope: (x: number) => normalDistribution(x) + x * density(x),
  },
  tanh: { value: (x: number) => tanhForm(x).value, slope: (x: number) => tanhForm(x).slope },
};

describe.each([...(await availableDevices()), ...composedDevices])('gelu on $name', ({ name, options }) => {
  // TensorFlow's tanh is a quotient of polynomials, a little coarser than others.
  const tolerance = name === 'tensorflow' ? 4e-6 : 2e-6;

  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(['none', 'tanh'] as const)('has the values and slopes of its equation (approximate: %s)', (approximate) => {
    const [value, slope] = tf.tidy(() => {
      const x = tf.tensor1d(POINTS);
      const gradient = tf.grad((y: tf.Tensor) => gelu(y, { approximate }));
      return [gelu(x, { approximate }), gradient(x, tf.fill([POINTS.length], 2))].map((t) => t.dataSync());
    }) as unknown as [Float32Array, Float32Array];
    POINTS.forEach((x, i) => {
      expect(Math.abs(value[i]! - EXPECTED[approximate].value(x))).toBeLessThan(tolerance);
      expect(Math.abs(slope[i]! - 2 * EXPECTED[approximate].slope(x))).toBeLessThan(2 * tolerance);
    });
  });

  it('can be differentiated twice', () => {
    const second = tf.tidy(() => {
      const twice = tf.grad((x: tf.Tensor) => tf.sum(tf.grad((y: tf.Tensor) => gelu(y))(x)));
      return twice(tf.tensor1d([-1, 0, 0.5])).dataSync();
    });
    // d/dx (Φ + x φ) = φ (2 - x²)
    [-1, 0, 0.5].forEach((x, i) => {
      expect(second[i]).toBeCloseTo(density(x) * (2 - x * x), 5);
    });
  });

  it('refuses other dtypes and approximations', () => {
    const x = tf.tensor1d([1], 'int32');
    expect(() => gelu(x)).toThrow('gelu: x');
    expect(() => gelu(tf.scalar(1), { approximate: 'sigmoid' as 'tanh' })).toThrow('gelu: approximate');
    x.dispose();
  });
});
