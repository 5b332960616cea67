/** Residual and product quantisation, VQ-VAE and VQ-VAE-2: shapes, agreement of their parts, learning. */

import * as core from '@fwp/core';
import { Adam, dispose, init, RandomStream } from '@fwp/core';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KohonenQuantizer, ProductQuantizer, type Quantizer, ResidualQuantizer, VqVae, VqVae2 } from '../src/index.ts';

const random = () => new RandomStream(5);
const normal = (shape: number[], seed = 1) =>
  tf.tensor(new RandomStream(seed).normal(tf.util.sizeFromShape(shape)), shape);

const quantizers: [string, () => Quantizer, number[]][] = [
  ['one', () => new KohonenQuantizer({ codes: 16, size: 8, random: random() }), []],
  ['residual', () => new ResidualQuantizer({ quantizers: 3, codes: 16, size: 8, random: random() }), [3]],
  ['product', () => new ProductQuantizer({ heads: 4, codes: 16, size: 8, random: random() }), [4]],
  ['shared', () => new ProductQuantizer({ heads: 4, shared: true, codes: 16, size: 8, random: random() }), [4]],
];

describe.each(await availableDevices(core))('models on $name', ({ options }) => {
  beforeAll(() => init(options));
  afterAll(dispose);

  describe.each(quantizers)('quantiser: %s', (_name, make, parts) => {
    it('encodes, decodes and quantises alike, and passes gradients', () => {
      const quantizer = make().eval();
      tf.tidy(() => {
        const x = normal([2, 3, 8]);
        const { output, indices, loss, perplexity } = quantizer.forward(x);
        expect(indices.shape).toEqual([2, 3, ...parts]);
        expect(quantizer.encode(x).arraySync()).toEqual(indices.arraySync());
        const decoded = quantizer.decode(indices);
        expect(tf.max(tf.abs(tf.sub(decoded, output))).dataSync()[0]).toBeLessThan(1e-6);
        expect(loss.dataSync()[0]).toBeGreaterThan(0);
        expect(perplexity.dataSync()[0]).toBeGreaterThanOrEqual(1);
        const weights = normal([2, 3, 8], 2);
        const straight = tf.grad((z: tf.Tensor) => tf.sum(tf.mul(quantizer.forward(z).output, weights)))(x);
        expect(straight.arraySync()).toEqual(weights.arraySync());
      });
      quantizer.dispose();
    });

    it('comes nearer to its vectors by training, and leaves nothing allocated', () => {
      const quantizer = make();
      tf.tidy(() => {
        const x = normal([300, 8]);
        const error = () => tf.mean(tf.squaredDifference(quantizer.forward(x).output, x)).dataSync()[0] as number;
        const first = error();
        const before = tf.memory().numTensors;
        for (let i = 0; i < 100; i++) tf.tidy(() => void error());
        expect(tf.memory().numTensors).toBe(before);
        expect(error()).toBeLessThan(0.9 * first);
      });
      quantizer.dispose();
    });
  });

  it('decodes the first quantisers of a residual alone', () => {
    const quantizer = new ResidualQuantizer({ quantizers: 3, codes: 16, size: 8, random: random() }).eval();
    tf.tidy(() => {
      const first = tf.slice(quantizer.encode(normal([5, 8])), [0, 0], [5, 1]);
      const alone = (quantizer.quantizers[0] as KohonenQuantizer).decode(tf.squeeze(first, [1]));
      expect(quantizer.decode(first).arraySync()).toEqual(alone.arraySync());
      expect(() => quantizer.decode(tf.zeros([5, 4], 'int32'))).toThrow(/indices must have shape \[..., 3\]/);
    });
  });

  it('a VQ-VAE learns to reconstruct, and moves its codes', () => {
    const quantizer = new KohonenQuantizer({ codes: 16, size: 8, random: random() });
    const model = new VqVae({ quantizer, hiddenSize: 12, residualSize: 6, random: random() });
    const optimizer = new Adam(model, { learningRate: 3e-3 });
    const images = tf.tidy(() => {
      const blobs = tf.image.resizeBilinear(normal([6, 2, 2, 3]) as tf.Tensor4D, [16, 16]);
      return tf.tanh(tf.mul(4, blobs)) as tf.Tensor4D;
    });
    const losses = Array.from({ length: 40 }, () => {
      const loss = optimizer.minimize(() => model.forward(images).loss);
      const [value] = loss.dataSync();
      loss.dispose();
      return value as number;
    });
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] as number));
    expect(quantizer.step).toBe(40);
    model.eval();
    tf.tidy(() => {
      const { reconstruction, indices } = model.forward(images);
      expect(indices.shape).toEqual([6, 4, 4]);
      expect(model.encode(images).arraySync()).toEqual(indices.arraySync());
      expect(tf.max(tf.abs(tf.sub(model.decode(indices), reconstruction))).dataSync()[0]).toBeLessThan(1e-5);
    });
    optimizer.dispose();
    model.dispose();
    images.dispose();
  });

  it('a VQ-VAE-2 has two levels, whose indices decode to its reconstruction', () => {
    const quantizer = () => new KohonenQuantizer({ codes: 16, size: 8, random: random() });
    const sizes = { hiddenSize: 12, residualSize: 6 };
    const model = new VqVae2({ top: quantizer(), bottom: quantizer(), ...sizes, random: random() });
    const images = normal([2, 16, 24, 3]) as tf.Tensor4D;
    const { value, grads } = tf.variableGrads(() => model.forward(images).loss, model.parameters());
    expect(Object.keys(grads).length).toBe(model.parameters().length);
    tf.dispose([value, grads]);
    model.eval();
    tf.tidy(() => {
      const { reconstruction, indices, perplexity } = model.forward(images);
      expect([indices.top.shape, indices.bottom.shape]).toEqual([
        [2, 2, 3],
        [2, 4, 6],
      ]);
      expect(reconstruction.shape).toEqual(images.shape);
      expect(perplexity.top.shape).toEqual([]);
      const encoded = model.encode(images);
      expect(encoded.bottom.arraySync()).toEqual(indices.bottom.arraySync());
      expect(tf.max(tf.abs(tf.sub(model.decode(encoded), reconstruction))).dataSync()[0]).toBeLessThan(1e-5);
    });
    model.dispose();
    images.dispose();
  });

  it('models say what is wrong with their arguments', () => {
    const quantizer = (size: number) => new KohonenQuantizer({ codes: 4, size, random: random() });
    const model = new VqVae({ quantizer: quantizer(4), hiddenSize: 4, residualSize: 2, random: random() });
    tf.tidy(() => {
      expect(() => model.forward(tf.zeros([1, 6, 8, 3]))).toThrow(/must be multiples of 4, but are 6 × 8/);
      expect(() => model.forward(tf.zeros([1, 8, 8, 1]))).toThrow(/images must have shape/);
    });
    expect(() => new VqVae2({ top: quantizer(4), bottom: quantizer(8), random: random() })).toThrow(
      /top must have vectors of size 8/,
    );
    expect(() => new ProductQuantizer({ heads: 3, size: 8, random: random() })).toThrow(/heads = 3, but is 8/);
  });
});
