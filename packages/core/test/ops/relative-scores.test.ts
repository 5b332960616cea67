import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, relativeScores } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { expectMatchesReference, expectSameBits, expectWithin, noiseInput } from './against-reference.ts';

const devices = await availableDevices();

interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly dim: number;
  readonly rows: number;
  readonly offset: number;
}

const extent = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(17, 33));
const sizesArbitrary = fc.record<Sizes>({
  batch: fc.integer({ min: 1, max: 10 }),
  queries: extent,
  keys: extent,
  heads: fc.integer({ min: 1, max: 3 }),
  dim: fc.constantFrom(1, 3, 8, 16, 33),
  rows: fc.oneof(extent, fc.constant(64)),
  offset: fc.integer({ min: -3, max: 40 }),
});

function inputsOf({ batch, queries, heads, dim, rows }: Sizes) {
  return {
    q: noiseInput([batch, queries, heads, dim], 1),
    r: noiseInput([rows, heads, dim], 2),
  };
}

/** The equation. */
function reference(
  q: Float64Array,
  r: Float64Array,
  { batch, queries, keys, heads, dim, rows, offset }: Sizes,
): Float64Array {
  const scores = new Float64Array(batch * heads * queries * keys);
  for (let place = 0; place < scores.length; place++) {
    const [j, i] = [place % keys, Math.floor(place / keys) % queries];
    const [h, b] = [Math.floor(place / keys / queries) % heads, Math.floor(place / keys / queries / heads)];
    const c = j - i + offset;
    if (c < 0 || c >= rows) continue;
    for (let d = 0; d < dim; d++) {
      scores[place]! += q[((b * queries + i) * heads + h) * dim + d]! * r[(c * heads + h) * dim + d]!;
    }
  }
  return scores;
}

function valueAndGradients(sizes: Sizes): Float32Array[] {
  return tf.tidy(() => {
    const tensors = Object.values(inputsOf(sizes)).map(({ values, shape }) => tf.tensor(values, shape));
    const apply = (...[q, r]: tf.Tensor[]) => relativeScores(q!, r!, sizes);
    const scores = apply(...tensors);
    const dy = tf.tensor(noiseInput(scores.shape, 3).values, scores.shape);
    return [scores, ...tf.grads(apply)(tensors, dy)].map((x) => x.dataSync() as Float32Array);
  });
}

describe.each(devices)('relativeScores on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('meets each key with the row of its distance, with exact gradients', () => {
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(sizesArbitrary, (sizes) => {
        expectMatchesReference({
          inputs: inputsOf(sizes),
          operation: ({ q, r }) => [relativeScores(q!, r!, sizes)],
          reference: ({ q, r }) => [reference(q!, r!, sizes)],
          tolerance: 5e-6,
        });
      }),
      { numRuns: 60 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('by default has a row for every distance, from the farthest key to the left on', () => {
    tf.tidy(() => {
      // Row c holds c, so that a score is the number of its row.
      const r = tf.reshape(tf.range(0, 5), [5, 1, 1]);
      const scores = relativeScores(tf.ones([1, 3, 1, 1]), r, { keys: 3 });
      expect(scores.arraySync()).toEqual([[[[2, 3, 4], [1, 2, 3], [0, 1, 2]]]]); // biome-ignore format: a matrix
    });
  });

  it('depends on distances alone', () => {
    tf.tidy(() => {
      const q = tf.tile(tf.tensor4d(noiseInput([1, 1, 2, 3], 1).values, [1, 1, 2, 3]), [1, 6, 1, 1]);
      const r = tf.tensor3d(noiseInput([11, 2, 3], 2).values, [11, 2, 3]);
      const scores = relativeScores(q, r, { keys: 6 });
      const [early, late] = [0, 1].map((t) => tf.slice(scores, [0, 0, t, t], [1, 2, 5, 5]).dataSync() as Float32Array);
      expectSameBits([late!], [early!]);
    });
  });

  it('refuses bad arguments', () => {
    tf.tidy(() => {
      const q = tf.ones([1, 2, 3, 4]);
      expect(() => relativeScores(q, tf.ones([3, 3, 5]), { keys: 2 })).toThrow('relativeScores: r');
      expect(() => relativeScores(q, tf.ones([3, 3, 4]), { keys: 1.5 })).toThrow('relativeScores: keys');
      expect(relativeScores(tf.ones([0, 2, 3, 4]), tf.ones([3, 3, 4]), { keys: 2 }).shape).toEqual([0, 3, 2, 2]);
    });
  });
});

it('is the same composed of tfjs operations', async () => {
  const sizes = {
    batch: 2,
    queries: 4,
    keys: 6,
    heads: 2,
    dim: 5,
    rows: 7,
    offset: 2,
  };
  const results: Float32Array[][] = [];
  for (const { options } of [devices[0]!, ...composedDevices]) {
    await init(options);
    results.push(valueAndGradients(sizes));
  }
  await dispose();
  for (const composed of results.slice(1)) {
    for (const [i, values] of composed.entries()) expectWithin(results[0]![i]!, values, 1e-5, `result ${i}`);
  }
});

it.each(devices)('relativeScores on $name gives the same bits for every number of threads', async ({ options }) => {
  await expectSameBitsForAllThreads(options, () =>
    valueAndGradients({
      batch: 33,
      queries: 20,
      keys: 20,
      heads: 3,
      dim: 48,
      rows: 39,
      offset: 19,
    }),
  );
  await dispose();
});
