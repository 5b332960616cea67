/** vqAssign, vqQuantize, vqQuantizeSum and codebookAverage on webgpu. */

import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codebookAverage, dispose, init, SMOOTHINGS, vqAssign, vqQuantize, vqQuantizeSum } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectSameBits, expectWithin, noise, noiseInput } from '../ops/against-reference.ts';
import { valuesAndGradients } from '../ops/scan-cases.ts';
import { toRows } from '../reference/rows.ts';
import { averagedCodebook, nearestCode, segmentSums, squaredDistance } from '../reference/vector-quantization.ts';

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('vector quantisation on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
    // Small tensors would be computed by tfjs's CPU backend.
    tf.env().set('WEBGPU_CPU_FORWARD', false);
  });
  afterAll(dispose);

  it('finds the nearest codes, of several the first', () => {
    tf.tidy(() => {
      const [z, w] = [noise(37 * 19, 1), noise(70 * 19, 2)];
      const [vectors, codes] = [toRows(z, 19), toRows(w, 19)];
      const indices = vqAssign(tf.tensor2d(vectors), tf.tensor2d(codes));
      expect([...indices.dataSync()]).toEqual(vectors.map((vector) => nearestCode(vector, codes)));
      const some = vqAssign(
        tf.tensor3d([
          [
            [9, 9],
            [Number.NaN, 0],
          ],
        ]),
        tf.tensor2d([
          [0, 0],
          [1, 1],
          [1, 1],
        ]),
      );
      expect(some.arraySync()).toEqual([[1, 0]]);
      expect(vqAssign(tf.zeros([0, 2]), tf.ones([3, 2])).shape).toEqual([0]);
    });
  });

  /** Elements of two blocks, the second not full. */
  const [rows, size, codes] = [250, 19, 7];
  const [vectors, codebook] = [noise(rows * size, 1), noise(codes * size, 2)];
  const quantize = () =>
    valuesAndGradients({ vectors: noiseInput([rows, size], 1) }, (tensors) => {
      const { output, indices, error, sums, counts } = vqQuantizeSum(
        tensors['vectors'] as tf.Tensor2D,
        tf.tensor2d(codebook, [codes, size]),
      );
      return [output, error, sums, counts, tf.cast(indices, 'float32')];
    });

  it('replaces vectors by their codes, says how far they are, and adds them up, the same bits each time', () => {
    const first = quantize();
    expectSameBits(quantize(), first);
    const [output, error, sums, counts, indices] = first;
    const [from, to] = [toRows(vectors, size), toRows(codebook, size)];
    const ids = from.map((vector) => nearestCode(vector, to));
    expect([...indices!]).toEqual(ids);
    expect([...output!]).toEqual(ids.flatMap((id) => to[id]!));
    const far = from.reduce((sum, vector, n) => sum + squaredDistance(vector, to[ids[n]!]!), 0);
    expectWithin(error!, [far / vectors.length], 1e-6, 'error');
    expectWithin(sums!, segmentSums(vectors, ids, codes, size), 1e-6, 'sums');
    expect([...counts!]).toEqual(Array.from({ length: codes }, (_, code) => ids.filter((id) => id === code).length));
  });

  it('takes vectors along several axes, those of pictures', () => {
    tf.tidy(() => {
      const w = tf.tensor2d(codebook, [codes, size]);
      const [flat, pictures] = [
        [rows, size],
        [2, 5, rows / 10, size],
      ].map((shape) => vqQuantizeSum(tf.tensor(vectors, shape), w));
      expect(pictures!.indices.shape).toEqual([2, 5, rows / 10]);
      for (const part of ['output', 'indices', 'error', 'sums', 'counts'] as const) {
        expectSameBits([pictures![part].dataSync()], [flat![part].dataSync()]);
      }
    });
  });

  it('lets gradients straight through, and gives those of the error', () => {
    tf.tidy(() => {
      const [z, w] = [tf.tensor2d(vectors, [rows, size]), tf.tensor2d(codebook, [codes, size])];
      const factors = noise(rows * size, 3);
      const gradient = tf.grad((x: tf.Tensor) => {
        const { output, error } = vqQuantize(x as tf.Tensor2D, w);
        return tf.add(tf.mul(700, error), tf.sum(tf.mul(output, tf.tensor2d(factors, [rows, size]))));
      })(z);
      const output = vqQuantize(z, w).output.dataSync();
      const expected = Array.from(factors, (x, i) => x + (1400 / z.size) * (vectors[i]! - output[i]!));
      expectWithin(gradient.dataSync(), expected, 2e-6, 'gradient');
    });
  });

  it.each(SMOOTHINGS.flatMap((smoothing) => [false, true].map((keepUnused) => ({ smoothing, keepUnused }))))(
    'moves a codebook by its average: $smoothing, unused codes kept $keepUnused',
    ({ smoothing, keepUnused }) => {
      // More codes than the workgroup of the counts has invocations.
      const [count, width] = [300, 5];
      const state = {
        counts: Array.from(noise(count, 1), (x) => x + 1.5),
        sums: toRows(noise(count * width, 2), width),
        codebook: toRows(noise(count * width, 3), width),
      };
      const batchCounts = Array.from(noise(count, 4), (x) => Math.max(0, Math.round(3 * x)));
      const batchSums = toRows(noise(count * width, 5), width);
      const options = { decay: 0.9, epsilon: 0.01, smoothing, keepUnused };
      const expected = averagedCodebook(state, batchCounts, batchSums, options);
      tf.tidy(() => {
        const result = codebookAverage(
          { counts: tf.tensor1d(state.counts), sums: tf.tensor2d(state.sums), codebook: tf.tensor2d(state.codebook) },
          tf.tensor1d(batchCounts),
          tf.tensor2d(batchSums),
          options,
        );
        expectWithin(result.counts.dataSync(), expected.counts, 2e-6, 'counts');
        expectWithin(result.sums.dataSync(), expected.sums.flat(), 2e-6, 'sums');
        expectWithin(result.codebook.dataSync(), expected.codebook.flat(), 5e-6, 'codebook');
      });
    },
  );

  it('takes a codebook without codes, and leaves nothing allocated', () => {
    const step = () => {
      quantize();
      tf.tidy(() => {
        const none = [tf.zeros([0]) as tf.Tensor1D, tf.zeros([0, 3]) as tf.Tensor2D] as const;
        expect(codebookAverage({ counts: none[0], sums: none[1], codebook: none[1] }, ...none).sums.shape).toEqual([
          0, 3,
        ]);
      });
    };
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
