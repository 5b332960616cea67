import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AttentionOptions, attention, dispose, init, selfAttention } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { expectKernelsEqualComposition, expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import { type AttentionSizes, attentionReference } from '../reference/attention.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise, noiseInput } from './against-reference.ts';

const devices = await availableDevices();
const length = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(31, 33, 64, 65, 130));
const dim = fc.constantFrom(1, 3, 7, 8, 16, 33);
const sizesArbitrary = fc.record<AttentionSizes>({
  batch: fc.integer({ min: 1, max: 3 }),
  heads: fc.integer({ min: 1, max: 3 }),
  queries: length,
  keys: length,
  dim,
  valueDim: dim,
});

/** q, k and v of noise in layout 'BHTD'; large enough that the softmax is far from uniform. */
function noiseInputs(sizes: AttentionSizes): Inputs {
  const { batch, heads, queries, keys, dim, valueDim } = sizes;
  return {
    q: noiseInput([batch, heads, queries, dim], 1, 3),
    k: noiseInput([batch, heads, keys, dim], 2, 3),
    v: noiseInput([batch, heads, keys, valueDim], 3),
  };
}

/** Bits that are true with probability 0.7; the first key of each row is always true unless `holes`. */
function truth(size: number, seed: number): boolean[] {
  return Array.from(noise(size, seed), (x) => x < 0.4);
}

/** Element [b, h, i, j] of an array of a shape that broadcasts to four dimensions. */
function broadcasted<T>(values: ArrayLike<T>, shape: readonly number[]) {
  const [d0, d1, d2, d3] = [...new Array<number>(4 - shape.length).fill(1), ...shape] as [
    number,
    number,
    number,
    number,
  ];
  return (b: number, h: number, i: number, j: number): T =>
    values[(((b % d0) * d1 + (h % d1)) * d2 + (i % d2)) * d3 + (j % d3)]!;
}

const swap = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1, 3]);

/** Output and gradients of q, k and v (and a bias, if there is one) for a fixed upstream gradient. */
function valueAndGradients(sizes: AttentionSizes, options: () => AttentionOptions = () => ({})): Float32Array[] {
  return tf.tidy(() => {
    const inputs = noiseInputs(sizes);
    const given = options();
    const tensors = Object.values(inputs).map(({ values, shape }) => tf.tensor(values, shape));
    if (given.bias) tensors.push(given.bias);
    const apply = (...[q, k, v, bias]: tf.Tensor[]) => attention(q!, k!, v!, { ...given, ...(bias ? { bias } : {}) });
    const output = apply(...tensors);
    const dy = tf.tensor(noise(output.size, 4), output.shape);
    return [output, ...tf.grads(apply)(tensors, dy)].map((x) => x.dataSync() as Float32Array);
  });
}

