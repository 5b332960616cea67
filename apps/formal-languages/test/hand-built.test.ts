/** Parity by hand: what a state must be able to do, and that it can (numeric checks 1 and 2 of the paper's card). */

import { deltaRule, dispose, elementwiseLstm, init } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const BITS = [1, 0, 1, 1, 0, 1];
const SIGNS = [-1, -1, 1, -1, -1, 1];

describe('parity by hand', () => {
  beforeAll(async () => {
    await init({ device: 'wasm' });
  });
  afterAll(dispose);

  /** W = w e₁ᵀ, written under the key e₁ with the value 0 and β = rate · bit; what e₁ reads. */
  function reads(rate: number): number[] {
    return tf.tidy(() => {
      const key = tf.tile(tf.tensor4d([1, 0, 0], [1, 1, 1, 3]), [1, 1, BITS.length, 1]);
      const beta = tf.tensor3d(
        BITS.map((bit) => rate * bit),
        [1, 1, BITS.length],
      );
      const initialState = tf.tensor4d([1, 0, 0], [1, 1, 1, 3]);
      const { output } = deltaRule(key, key, tf.zeros([1, 1, BITS.length, 1]), beta, { initialState });
      return Array.from(output.dataSync());
    });
  }

  it('a delta rule with β = 2 on every 1 reflects its state: the sign is the parity', () => {
    expect(reads(2)).toEqual(SIGNS);
  });

  it('with β up to 1 the state only shrinks, and never changes its sign', () => {
    for (const rate of [0.3, 0.9, 1]) {
      const values = reads(rate);
      values.forEach((value, t) => {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(t === 0 ? 1 : (values[t - 1] as number));
      });
    }
  });

  it('one unit of an e-LSTM flips: it takes tanh(−w c) on a 1, and keeps c on a 0', () => {
    tf.tidy(() => {
      const x = tf.tensor3d(BITS, [1, BITS.length, 1]);
      const weights = {
        // z sees nothing of x; f is 1 for a 0, and 0 for a 1.
        inputWeight: tf.tensor2d([0, -60], [1, 2]),
        recurrentWeight: tf.tensor1d([-10, 0]),
        bias: tf.tensor1d([0, 30]),
      };
      const { output } = elementwiseLstm(x, weights, { initialState: tf.tensor2d([1], [1, 1]) });
      Array.from(output.dataSync()).forEach((value, t) => {
        expect(value).toBeCloseTo(SIGNS[t] as number, 6);
      });
    });
  });
});
