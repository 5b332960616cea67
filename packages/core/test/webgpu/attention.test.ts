import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attention, dispose, init, selfAttention } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectMatchesReference, noise, noiseInput } from '../ops/against-reference.ts';
import { attentionReference } from '../reference/attention.ts';

const [gpu] = await webGpuDevices();

interface Case {
  readonly layout?: 'BHTD' | 'BTHD';
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly padded?: boolean;
}

const [BATCH, HEADS] = [2, 2];

describe.skipIf(gpu === undefined)('attention on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  it.each<Case>([
    { queries: 37, keys: 45, dim: 6, valueDim: 4, causal: true },
    { queries: 5, keys: 50, dim: 8, valueDim: 8, padded: true },
    { layout: 'BTHD', queries: 40, keys: 40, dim: 8, valueDim: 8, causal: true, window: 9, padded: true },
    { queries: 9, keys: 4, dim: 3, valueDim: 5, causal: true },
  ])('follows its equation, with exact gradients: %o', (given) => {
    const { layout = 'BHTD', queries, keys, dim, valueDim, causal = false, window } = given;
    const isKey = Array.from(noise(BATCH * keys, 4), (x, i) => (given.padded && (x > 0.4 || i < keys) ? 0 : 1));
    // Heads before time, or the other way round.
    const placed = (x: tf.Tensor) => (layout === 'BHTD' ? x : tf.transpose(x, [0, 2, 1, 3]));
    expectMatchesReference({
      inputs: {
        q: noiseInput([BATCH, HEADS, queries, dim], 1, 2),
        k: noiseInput([BATCH, HEADS, keys, dim], 2, 2),
        v: noiseInput([BATCH, HEADS, keys, valueDim], 3),
      },
      operation: ({ q, k, v }) => {
        const keyMask = given.padded ? tf.tensor2d(isKey, [BATCH, keys], 'bool') : undefined;
        return [placed(attention(placed(q!), placed(k!), placed(v!), { layout, causal, window, keyMask }))];
      },
      reference: ({ q, k, v }) => [
        attentionReference(
          q!,
          k!,
          v!,
          { batch: BATCH, heads: HEADS, queries, keys, dim, valueDim },
          {
            scale: 1 / Math.sqrt(dim),
            bias: () => 0,
            allowed: (b, _, i, j) => {
              const last = i + keys - queries;
              const isPast = !causal || (j <= last && (window === undefined || j > last - window));
              return isPast && isKey[b * keys + j] === 1;
            },
          },
        ),
      ],
      tolerance: 1e-5,
    });
  });

  it('takes queries, keys and values in one tensor, with the same result and gradients', () => {
    tf.tidy(() => {
      const qkv = tf.tensor(noise(2 * 21 * 3 * 2 * 8, 1), [2, 21, 3, 2, 8]);
      const options = { causal: true, window: 6 };
      const loss = (run: (x: tf.Tensor) => tf.Tensor) => (x: tf.Tensor) =>
        tf.sum(tf.mul(run(x), tf.tensor(noise(2 * 21 * 2 * 8, 2), [2, 21, 2, 8]))) as tf.Scalar;
      const apart = (x: tf.Tensor) => {
        const [q, k, v] = tf.unstack(x, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
        return attention(q, k, v, { ...options, layout: 'BTHD' });
      };
      const packed = (x: tf.Tensor) => selfAttention(x, options);
      expect(packed(qkv).dataSync()).toEqual(apart(qkv).dataSync());
      const [one, other] = [packed, apart].map((run) => tf.grad(loss(run))(qkv).dataSync());
      expect(one).toEqual(other);
    });
  });

  it('does not look at what no query sees, NaN included', () => {
    tf.tidy(() => {
      const x = tf.tensor(noise(6 * 8, 1), [1, 1, 6, 8]);
      const k = tf.concat([tf.slice(x, [0, 0, 0], [1, 1, 4]), tf.fill([1, 1, 2, 8], Number.NaN)], 2);
      const keyMask = tf.tensor2d([1, 1, 1, 1, 0, 0], [1, 6], 'bool');
      const output = attention(x, k, k, { keyMask });
      expect(Array.from(output.dataSync()).every(Number.isFinite)).toBe(true);
      const gradients = tf.grads((q, given) => tf.sum(attention(q!, given!, given!, { keyMask })) as tf.Scalar)([x, k]);
      for (const gradient of gradients) expect(Array.from(gradient.dataSync()).every(Number.isFinite)).toBe(true);
    });
  });

  it('leaves nothing allocated', () => {
    const step = () =>
      tf.tidy(() => {
        const x = tf.ones([1, 21, 3, 2, 8]);
        tf.grad((y: tf.Tensor) => tf.sum(selfAttention(y, { causal: true })) as tf.Scalar)(x).dataSync();
      });
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
