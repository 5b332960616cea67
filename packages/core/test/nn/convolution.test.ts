/** Conv2d and ConvTranspose2d: values against float64 loops, that one is the transpose of the other, gradients, errors. */

import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Conv2d, ConvTranspose2d, dispose, heNormal, init, RandomStream } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectMatchesReference, noiseInput } from '../ops/against-reference.ts';

interface Sizes {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly from: number;
  readonly to: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: number;
}

const sizes: fc.Arbitrary<Sizes> = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    height: fc.integer({ min: 4, max: 7 }),
    width: fc.integer({ min: 4, max: 7 }),
    from: fc.integer({ min: 1, max: 4 }),
    to: fc.integer({ min: 1, max: 4 }),
    kernelSize: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 2 }),
    padding: fc.constant(0),
  })
  .chain((given) =>
    fc.integer({ min: 0, max: Math.floor((given.kernelSize - 1) / 2) }).map((padding) => ({ ...given, padding })),
  );

type Visit = (output: number, input: number, tap: number) => void;

/** Visits all pairs of an output pixel and an input pixel of a convolution, with the tap between them. */
function pairs(
  { height, width, kernelSize: k, stride: s, padding: p }: Sizes,
  outputs: readonly [number, number],
  visit: Visit,
) {
  for (let i = 0; i < outputs[0]; i++) {
    for (let j = 0; j < outputs[1]; j++) {
      for (let a = 0; a < k; a++) {
        for (let b = 0; b < k; b++) {
          const [y, x] = [i * s + a - p, j * s + b - p];
          if (y >= 0 && y < height && x >= 0 && x < width) visit(i * outputs[1] + j, y * width + x, a * k + b);
        }
      }
    }
  }
}

