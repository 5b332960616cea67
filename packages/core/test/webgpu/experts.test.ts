import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, expertFeedForward, expertMatMul, init } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectSameBits, noise } from '../ops/against-reference.ts';
import {
  chosen,
  expectLayerMatches,
  expectMatMulMatches,
  type LayerCase,
  layer,
  layerInputs,
  type MatMulCase,
} from '../ops/expert-cases.ts';
import { valuesAndGradients } from '../ops/scan-cases.ts';

const [gpu] = await webGpuDevices();

describe.skipIf(gpu === undefined)('experts on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  it.each<MatMulCase>([
    // Several blocks of the sort, several tiles of an expert's rows; rows of input and output that have several assignments each.
    { groups: 50, group: 3, share: 2, experts: 3, size: 5, outputSize: 7, gated: true, seed: 1 },
    // Several steps of the inner extent, several tiles of columns; more experts than assignments.
    { groups: 3, group: 1, share: 1, experts: 9, size: 35, outputSize: 37, gated: false, seed: 2 },
  ])('expertMatMul follows its equation, with exact gradients: %o', expectMatMulMatches);

  it.each<LayerCase>([
    { rows: 20, active: 3, experts: 4, size: 6, expertSize: 35, seed: 3 },
    { rows: 1, active: 1, experts: 1, size: 33, expertSize: 1, seed: 4 },
  ])('expertFeedForward follows its equation, with exact gradients: %o', expectLayerMatches);

  it('gives an expert that nobody chose a gradient of exactly 0, and the same bits each time', () => {
    const indices = tf.tensor2d(chosen(4 * 60, 3, 2), [60, 4], 'int32');
    const inputs = layerInputs(60, 4, 4, 6, 5);
    const [first, second] = [0, 1].map(() => valuesAndGradients(inputs, layer(indices)));
    expectSameBits(second!, first!);
    for (const gradient of [first![2]!, first![3]!]) {
      const byExpert = [0, 1, 2, 3].map((e) =>
        gradient.subarray((e * gradient.length) / 4, ((e + 1) * gradient.length) / 4),
      );
      expect(byExpert.map((part) => part.some((x) => x !== 0))).toEqual([true, true, true, false]);
    }
    indices.dispose();
  });

  it('gives NaN for what goes to no expert, and nothing else', () => {
    tf.tidy(() => {
      const [x, weights] = [tf.ones([4, 3]) as tf.Tensor2D, tf.ones([2, 3, 2]) as tf.Tensor3D];
      const y = expertMatMul(x, weights, tf.tensor1d([0, 2, 1, -1], 'int32'));
      expect([...y.dataSync()]).toEqual([3, 3, Number.NaN, Number.NaN, 3, 3, Number.NaN, Number.NaN]);
    });
  });

  it('takes no rows', () => {
    tf.tidy(() => {
      const [keys, values] = [tf.ones([2, 3, 5]), tf.ones([2, 5, 3])] as [tf.Tensor3D, tf.Tensor3D];
      const apply = (w: tf.Tensor) =>
        expertFeedForward(tf.zeros([0, 3]), w as tf.Tensor3D, values, tf.zeros([0, 2], 'int32'), tf.zeros([0, 2]));
      expect(apply(keys).shape).toEqual([0, 3]);
      expect([
        ...tf
          .grad(apply)(keys, tf.zeros([0, 3]))
          .dataSync(),
      ]).toEqual(Array(30).fill(0));
    });
  });

  it('leaves nothing allocated', () => {
    const step = () =>
      tf.tidy(() => {
        const indices = tf.tensor2d(chosen(60, 3, 2), [30, 2], 'int32');
        valuesAndGradients(layerInputs(30, 2, 4, 6, 5), layer(indices));
        tf.grad((x: tf.Tensor) =>
          tf.sum(expertMatMul(x as tf.Tensor2D, tf.ones([4, 6, 5]), indices, { gates: tf.ones([30, 2]) })),
        )(tf.tensor2d(noise(180, 1), [30, 6])).dataSync();
      });
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
