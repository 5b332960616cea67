import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, gatedLinearAttention, init, retention, retentionStep } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { type SumRuleValues, sumRuleReference } from '../reference/sum-rule.ts';
import { expectMatchesReference, expectWithin, noise, noiseInput } from './against-reference.ts';

const devices = [...(await availableDevices()), ...composedDevices];

const sizes = { batch: 2, heads: 3, time: 40, keyDim: 6, valueDim: 5 };
const inputs = {
  q: noiseInput([2, 3, 40, 6], 1),
  k: noiseInput([2, 3, 40, 6], 2),
  v: noiseInput([2, 3, 40, 5], 3),
  initialState: noiseInput([2, 3, 5, 6], 4),
};
/** γ of the paper for three heads. */
const PAPER = [1 - 1 / 32, 1 - 1 / 64, 1 - 1 / 128];

describe.each(devices)('retention on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each([undefined, [1, 0.5, 0]])('follows its equation, decays %s', (decay) => {
    const factors = Float64Array.from({ length: 2 * 3 * 40 }, (_, i) => (decay ?? PAPER)[Math.floor(i / 40) % 3]!);
    expectMatchesReference({
      inputs,
      operation: ({ q, k, v, initialState }) => {
        const { output, finalState } = retention(q!, k!, v!, { decay, initialState });
        return [output, finalState];
      },
      reference: (values) =>
        sumRuleReference({ ...(values as unknown as SumRuleValues), decay: factors }, sizes).slice(0, 2),
      tolerance: 1e-5,
    });
  });

  it('is gated linear attention with constant decays', () => {
    tf.tidy(() => {
      const [q, k, v] = [inputs.q, inputs.k, inputs.v].map(({ values, shape }) => tf.tensor(values, shape)) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const decay = tf.tile(tf.reshape(tf.tensor1d(PAPER), [1, 3, 1]), [2, 1, 40]);
      expect(retention(q, k, v).output.dataSync()).toEqual(gatedLinearAttention(q, k, v, decay).output.dataSync());
    });
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const [q, k, v] = [6, 6, 5].map((dim, i) => tf.tensor(noise(2 * 3 * 7 * dim, i), [2, 3, 7, dim])) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const whole = retention(q, k, v);
      let state: tf.Tensor = tf.zeros([2, 3, 5, 6]);
      const outputs = Array.from({ length: 7 }, (_, t) => {
        const at = (x: tf.Tensor) => tf.squeeze(tf.slice(x, [0, 0, t], [-1, -1, 1]), [2]);
        const step = retentionStep(at(q), at(k), at(v), state);
        state = step.state;
        return step.output;
      });
      expectWithin(tf.stack(outputs, 2).dataSync(), whole.output.dataSync(), 1e-6, 'output');
      expectWithin(state.dataSync(), whole.finalState.dataSync(), 1e-6, 'state');
    });
  });

  it('wants one decay from 0 to 1 for each head', () => {
    tf.tidy(() => {
      const x = tf.zeros([1, 2, 3, 4]);
      expect(() => retention(x, x, x, { decay: [0.5] })).toThrow(/each of the 2 heads, but has 1/);
      expect(() => retention(x, x, x, { decay: [0.5, 1.5] })).toThrow(/decay\[1\] .* from 0 to 1, but is 1.5/);
    });
  });
});