describe.each(devices)('attention on $name', ({ options: deviceOptions }) => {
  beforeAll(async () => {
    await init(deviceOptions);
  });
  afterAll(dispose);

  it('is a softmax-weighted mean of values, with exact gradients, in both layouts', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), fc.constantFrom('BHTD', 'BTHD'), (sizes, causal, layout) => {
        const offset = sizes.keys - sizes.queries;
        const place = layout === 'BHTD' ? (x: tf.Tensor) => x : swap;
        expectMatchesReference({
          inputs: noiseInputs(sizes),
          operation: ({ q, k, v }) => [place(attention(place(q!), place(k!), place(v!), { causal, layout }))],
          reference: ({ q, k, v }) => [
            attentionReference(q!, k!, v!, sizes, {
              scale: 1 / Math.sqrt(sizes.dim),
              allowed: (_b, _h, i, j) => !causal || j <= i + offset,
              bias: () => 0,
            }),
          ],
          tolerance: 1e-5,
        });
      }),
      { numRuns: 30 },
    );
  });

  it('respects masks of every broadcastable shape, and differentiates a bias', () => {
    const kept = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean());
    fc.assert(
      fc.property(
        sizesArbitrary,
        kept,
        kept,
        fc.record({
          bool: fc.boolean(),
          additive: fc.boolean(),
          key: fc.boolean(),
          bias: fc.boolean(),
          causal: fc.boolean(),
        }),
        (sizes, maskAxes, biasAxes, use) => {
          const { batch, heads, queries, keys } = sizes;
          const all = [batch, heads, queries, keys];
          const maskShape = all.map((extent, axis) => (maskAxes[axis] ? extent : 1));
          const biasShape = all.map((extent, axis) => (biasAxes[axis] ? extent : 1));
          const mask = truth(tf.util.sizeFromShape(maskShape), 5);
          const keyMask = truth(batch * keys, 6);
          const maskAt = broadcasted(mask, maskShape);
          const additive = !use.bool && use.additive;
          expectMatchesReference({
            inputs: { ...noiseInputs(sizes), ...(use.bias ? { bias: noiseInput(biasShape, 7) } : {}) },
            operation: ({ q, k, v, bias }) => [
              attention(q!, k!, v!, {
                causal: use.causal,
                scale: 0.3,
                bias,
                mask: use.bool
                  ? tf.tensor(mask, maskShape, 'bool')
                  : additive
                    ? tf.tensor(
                        mask.map((allowed) => (allowed ? 0.25 : Number.NEGATIVE_INFINITY)),
                        maskShape,
                      )
                    : undefined,
                keyMask: use.key ? tf.tensor2d(keyMask, [batch, keys], 'bool') : undefined,
              }),
            ],
            reference: ({ q, k, v, bias }) => {
              const biasAt = bias ? broadcasted(bias, biasShape) : () => 0;
              return [
                attentionReference(q!, k!, v!, sizes, {
                  scale: 0.3,
                  bias: (...at) => biasAt(...at) + (additive ? 0.25 : 0),
                  allowed: (b, h, i, j) =>
                    (!use.causal || j <= i + keys - queries) &&
                    (!(use.bool || additive) || maskAt(b, h, i, j)) &&
                    (!use.key || keyMask[b * keys + j]!),
                }),
              ];
            },
            tolerance: 1e-5,
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('with a window sees the last keys of the past only, with exact gradients', () => {
    const windows = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(31, 64, 100, 1000));
    fc.assert(
      fc.property(sizesArbitrary, windows, fc.boolean(), fc.boolean(), (sizes, window, padded, biased) => {
        const { batch, queries, keys } = sizes;
        const keyMask = truth(batch * keys, 6);
        expectMatchesReference({
          inputs: {
            ...noiseInputs(sizes),
            ...(biased ? { bias: noiseInput([queries, keys], 7) } : {}),
          },
          operation: ({ q, k, v, bias }) => [
            attention(q!, k!, v!, {
              causal: true,
              window,
              bias,
              keyMask: padded ? tf.tensor2d(keyMask, [batch, keys], 'bool') : undefined,
            }),
          ],
          reference: ({ q, k, v, bias }) => [
            attentionReference(q!, k!, v!, sizes, {
              scale: 1 / Math.sqrt(sizes.dim),
              allowed: (b, _h, i, j) => {
                const last = i + keys - queries;
                return j <= last && j > last - window && (!padded || keyMask[b * keys + j]!);
              },
              bias: bias ? broadcasted(bias, [queries, keys]) : () => 0,
            }),
          ],
          tolerance: 1e-5,
        });
      }),
      { numRuns: 40 },
    );
  });

  it('stays exact over several tiles of keys in a window', () => {
    for (const window of [5, 70, 200]) {
      const sizes = {
        batch: 1,
        heads: 2,
        queries: 400,
        keys: 450,
        dim: 20,
        valueDim: 12,
      };
      expectMatchesReference({
        inputs: noiseInputs(sizes),
        operation: ({ q, k, v }) => [attention(q!, k!, v!, { causal: true, window })],
        reference: ({ q, k, v }) => [
          attentionReference(q!, k!, v!, sizes, {
            scale: 1 / Math.sqrt(20),
            allowed: (_b, _h, i, j) => j <= i + 50 && j > i + 50 - window,
            bias: () => 0,
          }),
        ],
        tolerance: 1e-5,
      });
    }
  });

  it('with a window of one gives values, with one that covers everything the attention without', () => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [2, 2, 70, 5];
      const [q, k, v] = [1, 2, 3].map((seed) => tf.tensor4d(noise(1400, seed), shape)) as [
        tf.Tensor4D,
        tf.Tensor4D,
        tf.Tensor4D,
      ];
      const run = (window?: number) => attention(q, k, v, { causal: true, window }).dataSync();
      expect(run(1)).toEqual(v.dataSync());
      expect(run(70)).toEqual(run());
    });
  });

  it('stays exact over several tiles of queries and keys', () => {
    const sizes = { batch: 1, heads: 2, queries: 150, keys: 300, dim: 20, valueDim: 12 };
    expectMatchesReference({
      inputs: { ...noiseInputs(sizes), bias: noiseInput([2, 150, 300], 7) },
      operation: ({ q, k, v, bias }) => [attention(q!, k!, v!, { causal: true, bias })],
      reference: ({ q, k, v, bias }) => [
        attentionReference(q!, k!, v!, sizes, {
          scale: 1 / Math.sqrt(20),
          allowed: (_b, _h, i, j) => j <= i + 150,
          bias: broadcasted(bias!, [2, 150, 300]),
        }),
      ],
      tolerance: 1e-5,
    });
  });

  it('is stable for scores of any size', () => {
    tf.tidy(() => {
      const q = tf.tensor4d([200, -200], [1, 1, 2, 1]);
      const k = tf.tensor4d([300, 299, -300], [1, 1, 3, 1]);
      const v = tf.tensor4d([1, 2, 3], [1, 1, 3, 1]);
      expect([...attention(q, k, v).dataSync()]).toEqual([1, 3]);
    });
  });

  it('gives zeros and no gradient to queries that may see nothing', () => {
    const sizes = { batch: 2, heads: 1, queries: 5, keys: 3, dim: 4, valueDim: 4 };
    const [output, dq, dk, dv] = valueAndGradients(sizes, () => ({
      causal: true,
      keyMask: tf.tensor2d([1, 1, 1, 0, 0, 0], [2, 3], 'bool'),
    })) as [Float32Array, Float32Array, Float32Array, Float32Array];
    // The first two queries come before all keys; the second batch element has no keys at all.
    expect([...output.subarray(0, 8), ...output.subarray(20)]).toEqual(new Array(28).fill(0));
    expect([...dq.subarray(0, 8), ...dq.subarray(20)]).toEqual(new Array(28).fill(0));
    expect([...dk.subarray(12), ...dv.subarray(12)]).toEqual(new Array(24).fill(0));
    expect([...output, ...dq, ...dk, ...dv].every(Number.isFinite)).toBe(true);
    expect(output.subarray(8, 20).every((x) => x !== 0)).toBe(true);
  });

  it('lets nothing through from excluded positions, NaN and infinity included', () => {
    const [batch, heads, time, dim] = [2, 2, 70, 9];
    const present = Array.from({ length: batch * time }, (_, i) => i % time < 50);
    const run = (poison: number) =>
      tf.tidy(() => {
        const filled = (seed: number) => {
          const values = noise(batch * heads * time * dim, seed);
          return tf.tensor4d(
            values.map((x, i) => (Math.floor(i / dim) % time < 50 ? x : poison)),
            [batch, heads, time, dim],
          );
        };
        const q = tf.tensor4d(noise(batch * heads * time * dim, 1), [batch, heads, time, dim]);
        const keyMask = tf.tensor2d(present, [batch, time], 'bool');
        const apply = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) => attention(q, k, v, { keyMask });
        const [k, v] = [filled(2), filled(3)];
        return [apply(q, k, v), ...tf.grads(apply)([q, k, v])].map((x) => x.dataSync());
      });
    const clean = run(0);
    for (const poison of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const [index, values] of run(poison).entries()) expectWithin(values, clean[index]!, 1e-6, `array ${index}`);
    }
  });

  it('of a poisoned past outside of the window does not change the present', () => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [1, 1, 40, 4];
      const values = noise(160, 2);
      const poisoned = values.map((x, i) => (i < 80 ? Number.NaN : x));
      const q = tf.tensor4d(noise(160, 1), shape);
      const [whole, cut] = [values, poisoned].map((kv) =>
        attention(q, tf.tensor4d(kv, shape), tf.tensor4d(kv, shape), {
          causal: true,
          window: 8,
        }).dataSync(),
      );
      expectWithin(cut!.subarray(28 * 4), whole!.subarray(28 * 4), 1e-6, 'present');
    });
  });

  it('of a poisoned future does not change the causal past', () => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [1, 1, 20, 4];
      const values = noise(80, 2);
      const q = tf.tensor4d(noise(80, 1), shape);
      const [whole, cut] = [values, values.map((x, i) => (i < 40 ? x : Number.NaN))].map((kv) =>
        attention(q, tf.tensor4d(kv, shape), tf.tensor4d(kv, shape), { causal: true }).dataSync().subarray(0, 40),
      );
      expectWithin(cut!, whole!, 1e-6, 'past');
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const shape: [number, number, number, number] = [1, 2, 3, 4];
      const [k, v] = [tf.tensor4d(noise(24, 2), shape), tf.tensor4d(noise(24, 3), shape)];
      const energy = (q: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((x: tf.Tensor) => tf.sum(attention(x, k, v)))(q))) as tf.Scalar;
      const direction = tf.tensor4d(noise(24, 5), shape);
      const q = tf.tensor4d(noise(24, 1), shape);
      const expected = tf.sum(tf.mul(tf.grad(energy)(q), direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map((sign) => energy(tf.add(q, tf.mul(direction, sign * 0.05))).dataSync()[0]!);
      expect((above! - below!) / 0.1).toBeCloseTo(expected, 2);
    });
  });

  it('takes a float mask for a constant', () => {
    tf.tidy(() => {
      const [q, mask] = [tf.tensor4d(noise(24, 1), [1, 2, 3, 4]), tf.tensor2d(noise(9, 2), [3, 3])];
      const total = (given: AttentionOptions) => tf.sum(attention(q, q, q, given)) as tf.Scalar;
      const ofMask = tf.grad((m: tf.Tensor) => tf.add(total({ mask: m, bias: tf.zeros([3, 3]) }), tf.sum(m)));
      expect([...ofMask(mask).dataSync()]).toEqual(new Array(9).fill(1));
      expect(() => tf.grad((m: tf.Tensor) => total({ mask: m }))(mask)).toThrow('Cannot compute gradient');
    });
  });

  it('accepts empty batches, queries, keys and values', () => {
    tf.tidy(() => {
      const sizes = { batch: 2, heads: 2, queries: 3, keys: 4, dim: 5, valueDim: 6 };
      for (const empty of ['batch', 'heads', 'queries', 'keys', 'dim', 'valueDim'] as const) {
        const [output, ...gradients] = valueAndGradients({ ...sizes, [empty]: 0 });
        expect(output!.length, empty).toBe(['keys', 'dim'].includes(empty) ? 72 : 0);
        if (empty === 'keys') expect([...output!]).toEqual(new Array(72).fill(0));
        expect(gradients.flatMap((x) => [...x]).every(Number.isFinite), empty).toBe(true);
        if (empty === 'queries') expect(gradients.flatMap((x) => [...x]).every((x) => x === 0)).toBe(true);
      }
    });
  });

  it('leaves no tensors or memory behind', () => {
    const sizes = { batch: 2, heads: 2, queries: 40, keys: 33, dim: 8, valueDim: 8 };
    const options = () => ({
      bias: tf.tensor(noise(40 * 33, 1), [40, 33]),
      mask: tf.ones([1, 33]),
      keyMask: tf.ones([2, 33], 'bool'),
    });
    expectNothingLeft(() => valueAndGradients(sizes, options));
  });
});

