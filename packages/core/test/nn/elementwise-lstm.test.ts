import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dispose,
  ElementwiseLstm,
  type ElementwiseLstmState,
  init,
  RandomStream,
  randomNormal,
  valueAndGradients,
} from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { elementwiseLstmReference } from '../reference/elementwise-lstm.ts';
import { expectWithin } from './comparison.ts';

const sizesArbitrary = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  length: fc.integer({ min: 1, max: 6 }),
  inputSize: fc.integer({ min: 1, max: 5 }),
  hiddenSize: fc.integer({ min: 1, max: 9 }),
});

describe.each(await availableDevices())('ElementwiseLstm on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('is the cell of the reference behind an output gate that sees input and cell', () => {
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), ({ batch, length, inputSize, hiddenSize }, seed) => {
        const random = new RandomStream(seed);
        const module = new ElementwiseLstm({ inputSize, hiddenSize, random });
        tf.tidy(() => {
          const x = randomNormal(random, [batch, length, inputSize]) as tf.Tensor3D;
          const [cells] = elementwiseLstmReference(
            {
              x: x.dataSync(),
              inputWeight: module.inputWeight.dataSync(),
              recurrentWeight: module.recurrentWeight.dataSync(),
              bias: module.bias.dataSync(),
              initialState: new Float64Array(batch * hiddenSize),
            },
            { batch, time: length, inputs: inputSize, hidden: hiddenSize },
          );
          const [values, weight, bias] = [x, module.outputGate.weight, module.outputGate.bias!].map((tensor) =>
            tensor.dataSync(),
          ) as [Float32Array, Float32Array, Float32Array];
          const expected = cells.map((c, i) => {
            const [row, n] = [Math.floor(i / hiddenSize), i % hiddenSize];
            let sum = bias[n]!;
            for (let d = 0; d < inputSize; d++) sum += values[row * inputSize + d]! * weight[d * hiddenSize + n]!;
            for (let m = 0; m < hiddenSize; m++) {
              sum += cells[row * hiddenSize + m]! * weight[(inputSize + m) * hiddenSize + n]!;
            }
            return c / (1 + Math.exp(-sum));
          });
          expectWithin(module.apply(x).dataSync(), expected, 1e-5);
        });
        module.dispose();
      }),
      { numRuns: 25 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('step by step, in pieces and at once give the same', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), fc.nat(6), ({ batch, length, inputSize, hiddenSize }, seed, cutAt) => {
        const random = new RandomStream(seed);
        const module = new ElementwiseLstm({ inputSize, hiddenSize, forgetBias: 2, random });
        tf.tidy(() => {
          const x = randomNormal(random, [batch, length, inputSize]) as tf.Tensor3D;
          const cut = Math.min(cutAt, length);
          const whole = module.forward(x);
          expectWithin(module.apply(x).dataSync(), whole.output.dataSync(), 1e-6);
          const first = module.forward(tf.slice(x, [0, 0, 0], [batch, cut, inputSize]));
          const second = module.forward(tf.slice(x, [0, cut, 0], [batch, length - cut, inputSize]), first.state);
          expectWithin(tf.concat([first.output, second.output], 1).dataSync(), whole.output.dataSync(), 1e-6);
          let state: ElementwiseLstmState = module.initialState(batch);
          const outputs = tf.unstack(x, 1).map((element) => {
            const result = module.step(element as tf.Tensor2D, state);
            state = result.state;
            return result.output;
          });
          expectWithin(tf.stack(outputs, 1).dataSync(), whole.output.dataSync(), 1e-6);
          expectWithin(state.cell.dataSync(), whole.state.cell.dataSync(), 1e-6);
        });
        module.dispose();
      }),
      { numRuns: 15 },
    );
  });

  it('every parameter gets a gradient, and nothing stays allocated', () => {
    const random = new RandomStream(3);
    const before = tf.memory().numTensors;
    const module = new ElementwiseLstm({ inputSize: 3, hiddenSize: 4, random });
    expect([...module.namedParameters().keys()]).toEqual([
      'inputWeight',
      'recurrentWeight',
      'bias',
      'outputGate.weight',
      'outputGate.bias',
    ]);
    tf.tidy(() => {
      const x = randomNormal(random, [2, 5, 3]) as tf.Tensor3D;
      const { gradients } = valueAndGradients(() => tf.sum(tf.square(module.apply(x))), module.parameters());
      for (const variable of module.parameters()) {
        expect(tf.sum(tf.abs(gradients[variable.name]!)).dataSync()[0]).toBeGreaterThan(1e-4);
      }
    });
    module.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('adds forgetBias to the forget gate only, and draws the cell from N(0, 0.1²)', () => {
    const make = (forgetBias: number) =>
      new ElementwiseLstm({ inputSize: 50, hiddenSize: 40, forgetBias, random: new RandomStream(2) });
    const [plain, biased] = [make(0), make(4)];
    tf.tidy(() => {
      const difference = tf.sub(biased.bias, plain.bias).dataSync();
      expectWithin(
        difference,
        Float32Array.from({ length: 80 }, (_, i) => (i < 40 ? 0 : 4)),
        1e-6,
      );
      const { mean, variance } = tf.moments(plain.inputWeight);
      expect(Math.abs(mean.dataSync()[0]!)).toBeLessThan(0.01);
      expect(Math.abs(variance.dataSync()[0]! - 0.01)).toBeLessThan(0.001);
    });
    plain.dispose();
    biased.dispose();
  });

  it('padding at the end has no influence on what comes before it', () => {
    const random = new RandomStream(1);
    const module = new ElementwiseLstm({ inputSize: 3, hiddenSize: 4, random });
    tf.tidy(() => {
      const x = randomNormal(random, [1, 6, 3]) as tf.Tensor3D;
      const padded = module.apply(x, { paddingMask: tf.tensor2d([[1, 1, 1, 1, 0, 0]], [1, 6], 'bool') });
      const short = module.apply(tf.slice(x, [0, 0, 0], [1, 4, 3]));
      expectWithin(tf.slice(padded, [0, 0, 0], [1, 4, 4]).dataSync(), short.dataSync(), 1e-6);
    });
    module.dispose();
  });

  it('says what is wrong with an argument, and keeps nothing', () => {
    const random = new RandomStream(1);
    const before = tf.memory().numTensors;
    const sizes = { inputSize: 2, hiddenSize: 3 };
    expect(() => new ElementwiseLstm({ ...sizes, hiddenSize: 0, random })).toThrow(/hiddenSize must be a whole number/);
    expect(() => new ElementwiseLstm({ ...sizes, forgetBias: Number.NaN, random })).toThrow(/forgetBias/);
    const module = new ElementwiseLstm({ ...sizes, random });
    tf.tidy(() => {
      const x = tf.zeros([2, 4, 2]) as tf.Tensor3D;
      expect(() => module.apply(tf.zeros([2, 4, 3]))).toThrow('ElementwiseLstm: x must have shape [batch, length, 2]');
      expect(() => module.forward(x, module.initialState(1))).toThrow('ElementwiseLstm: state.cell must have shape');
      expect(() => module.forward(x, undefined, { paddingMask: tf.ones([2, 4], 'bool') })).toThrow('use apply()');
      expect(() => module.apply(x, { paddingMask: tf.ones([2, 3], 'bool') })).toThrow(/paddingMask .* 3 instead of 4/);
      expect(() => module.step(tf.zeros([2, 3]), module.initialState(2))).toThrow('ElementwiseLstm: x');
    });
    module.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
