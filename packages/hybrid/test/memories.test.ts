/** Both memories against their equations, and what the paper's blends have in common and not. */

import * as core from '@fwp/core';
import { deltaRule, dispose, init, l2Normalize, RandomStream, randomNormal } from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BlendInputs, type BlendResult, delayedStream, synchronous } from '../src/blends.ts';
import { delayedChunk } from '../src/delayed-chunk.ts';
import { BLENDS, type BlendName } from '../src/index.ts';
import { fastWeightReference, linearAttentionReference, type Rows, windowReference } from './reference.ts';

const run = { synchronous, delayedStream, delayedChunk };
const TOLERANCE = { rtol: 1e-4, atol: 1e-5 };

interface Sizes {
  batch: number;
  length: number;
  heads: number;
  headSize: number;
  valueSize: number;
}

function inputsOf({ batch, length, heads, headSize, valueSize }: Sizes, seed: number): BlendInputs {
  const random = new RandomStream(seed);
  const draw = (...shape: number[]) => randomNormal(random, shape);
  return {
    q: draw(batch, length, heads, headSize) as tf.Tensor4D,
    k: draw(batch, length, heads, headSize) as tf.Tensor4D,
    v: draw(batch, length, heads, valueSize) as tf.Tensor4D,
    beta: tf.mul<tf.Tensor3D>(tf.sigmoid(draw(batch, length, heads)), 2),
    presence: undefined,
    state: undefined,
  };
}

/** Rows of one head of `[batch, length, heads, size]`. */
function rowsOf(x: tf.Tensor4D, b: number, h: number): Rows {
  return x.arraySync()[b]!.map((heads) => heads[h]!);
}

/** What a reading `[batch, heads, length, size]` says in one head, one element after the other. */
function headOf(x: tf.Tensor4D, b: number, h: number): number[] {
  return x.arraySync()[b]![h]!.flat();
}

const sizesArbitrary = fc.record<Sizes>({
  batch: fc.integer({ min: 1, max: 2 }),
  length: fc.integer({ min: 1, max: 20 }),
  heads: fc.integer({ min: 1, max: 3 }),
  headSize: fc.constantFrom(1, 2, 5, 8),
  valueSize: fc.constantFrom(1, 3, 8),
});

/** Keys that the attention sees, and pairs that are written before a read, by blend. */
const rules: Record<
  BlendName,
  {
    seen: (t: number, S: number) => [number, number];
    writes: (t: number, S: number, beta: readonly number[]) => { pair: number; beta: number }[];
  }
> = {
  synchronous: {
    seen: (t, S) => [Math.max(0, t - S + 1), t],
    writes: (t, _, beta) => [{ pair: t, beta: beta[t]! }],
  },
  delayedStream: {
    seen: (t, S) => [Math.max(0, t - S + 1), t],
    writes: (t, S, beta) => (t < S ? [] : [{ pair: t - S, beta: beta[t]! }]),
  },
  delayedChunk: {
    seen: (t, S) => [t - (t % S), t],
    writes: (t, S, beta) =>
      t > 0 && t % S === 0 ? Array.from({ length: S }, (_, i) => ({ pair: t - S + i, beta: beta[t - S + i]! })) : [],
  },
};

describe.each(await availableDevices(core))('memories on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(BLENDS)('%s: both memories say what the equations say', (blend) => {
    fc.assert(
      fc.property(sizesArbitrary, fc.integer({ min: 1, max: 9 }), fc.nat(), (sizes, window, seed) => {
        tf.tidy(() => {
          const inputs = inputsOf(sizes, seed);
          const result = run[blend](inputs, { window, rotaryBase: undefined });
          const betas = (inputs.beta as tf.Tensor3D).arraySync();
          for (let b = 0; b < sizes.batch; b++) {
            for (let h = 0; h < sizes.heads; h++) {
              const [q, k, v] = [inputs.q, inputs.k, inputs.v].map((x) => rowsOf(x, b, h)) as [Rows, Rows, Rows];
              const beta = betas[b]!.map((strengths) => strengths[h]!);
              const seen = windowReference(q, k, v, (t) => rules[blend].seen(t, window));
              assertAllClose(headOf(result.window, b, h), seen.flat(), { ...TOLERANCE, name: 'window' });
              const read = fastWeightReference(q, k, v, (t) => rules[blend].writes(t, window, beta));
              assertAllClose(headOf(result.fastWeights, b, h), read.flat(), { ...TOLERANCE, name: 'fast weights' });
            }
          }
        });
      }),
      { numRuns: 12 },
    );
  });
});

