import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init } from '../../src/index.ts';
import { webGpuDevices } from '../devices.ts';
import { expectSameBits, expectWithin, noise } from '../ops/against-reference.ts';

const [gpu] = await webGpuDevices();
/** As a gradient of weights: few rows and columns, summed over many tokens. */
const [ROWS, COLUMNS, INNER] = [37, 5, 2100];

/** The product in float64. */
function product(a: Float32Array, b: Float32Array): Float64Array {
  const y = new Float64Array(ROWS * COLUMNS);
  for (let k = 0; k < INNER; k++) {
    for (let i = 0; i < ROWS; i++) {
      for (let j = 0; j < COLUMNS; j++) y[i * COLUMNS + j]! += a[k * ROWS + i]! * b[k * COLUMNS + j]!;
    }
  }
  return y;
}

describe.skipIf(gpu === undefined)('long matrix products on webgpu', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    await init(gpu?.options);
  });
  afterAll(dispose);

  const [a, b] = [noise(INNER * ROWS, 1), noise(INNER * COLUMNS, 2)];
  const left = () => tf.tensor2d(a, [INNER, ROWS]);
  const right = () => tf.tensor2d(b, [INNER, COLUMNS]);

  it.each([
    [true, false],
    [false, true],
  ])('are exact, and have the same bits each time: transposed %s, %s', (transposeA, transposeB) => {
    tf.tidy(() => {
      const x = transposeA ? left() : (tf.transpose(left()) as tf.Tensor2D);
      const w = transposeB ? (tf.transpose(right()) as tf.Tensor2D) : right();
      const run = () => tf.matMul(x, w, transposeA, transposeB).dataSync() as Float32Array;
      const y = run();
      expectWithin(y, product(a, b), 1e-6, 'y');
      expectSameBits([run()], [y]);
    });
  });

  it('keep leading dimensions of 1, and take a bias', () => {
    tf.tidy(() => {
      const y = tf.matMul(tf.expandDims(left(), 0), right(), true);
      expect(y.shape).toEqual([1, ROWS, COLUMNS]);
      const bias = tf.ones([COLUMNS]);
      const fused = tf.fused.matMul({ a: left(), b: right(), transposeA: true, bias, activation: 'relu' });
      const expected = product(a, b).map((value) => Math.max(0, value + 1));
      expectWithin(fused.dataSync(), expected, 1e-6, 'with a bias');
    });
  });

  it('leave nothing allocated', () => {
    const step = () => tf.tidy(() => tf.matMul(left(), right(), true).dataSync());
    step();
    const before = { ...tf.memory(), dataIds: tf.backend().numDataIds() };
    step();
    expect({ ...tf.memory(), dataIds: tf.backend().numDataIds() }).toEqual(before);
  });
});
