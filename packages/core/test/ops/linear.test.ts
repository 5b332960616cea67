import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, LINEAR_ACTIVATIONS, type LinearActivation, linear } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { expectKernelsEqualComposition, expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import { linearReference } from '../reference/linear.ts';
import { expectMatchesReference, expectWithin, noise, noiseInput } from './against-reference.ts';

const devices = await availableDevices();
const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(31, 33, 48, 65));

/** y, and the gradients of x, weight and bias for a fixed upstream gradient, as arrays. */
function valueAndGradients(
  activation: LinearActivation,
  rows: number[],
  inputs: number,
  outputs: number,
): Float32Array[] {
  return tf.tidy(() => {
    const x = tf.tensor(noise(tf.util.sizeFromShape(rows) * inputs, 1), [...rows, inputs]);
    const weight = tf.tensor(noise(inputs * outputs, 2), [inputs, outputs]);
    const bias = tf.tensor(noise(outputs, 3), [outputs]);
    const dy = tf.tensor(noise(tf.util.sizeFromShape(rows) * outputs, 4), [...rows, outputs]);
    const apply = (...given: tf.Tensor[]) => linear(given[0]!, given[1]!, { bias: given[2], activation });
    return [apply(x, weight, bias), ...tf.grads(apply)([x, weight, bias], dy)].map((t) => t.dataSync() as Float32Array);
  });
}

describe.each(devices)('linear on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('is activation(x W + bias), with exact gradients', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
        size,
        size,
        fc.constantFrom(...LINEAR_ACTIVATIONS),
        fc.boolean(),
        (leading, inputs, outputs, activation, withBias) => {
          // Far from the kink of the ReLU for the finite differences: there y is linear in z.
          const shift = activation === 'relu' ? 2 * inputs + 1 : 0;
          const bias = noiseInput([outputs], 3);
          expectMatchesReference({
            inputs: {
              x: noiseInput([...leading, inputs], 1),
              weight: noiseInput([inputs, outputs], 2),
              ...(withBias
                ? { bias: { ...bias, values: bias.values.map((b, j) => b + (j % 2 ? shift : -shift)) } }
                : {}),
            },
            operation: ({ x, weight, bias }) => [
              linear(x!, weight!, { bias, activation: unkinked(activation, withBias) }),
            ],
            reference: ({ x, weight, bias }) => [
              linearReference(x!, weight!, bias, inputs, outputs, unkinked(activation, withBias)),
            ],
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  /** Without a bias that keeps z away from 0 there are no finite differences of the ReLU. */
  const unkinked = (activation: LinearActivation, withBias: boolean) =>
    activation === 'relu' && !withBias ? 'silu' : activation;

  it.each(LINEAR_ACTIVATIONS)('%s is right over many rows and thread chunks', (activation) => {
    const [inputs, outputs] = [37, 129];
    const x = noise(700 * inputs, 1);
    const weight = noise(inputs * outputs, 2);
    const expected = linearReference(x, weight, undefined, inputs, outputs, activation);
    tf.tidy(() => {
      const y = linear(tf.tensor2d(x, [700, inputs]), tf.tensor2d(weight, [inputs, outputs]), { activation });
      expectWithin(y.dataSync(), expected, 3e-6, activation);
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const x = tf.tensor2d(noise(12, 1), [3, 4]);
      const weight = tf.tensor2d(noise(20, 2), [4, 5]);
      const energy = (point: tf.Tensor) => {
        const slope = tf.grad((inner: tf.Tensor) => tf.sum(linear(inner, weight, { activation: 'tanh' })))(point);
        return tf.sum(tf.square(slope)) as tf.Scalar;
      };
      const direction = tf.tensor2d(noise(12, 5), [3, 4]);
      const expected = tf.sum(tf.mul(tf.grad(energy)(x), direction)).dataSync()[0]!;
      const step = 1e-2;
      const [above, below] = [1, -1].map((sign) => energy(tf.add(x, tf.mul(direction, sign * step))).dataSync()[0]!);
      expect((above! - below!) / (2 * step)).toBeCloseTo(expected, 2);
    });
  });

  it('gives zeros for no inputs and nothing for no rows', () => {
    tf.tidy(() => {
      expect([...linear(tf.zeros([2, 0]), tf.zeros([0, 3]), { bias: tf.tensor1d([1, 2, 3]) }).dataSync()]).toEqual([
        1, 2, 3, 1, 2, 3,
      ]);
      const [dx, dw, db] = tf.grads((x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        linear(x, w, { bias: b, activation: 'gelu' }),
      )([tf.zeros([0, 4]), tf.ones([4, 3]), tf.ones([3])]) as [tf.Tensor, tf.Tensor, tf.Tensor];
      expect(dx.shape).toEqual([0, 4]);
      expect([...dw.dataSync(), ...db.dataSync()]).toEqual(new Array(15).fill(0));
    });
  });

  it.each(LINEAR_ACTIVATIONS)('%s leaves no tensors or memory behind', (activation) => {
    expectNothingLeft(() => valueAndGradients(activation, [5], 6, 7));
  });
});

describe('linear', () => {
  afterAll(dispose);

  it.each(LINEAR_ACTIVATIONS)('%s composed of tfjs operations equals the kernel', async (activation) => {
    await expectKernelsEqualComposition(() => valueAndGradients(activation, [4, 9], 7, 11));
  });

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of devices) {
      await expectSameBitsForAllThreads(options, () => valueAndGradients('gelu', [900], 65, 70));
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const weight = tf.zeros([3, 4]);
      expect(() => linear(tf.zeros([2, 5]), weight)).toThrow(/linear: x .*\[2, 5\].*3/);
      expect(() => linear(tf.zeros([2, 3], 'int32'), weight)).toThrow(/linear: x must be float32, but is int32/);
      expect(() => linear(tf.zeros([2, 3]), weight, { bias: tf.zeros([3]) })).toThrow(/linear: bias/);
      expect(() => linear(tf.zeros([2, 3]), weight, { activation: 'mish' as never })).toThrow(/'none' or 'relu'/);
    });
  });
});
