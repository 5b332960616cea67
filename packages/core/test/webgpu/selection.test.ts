/** The largest of rows, running sums and products, and rows sorted and summed by segment, on webgpu. */

import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, embedding, init, segmentSum } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectSameBits, expectWithin, noise, noiseInput } from '../ops/against-reference.ts';
import { expectRelativeErrors, valuesAndGradients } from '../ops/scan-cases.ts';
import { segmentSums } from '../reference/vector-quantization.ts';

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('selection on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
    // Small tensors would be computed by tfjs's CPU backend.
    tf.env().set('WEBGPU_CPU_FORWARD', false);
  });
  afterAll(dispose);

  it('finds the largest of each row: the first of equal ones, NaN above all', () => {
    const rows = [
      [1, -0, 3, 3, 0, -2, 3],
      [Number.NaN, 5, Number.POSITIVE_INFINITY, Number.NaN, -1, 7, 0],
      [-5, -5, -5, -6, Number.NEGATIVE_INFINITY, -5, -7],
    ];
    const { values, indices } = tf.topk(tf.tensor2d(rows), 4);
    expect(indices.arraySync()).toEqual([
      [2, 3, 6, 0],
      [0, 3, 2, 5],
      [0, 1, 2, 5],
    ]);
    expect(values.arraySync()).toEqual([
      [3, 3, 3, 1],
      [Number.NaN, Number.NaN, Number.POSITIVE_INFINITY, 7],
      [-5, -5, -5, -5],
    ]);
    const integers = tf.topk(tf.tensor1d([3, -2147483648, 2147483647, 3], 'int32'), 4);
    expect([...integers.indices.dataSync()]).toEqual([2, 0, 3, 1]);
    tf.dispose([values, indices, integers.values, integers.indices]);
  });

  it('gives the largest of long rows their gradients, and so does tfjs where there are too many of them', async () => {
    const inputs = { x: noiseInput([3, 150], 1) };
    const run = (k: number) => valuesAndGradients(inputs, ({ x }) => [tf.topk(x!, k).values]);
    const [few, many] = [run(3), run(70)];
    await init({ device: 'wasm', threads: 1 });
    const expected = [run(3), run(70)];
    await init(gpu?.options);
    expectSameBits(few, expected[0]!);
    expectSameBits(many, expected[1]!);
  });

  // One, two and three passes of the sort.
  it.each([70, 700, 70_000])('sums rows by %i segments in their order, those of no segment left out', (segments) => {
    const [rows, size] = [600, 3];
    const ids = Int32Array.from(noise(rows, 3), (x) => Math.floor(((x + 1) / 2) * 1.07 * segments));
    const clamped = ids.map((id) => Math.min(id, segments - 1));
    const run = () =>
      valuesAndGradients({ values: noiseInput([rows, size], 1) }, ({ values }) => {
        const kept = tf.tensor1d(clamped, 'int32');
        const { sums, counts } = segmentSum(values as tf.Tensor2D, kept, segments);
        return [sums, counts, tf.unsortedSegmentSum(values!, tf.tensor1d(ids, 'int32'), segments)];
      });
    const [first, second] = [run(), run()];
    expectSameBits(second, first);
    const [sums, counts, without] = first;
    const values = noise(rows * size, 1);
    expectWithin(sums!, segmentSums(values, clamped, segments, size), 1e-6, 'sums');
    expectWithin(
      counts!,
      segmentSums(
        clamped.map(() => 1),
        clamped,
        segments,
        1,
      ),
      0,
      'counts',
    );
    const all = segmentSums(values, ids, Math.ceil(1.07 * segments), size);
    expectWithin(without!, all.subarray(0, segments * size), 1e-6, 'sums without');
    tf.tidy(() => {
      const none = segmentSum(tf.zeros([0, 2]), tf.zeros([0], 'int32'), 2);
      expect([...none.sums.dataSync(), ...none.counts.dataSync()]).toEqual([0, 0, 0, 0, 0, 0]);
    });
  });

  it('gives the table of an embedding the same gradient as on the CPU, and zeros for what is outside', async () => {
    const ids = [3, 0, 3, 3, 5, 0, 1, 3];
    const run = () =>
      valuesAndGradients({ table: noiseInput([7, 65], 1) }, ({ table }) => [
        embedding(table as tf.Tensor2D, tf.tensor2d(ids, [2, 4], 'int32')),
      ]);
    const actual = run();
    tf.tidy(() => {
      const outside = embedding(tf.ones([3, 2]), tf.tensor1d([1, 3, -1], 'int32'));
      expect([...outside.dataSync()]).toEqual([1, 1, 0, 0, 0, 0]);
    });
    await init({ device: 'wasm', threads: 1 });
    expectRelativeErrors(actual, run(), 1e-7);
    await init(gpu?.options);
  });

  it('adds and multiplies along an axis from either end, whatever length was there before', () => {
    tf.tidy(() => {
      for (const length of [3, 5, 2, 0]) {
        for (const reverse of [false, true]) {
          for (const exclusive of [false, true]) {
            const values = noise(2 * length * 3, 7);
            const x = tf.tensor3d(values, [2, length, 3]);
            const order = Array.from({ length }, (_, t) => (reverse ? length - 1 - t : t));
            const expected = [new Float32Array(values.length), new Float32Array(values.length)] as const;
            for (let place = 0; place < 6; place++) {
              let [sum, product] = [0, 1];
              for (const t of order) {
                const at = (Math.floor(place / 3) * length + t) * 3 + (place % 3);
                if (exclusive) [expected[0][at], expected[1][at]] = [sum, product];
                [sum, product] = [sum + values[at]!, product * values[at]!];
                if (!exclusive) [expected[0][at], expected[1][at]] = [sum, product];
              }
            }
            const name = `length ${length}, reverse ${reverse}, exclusive ${exclusive}`;
            expectWithin(tf.cumsum(x, 1, exclusive, reverse).dataSync(), expected[0], 1e-6, name);
            expectWithin(tf.cumprod(x, 1, exclusive, reverse).dataSync(), expected[1], 1e-6, name);
          }
        }
      }
      expect([...tf.cumsum(tf.tensor1d([1, 2, 3], 'int32'), 0, true, true).dataSync()]).toEqual([5, 3, 0]);
    });
  });
});
