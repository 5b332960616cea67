import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, ssd, ssdStep } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { sumRuleReference } from '../reference/sum-rule.ts';
import { expectMatchesReference, expectWithin, type Input, noise, noiseInput } from './against-reference.ts';

const devices = [...(await availableDevices()), ...composedDevices];

const [batch, heads, groups, time, stateDim, dim] = [2, 4, 2, 35, 5, 3];
const positive = (shape: number[], seed: number, factor: number): Input => ({
  shape,
  values: noise(tf.util.sizeFromShape(shape), seed).map((x) => Math.abs(x) * factor),
});
const inputs = {
  c: noiseInput([batch, groups, time, stateDim], 1),
  b: noiseInput([batch, groups, time, stateDim], 2),
  x: noiseInput([batch, heads, time, dim], 3),
  dt: positive([batch, heads, time], 4, 0.5),
  a: { shape: [heads], values: positive([heads], 5, 3).values.map((x) => -x) },
  skip: noiseInput([heads], 6),
};

/** Step by step: S = exp(Δ A) S + x (Δ B)ᵀ, y = S C + D x. */
function reference({ c, b, x, dt, a, skip }: Record<string, Float64Array>): Float64Array[] {
  const rows = batch * heads * time;
  const group = (row: number) => {
    const [n, head, t] = [Math.floor(row / (heads * time)), Math.floor(row / time) % heads, row % time];
    return ((n * groups + Math.floor((head * groups) / heads)) * time + t) * stateDim;
  };
  const spread = (source: Float64Array, factor: (row: number) => number) =>
    Float64Array.from({ length: rows * stateDim }, (_, i) => {
      const row = Math.floor(i / stateDim);
      return source[group(row) + (i % stateDim)]! * factor(row);
    });
  const head = (row: number) => Math.floor(row / time) % heads;
  const [output, finalState] = sumRuleReference(
    {
      q: spread(c!, () => 1),
      k: spread(b!, (row) => dt![row]!),
      v: x!,
      decay: Float64Array.from({ length: rows }, (_, row) => Math.exp(dt![row]! * a![head(row)]!)),
    },
    { batch, heads, time, keyDim: stateDim, valueDim: dim },
  );
  return [output.map((y, i) => y + skip![head(Math.floor(i / dim))]! * x![i]!), finalState];
}

describe.each(devices)('state space duality on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with gradients of steps, rates and shared queries and keys', () => {
    expectMatchesReference({
      inputs,
      operation: ({ c, b, x, dt, a, skip }) => {
        const { output, finalState } = ssd(c!, b!, x!, dt!, a!, { skip });
        return [output, finalState];
      },
      reference,
      tolerance: 1e-5,
    });
  });

  it('takes keys of size 0', () => {
    tf.tidy(() => {
      const [c, x, dt, a] = [tf.zeros([1, 2, 3, 0]), tf.ones([1, 2, 3, 4]), tf.ones([1, 2, 3]), tf.tensor([-1, -2])];
      type Five = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const loss = (...all: tf.Tensor[]) => tf.sum(ssd(...(all as Five)).output);
      const { value, grads } = tf.valueAndGrads(loss)([c, c, x, dt, a]);
      for (const result of [value, ...grads]) expect(result.dataSync().every((y) => y === 0)).toBe(true);
    });
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const [c, b, x, dt] = [
        [heads, 6, stateDim],
        [heads, 6, stateDim],
        [heads, 6, dim],
        [heads, 6],
      ].map((shape, i) => tf.abs(tf.tensor(noise(tf.util.sizeFromShape(shape), i), [1, ...shape]))) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const [a, skip] = [tf.tensor(inputs.a.values), tf.tensor(inputs.skip.values)];
      const whole = ssd(c, b, x, dt, a, { skip });
      let state: tf.Tensor = tf.zeros([1, heads, dim, stateDim]);
      const outputs = Array.from({ length: 6 }, (_, t) => {
        const at = (y: tf.Tensor) => tf.squeeze(tf.slice(y, [0, 0, t], [-1, -1, 1]), [2]);
        const step = ssdStep(at(c), at(b), at(x), at(dt), a, state, { skip });
        state = step.state;
        return step.output;
      });
      expectWithin(tf.stack(outputs, 2).dataSync(), whole.output.dataSync(), 1e-6, 'output');
      expectWithin(state.dataSync(), whole.finalState.dataSync(), 1e-6, 'state');
    });
  });

  it('wants as many heads as groups, or a multiple', () => {
    tf.tidy(() => {
      const b = tf.zeros([1, 2, 4, 5]);
      const x = tf.zeros([1, 3, 4, 5]);
      expect(() => ssd(b, b, x, tf.zeros([1, 3, 4]), tf.zeros([3]))).toThrow(/3 heads .* multiple of the 2 groups/);
    });
  });
});
