import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, Lstm, type LstmModuleState, RandomStream, randomNormal } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { lstmReference } from '../reference/lstm.ts';
import { expectWithin } from './comparison.ts';

const sizesArbitrary = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  length: fc.integer({ min: 1, max: 6 }),
  inputSize: fc.integer({ min: 1, max: 5 }),
  hiddenSize: fc.integer({ min: 1, max: 9 }),
  layers: fc.integer({ min: 1, max: 3 }),
});

/** Elements of each sequence in the opposite order. */
function reversed(x: ArrayLike<number>, batch: number, length: number, size: number): Float64Array {
  return Float64Array.from(x, (_, i) => {
    const [b, t, d] = [Math.floor(i / (length * size)) % batch, Math.floor(i / size) % length, i % size];
    return x[(b * length + length - 1 - t) * size + d] as number;
  });
}

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('every layer and direction equals the float64 reference', () => {
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), fc.nat(), (sizes, bidirectional, seed) => {
        const { batch, length, inputSize, hiddenSize, layers } = sizes;
        const random = new RandomStream(seed);
        const module = new Lstm({ inputSize, hiddenSize, layers, bidirectional, random });
        tf.tidy(() => {
          const x = randomNormal(random, [batch, length, inputSize]) as tf.Tensor3D;
          let input: ArrayLike<number> = Float64Array.from(x.dataSync());
          let width = inputSize;
          const zeros = new Float64Array(batch * hiddenSize);
          module.layers.forEach((_, i) => {
            const run = (cell: Lstm['layers'][number], values: ArrayLike<number>): Float64Array =>
              lstmReference(
                {
                  x: values,
                  inputWeight: cell.inputWeight.dataSync(),
                  recurrentWeight: cell.recurrentWeight.dataSync(),
                  bias: cell.bias!.dataSync(),
                  initialHidden: zeros,
                  initialCell: zeros,
                },
                { batch, time: length, inputs: width, hidden: hiddenSize },
              )[0];
            const forward = run(module.layers[i]!, input);
            if (bidirectional) {
              const backward = run(module.reverseLayers[i]!, reversed(input, batch, length, width));
              const back = reversed(backward, batch, length, hiddenSize);
              input = Float64Array.from({ length: 2 * forward.length }, (_unused, k) => {
                const [row, d] = [Math.floor(k / (2 * hiddenSize)), k % (2 * hiddenSize)];
                return d < hiddenSize ? forward[row * hiddenSize + d]! : back[row * hiddenSize + d - hiddenSize]!;
              });
            } else {
              input = forward;
            }
            width = module.outputSize;
          });
          const output = module.apply(x);
          expect(output.shape).toEqual([batch, length, module.outputSize]);
          expectWithin(output.dataSync(), input, 1e-5);
        });
        module.dispose();
      }),
      { numRuns: 25 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('step by step, in pieces and at once give the same', () => {
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(sizesArbitrary, fc.nat(), fc.nat(6), (sizes, seed, cutAt) => {
        const { batch, length, inputSize, hiddenSize, layers } = sizes;
        const random = new RandomStream(seed);
        const module = new Lstm({ inputSize, hiddenSize, layers, random });
        tf.tidy(() => {
          const x = randomNormal(random, [batch, length, inputSize]) as tf.Tensor3D;
          const cut = Math.min(cutAt, length);
          const whole = module.forward(x);
          const first = module.forward(tf.slice(x, [0, 0, 0], [batch, cut, inputSize]));
          const second = module.forward(tf.slice(x, [0, cut, 0], [batch, length - cut, inputSize]), first.state);
          expectWithin(tf.concat([first.output, second.output], 1).dataSync(), whole.output.dataSync(), 1e-6);
          let state: LstmModuleState = module.initialState(batch);
          const outputs = tf.unstack(x, 1).map((element) => {
            const result = module.step(element as tf.Tensor2D, state);
            state = result.state;
            return result.output;
          });
          expectWithin(tf.stack(outputs, 1).dataSync(), whole.output.dataSync(), 1e-6);
          state.cell.forEach((cell, i) => {
            expectWithin(cell.dataSync(), whole.state.cell[i]!.dataSync(), 1e-6);
          });
        });
        module.dispose();
      }),
      { numRuns: 15 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('padding at the end has no influence, in both directions', () => {
    const random = new RandomStream(1);
    const module = new Lstm({ inputSize: 3, hiddenSize: 4, layers: 2, bidirectional: true, random });
    tf.tidy(() => {
      const x = randomNormal(random, [2, 6, 3]) as tf.Tensor3D;
      const paddingMask = tf.tensor2d(
        [
          [1, 1, 1, 1, 0, 0],
          [1, 1, 1, 1, 1, 1],
        ],
        [2, 6],
        'bool',
      );
      const padded = module.apply(x, { paddingMask });
      const short = module.apply(tf.slice(x, [0, 0, 0], [1, 4, 3]));
      expectWithin(tf.slice(padded, [0, 0, 0], [1, 4, 8]).dataSync(), short.dataSync(), 1e-6);
      const full = module.apply(tf.slice(x, [1, 0, 0], [1, 6, 3]));
      expectWithin(tf.slice(padded, [1, 0, 0], [1, 6, 8]).dataSync(), full.dataSync(), 1e-6);
      const unmasked = module.apply(x);
      expect(tf.sum(tf.abs(tf.sub(unmasked, padded))).dataSync()[0]).toBeGreaterThan(1e-3);
    });
    module.dispose();
  });

  it('forgetBias is added to the forget gate only', () => {
    const make = (forgetBias: number): Lstm =>
      new Lstm({ inputSize: 2, hiddenSize: 3, forgetBias, random: new RandomStream(2) });
    const [plain, biased] = [make(0), make(1)];
    const difference = tf.tidy(() => tf.sub(biased.layers[0]!.bias!, plain.layers[0]!.bias!).dataSync());
    expectWithin(difference, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0], 1e-6);
    plain.dispose();
    biased.dispose();
  });

  it('says what is wrong with states and masks', () => {
    const random = new RandomStream();
    const module = new Lstm({ inputSize: 2, hiddenSize: 3, layers: 2, random });
    const both = new Lstm({ inputSize: 2, hiddenSize: 3, bidirectional: true, random });
    tf.tidy(() => {
      const x = tf.zeros([2, 4, 2]) as tf.Tensor3D;
      expect(() => module.forward(x, { hidden: [], cell: [] })).toThrow('state.hidden has 0 layers instead of 2');
      expect(() => module.forward(x, module.initialState(1))).toThrow('Lstm: state.hidden must have shape [2, 3]');
      expect(() => module.forward(x, undefined, { paddingMask: tf.ones([2, 4], 'bool') })).toThrow('use apply()');
      expect(() => both.step(tf.zeros([2, 2]), both.initialState(2))).toThrow('bidirectional one cannot go on');
      expect(() => module.apply(tf.zeros([2, 4, 3]))).toThrow('Lstm: x must have shape [batch, length, 2]');
      const paddingMask = tf.tensor2d([1, 1, 1, 0, 0, 1, 1, 1], [2, 4], 'bool');
      expect(() => module.apply(x, { paddingMask })).toThrow('but sequence 1 has an element behind padding, at 1');
    });
    module.dispose();
    both.dispose();
  });
});