describe.each(devices)('selfAttention on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('is attention over the three parts of a projection', () => {
    const [batch, time, heads, dim] = [3, 37, 2, 5];
    tf.tidy(() => {
      const qkv = tf.tensor(noise(batch * time * 3 * heads * dim, 1), [batch, time, 3, heads, dim]);
      const bias = tf.tensor(noise(heads * time * time, 2), [heads, time, time]);
      const dy = tf.tensor4d(noise(batch * time * heads * dim, 3), [batch, time, heads, dim]);
      const parts = (x: tf.Tensor, bias: tf.Tensor) => {
        const [q, k, v] = tf.unstack(x, 2) as [tf.Tensor, tf.Tensor, tf.Tensor];
        return attention(q, k, v, { layout: 'BTHD', causal: true, bias });
      };
      const packed = (x: tf.Tensor, bias: tf.Tensor) => selfAttention(x, { causal: true, bias });
      const [expected, actual] = [parts, packed].map((apply) => [
        apply(qkv, bias),
        ...tf.grads(apply)([qkv, bias], dy),
      ]) as [tf.Tensor[], tf.Tensor[]];
      for (const [index, x] of actual.entries()) expect(x.dataSync()).toEqual(expected[index]!.dataSync());
    });
  });
});

describe('attention', () => {
  afterAll(dispose);

  it('composed of tfjs operations equals the kernels', async () => {
    const sizes = { batch: 2, heads: 3, queries: 6, keys: 9, dim: 4, valueDim: 5 };
    const variants: (() => AttentionOptions)[] = [
      () => ({}),
      () => ({ causal: true }),
      () => ({ causal: true, window: 3 }),
      () => ({ bias: tf.tensor(noise(54, 8), [6, 9]), mask: tf.tensor(truth(54, 5), [1, 1, 6, 9], 'bool') }),
      () => ({ keyMask: tf.tensor2d([...truth(9, 3), ...new Array(9).fill(false)], [2, 9], 'bool'), scale: 2 }),
      () => ({ mask: tf.tensor([0, 1, 2, Number.NEGATIVE_INFINITY, 0, 0, 0, 0, -3], [9]) }),
    ];
    await expectKernelsEqualComposition(() => variants.flatMap((options) => valueAndGradients(sizes, options)));
  });

  it('gives the same bits for every number of threads, where heads, queries or keys are divided', async () => {
    const cases: [AttentionSizes, () => AttentionOptions][] = [
      [{ batch: 20, heads: 3, queries: 33, keys: 33, dim: 17, valueDim: 9 }, () => ({})],
      [{ batch: 1, heads: 1, queries: 400, keys: 500, dim: 33, valueDim: 40 }, () => ({ causal: true })],
      [{ batch: 2, heads: 3, queries: 900, keys: 900, dim: 16, valueDim: 16 }, () => ({ causal: true, window: 30 })],
      [
        { batch: 6, heads: 2, queries: 130, keys: 140, dim: 16, valueDim: 16 },
        () => ({ bias: tf.tensor(noise(2 * 130 * 140, 1), [2, 130, 140]) }),
      ],
    ];
    for (const { options } of devices) {
      await expectSameBitsForAllThreads(options, () =>
        cases.flatMap(([sizes, extra]) => valueAndGradients(sizes, extra)),
      );
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const [q, k, v] = [tf.zeros([2, 3, 4, 5]), tf.zeros([2, 3, 6, 5]), tf.zeros([2, 3, 6, 7])];
      expect(() => attention(q, tf.zeros([2, 3, 6, 4]), v)).toThrow(/attention: k .*'dim'.* is 4 instead of 5/);
      expect(() => attention(q, k, tf.zeros([2, 3, 5, 7]))).toThrow(/attention: v .*'keys'/);
      expect(() => attention(q, k, v, { mask: tf.zeros([2, 6], 'bool') })).toThrow(/attention: mask must broadcast/);
      expect(() => attention(q, k, v, { mask: tf.zeros([4, 6], 'int32') })).toThrow(/bool or float32, but is int32/);
      expect(() => attention(q, k, v, { keyMask: tf.ones([2, 4], 'bool') })).toThrow(/keys = 6/);
      expect(() => attention(q, k, v, { causal: true, window: 0 })).toThrow(
        /window must be a whole number of at least 1/,
      );
      expect(() => attention(q, k, v, { window: 3 })).toThrow(/needs causal: true/);
      expect(() => attention(q, k, v, { layout: 'HBTD' as never })).toThrow(/'BHTD' or 'BTHD'/);
      expect(() => selfAttention(tf.zeros([2, 3, 4, 5, 6]))).toThrow(/selfAttention: qkv .* is 4 instead of 3/);
    });
  });
});