describe('memories', () => {
  const sizes = { batch: 2, length: 13, heads: 2, headSize: 4, valueSize: 6 };
  const settings = { window: 4, rotaryBase: undefined };

  beforeAll(async () => {
    await init({ device: 'wasm' });
  });
  afterAll(dispose);

  const values = (x: tf.Tensor) => Array.from(x.dataSync());
  const inTidy = (test: () => void) => () => {
    tf.tidy(test);
  };
  /** What a plain delta rule reads, with the same feature map. */
  const deltaNet = ({ q, k, v, beta }: Pick<BlendInputs, 'q' | 'k' | 'v' | 'beta'>) => {
    const swap = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1, 3]);
    const map = (x: tf.Tensor) => l2Normalize(swap(tf.mul(x, tf.sigmoid(x))));
    const queries = tf.mul(map(q), 1 / Math.sqrt(q.shape[3]));
    return deltaRule(queries, map(k), swap(v), tf.transpose(beta as tf.Tensor3D, [0, 2, 1])).output;
  };

  it(
    'linear attention is normalised by the sum over time',
    inTidy(() => {
      const { beta: _, ...inputs } = inputsOf(sizes, 5);
      const result = synchronous({ ...inputs, beta: undefined }, settings);
      for (let b = 0; b < sizes.batch; b++) {
        for (let h = 0; h < sizes.heads; h++) {
          const [q, k, v] = [inputs.q, inputs.k, inputs.v].map((x) => rowsOf(x, b, h)) as [Rows, Rows, Rows];
          assertAllClose(headOf(result.fastWeights, b, h), linearAttentionReference(q, k, v).flat(), TOLERANCE);
        }
      }
    }),
  );

  it(
    'a window of everything is causal attention, one of one element gives its value',
    inTidy(() => {
      const inputs = inputsOf(sizes, 1);
      const whole = core.attention(inputs.q, inputs.k, inputs.v, { layout: 'BTHD', causal: true });
      const swapped = (x: tf.Tensor) => values(tf.transpose(x, [0, 2, 1, 3]));
      for (const blend of BLENDS) {
        for (const window of [13, 50]) {
          const result = run[blend](inputs, { window, rotaryBase: undefined });
          assertAllClose(values(result.window), swapped(whole), TOLERANCE);
        }
        expect(values(run[blend](inputs, { window: 1, rotaryBase: undefined }).window)).toEqual(swapped(inputs.v));
      }
    }),
  );

  it(
    'in a delayed stream, the fast weights are empty for a window, then those of the delta rule on earlier pairs',
    inTidy(() => {
      const inputs = inputsOf(sizes, 2);
      const { fastWeights } = delayedStream(inputs, settings);
      expect(values(tf.slice(fastWeights, [0, 0, 0, 0], [2, 2, 4, 6]))).toEqual(new Array(96).fill(0));
      const shifted = (x: tf.Tensor4D) =>
        tf.concat(
          [tf.zeros([2, 4, 2, x.shape[3]]), tf.slice(x, [0, 0, 0, 0], [2, 9, 2, x.shape[3]])],
          1,
        ) as tf.Tensor4D;
      const expected = deltaNet({ ...inputs, k: shifted(inputs.k), v: shifted(inputs.v) });
      assertAllClose(values(fastWeights), values(expected), TOLERANCE);
    }),
  );

  it(
    'a chunk of everything has empty fast weights; chunks of one element read what came before',
    inTidy(() => {
      const inputs = inputsOf(sizes, 3);
      const whole = delayedChunk(inputs, { window: 13, rotaryBase: undefined });
      expect(values(whole.fastWeights).every((x) => x === 0)).toBe(true);
      const single = delayedChunk(inputs, { window: 1, rotaryBase: undefined });
      const swap = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1, 3]);
      const map = (x: tf.Tensor) => l2Normalize(swap(tf.mul(x, tf.sigmoid(x))));
      const before = deltaRule(
        tf.mul(map(inputs.q), 0.5),
        map(inputs.k),
        swap(inputs.v),
        tf.transpose(inputs.beta as tf.Tensor3D, [0, 2, 1]),
        { read: 'before' },
      );
      assertAllClose(values(single.fastWeights), values(before.output), TOLERANCE);
    }),
  );

  it(
    'the synchronous fast weights are those of a DeltaNet, whatever the window',
    inTidy(() => {
      const inputs = inputsOf(sizes, 4);
      for (const window of [1, 5, 40]) {
        const { fastWeights } = synchronous(inputs, { window, rotaryBase: 10_000 });
        assertAllClose(values(fastWeights), values(deltaNet(inputs)), TOLERANCE);
      }
    }),
  );

  it(
    'rotary positions change what the attention sees, but by distances only',
    inTidy(() => {
      const inputs = inputsOf(sizes, 6);
      const rotary = { window: 4, rotaryBase: 100 };
      for (const blend of ['synchronous', 'delayedStream'] as const) {
        const last = (result: BlendResult) => tf.slice(result.window, [0, 0, 9, 0], [2, 2, 4, 6]);
        const whole = last(run[blend](inputs, rotary));
        expect(values(whole)).not.toEqual(values(last(run[blend](inputs, settings))));
        // The same elements without those that no window reaches are at other absolute positions.
        const cut = <T extends tf.Tensor>(x: T) => tf.slice(x, [0, 6], [2, 7]) as T;
        const { q, k, v, beta } = inputs;
        const later = run[blend](
          { ...inputs, q: cut(q), k: cut(k), v: cut(v), beta: cut(beta as tf.Tensor3D) },
          rotary,
        );
        assertAllClose(values(tf.slice(later.window, [0, 0, 3, 0], [2, 2, 4, 6])), values(whole), TOLERANCE);
      }
    }),
  );
});