describe.each([...(await availableDevices()), ...composedDevices])('convolution layers on $name', ({ options }) => {
  beforeAll(() => init(options));
  afterAll(dispose);

  it('Conv2d agrees with the sum over taps, gradients included', () => {
    fc.assert(
      fc.property(sizes, (given) => {
        const { batch, height, width, from, to, kernelSize, stride, padding } = given;
        const random = new RandomStream(1);
        const layer = new Conv2d({ inputChannels: from, outputChannels: to, kernelSize, stride, padding, random });
        const [weight, bias] = [layer.weight.dataSync(), (layer.bias as tf.Tensor).dataSync()];
        const out = (size: number) => Math.floor((size + 2 * padding - kernelSize) / stride) + 1;
        const outputs = [out(height), out(width)] as const;
        expectMatchesReference({
          inputs: { x: noiseInput([batch, height, width, from], 1) },
          operation: ({ x }) => [layer.forward(x!)],
          reference: ({ x }) => {
            const pixels = outputs[0] * outputs[1];
            const y = Float64Array.from({ length: batch * pixels * to }, (_, i) => bias[i % to] as number);
            for (let n = 0; n < batch; n++) {
              pairs(given, outputs, (output, input, tap) => {
                for (let o = 0; o < to; o++) {
                  for (let c = 0; c < from; c++) {
                    const taken = (x as Float64Array)[(n * height * width + input) * from + c] as number;
                    y[(n * pixels + output) * to + o]! += taken * (weight[(tap * from + c) * to + o] as number);
                  }
                }
              });
            }
            return [y];
          },
        });
        layer.dispose();
      }),
      { numRuns: 20 },
    );
  });

  it('ConvTranspose2d is the transpose of Conv2d with the same weight', () => {
    fc.assert(
      fc.property(sizes, ({ batch, height, width, from, to, kernelSize, stride, padding }) => {
        tf.tidy(() => {
          const random = new RandomStream(2);
          const shared = { kernelSize, stride, padding, bias: false, random };
          const down = new Conv2d({ ...shared, inputChannels: from, outputChannels: to });
          const up = new ConvTranspose2d({ ...shared, inputChannels: to, outputChannels: from });
          up.weight.assign(down.weight);
          const y = tf.tensor(noiseInput([batch, height, width, to], 3).values, [batch, height, width, to]);
          const x = up.forward(y);
          const z = tf.tensor(noiseInput(x.shape, 4).values, x.shape);
          // ⟨up(y), z⟩ = ⟨y, down(z)⟩
          const [left, right] = [tf.sum(tf.mul(x, z)), tf.sum(tf.mul(y, down.forward(z)))].map(
            (s) => s.dataSync()[0] as number,
          );
          expect(Math.abs((left as number) - (right as number))).toBeLessThan(1e-4 * (1 + Math.abs(left as number)));
          down.dispose();
          up.dispose();
        });
      }),
      { numRuns: 20 },
    );
  });

  it('adds biases, rectifies, and has gradients for all parameters', () => {
    const random = new RandomStream(3);
    const layers = [
      new Conv2d({
        inputChannels: 3,
        outputChannels: 4,
        kernelSize: 4,
        stride: 2,
        padding: 1,
        activation: 'relu',
        random,
      }),
      new ConvTranspose2d({
        inputChannels: 4,
        outputChannels: 3,
        kernelSize: 4,
        stride: 2,
        padding: 1,
        activation: 'relu',
        random,
      }),
    ] as const;
    tf.tidy(() => {
      layers[1].bias?.assign(tf.tensor1d([0.5, -9, 1]));
      const x = tf.tensor4d(noiseInput([1, 8, 8, 3], 5).values, [1, 8, 8, 3]);
      const hidden = layers[0].forward(x);
      expect([hidden.shape, tf.min(hidden).dataSync()[0]]).toEqual([[1, 4, 4, 4], 0]);
      const y = layers[1].forward(hidden);
      expect(y.shape).toEqual([1, 8, 8, 3]);
      expect(tf.max(tf.slice(y, [0, 0, 0, 1], [1, 8, 8, 1])).dataSync()[0]).toBe(0);
      const { grads } = tf.variableGrads(() => tf.sum(layers[1].forward(layers[0].forward(x))));
      expect(Object.keys(grads)).toHaveLength(4);
    });
    for (const layer of layers) layer.dispose();
  });

  it('says what is wrong with its arguments', () => {
    const random = new RandomStream(1);
    const layer = new Conv2d({ inputChannels: 3, outputChannels: 4, kernelSize: 3, random });
    tf.tidy(() => {
      expect(() => layer.forward(tf.zeros([1, 8, 8, 4]))).toThrow(
        /Conv2d: x must have shape \[batch, height, width, 3\]/,
      );
    });
    expect(() => new ConvTranspose2d({ inputChannels: 3, outputChannels: 0, kernelSize: 3, random })).toThrow(
      /ConvTranspose2d: outputChannels must be a whole number/,
    );
    tf.tidy(() => {
      expect(() => layer.forward(tf.zeros([1, 8, 2, 3]))).toThrow('Conv2d: x is 8 × 2 with a padding of 0, less than');
    });
    layer.dispose();
    const narrow = { inputChannels: 3, outputChannels: 3, kernelSize: 2, padding: 2, random };
    const transpose = new ConvTranspose2d(narrow);
    tf.tidy(() => {
      expect(() => transpose.forward(tf.zeros([1, 1, 3, 3]))).toThrow('a padding of 2 leaves -2 × 0');
    });
    transpose.dispose();
  });

  it('fans of a filter count its places, and a failing initializer leaves nothing behind', () => {
    const random = new RandomStream(1);
    const before = tf.memory().numTensors;
    const sizes = { inputChannels: 64, outputChannels: 64, kernelSize: 3, random };
    for (const layer of [
      new Conv2d({ ...sizes, weightInitializer: heNormal() }),
      new ConvTranspose2d({ ...sizes, weightInitializer: heNormal() }),
    ]) {
      const deviation = tf.tidy(() => tf.sqrt(tf.mean(tf.square(layer.weight))).dataSync()[0]);
      expect(deviation).toBeCloseTo(Math.sqrt(2 / (9 * 64)), 2);
      layer.dispose();
    }
    expect(() => new Conv2d({ ...sizes, biasInitializer: heNormal() })).toThrow('This initializer needs a matrix');
    expect(tf.memory().numTensors).toBe(before);
  });
});
