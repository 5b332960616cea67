import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, elementwiseLstm, elementwiseLstmStep, init } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { expectKernelsEqualComposition, expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import { type ElementwiseLstmSizes, elementwiseLstmReference } from '../reference/elementwise-lstm.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise } from './against-reference.ts';
import { apply, noiseInputs, resetMaskOf, resetsOf } from './elementwise-lstm-cases.ts';

const devices = await availableDevices();
const sizesArbitrary = fc.record<ElementwiseLstmSizes>({
  batch: fc.constantFrom(1, 2, 5),
  time: fc.constantFrom(1, 2, 3, 12),
  inputs: fc.constantFrom(1, 3, 8),
  hidden: fc.constantFrom(1, 3, 7, 16, 33, 70),
});

type Values = Parameters<typeof elementwiseLstmReference>[0];

function asTensors(inputs: Inputs): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
  );
}

/** Results, and gradients of all inputs for fixed upstream gradients. */
function valueAndGradients(sizes: ElementwiseLstmSizes, resets = false): Float32Array[] {
  return tf.tidy(() => {
    const tensors = asTensors(noiseInputs(sizes));
    const names = Object.keys(tensors);
    const resetMask = resets ? resetMaskOf(sizes) : undefined;
    const loss = (...given: tf.Tensor[]) =>
      apply(Object.fromEntries(names.map((name, index) => [name, given[index]!])), resetMask)
        .map((result, index) => tf.sum(tf.mul(result, tf.tensor(noise(result.size, 20 + index), result.shape))))
        .reduce((a, b) => tf.add(a, b));
    const gradients = tf.grads(loss)(Object.values(tensors));
    return [...apply(tensors, resetMask), ...gradients].map((x) => x.dataSync() as Float32Array);
  });
}

describe.each(devices)('elementwiseLstm on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything, initial state and resets included', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), (sizes, resets) => {
        expectMatchesReference({
          inputs: noiseInputs(sizes),
          operation: (tensors) => apply(tensors, resets ? resetMaskOf(sizes) : undefined),
          reference: (values) =>
            elementwiseLstmReference(
              { ...(values as never as Values), ...(resets ? { reset: resetsOf(sizes) } : {}) },
              sizes,
            ),
          tolerance: 1e-5,
        });
      }),
      { numRuns: 25 },
    );
  });

  it('starts from zeros and has no bias unless given', () => {
    const sizes = { batch: 3, time: 6, inputs: 2, hidden: 5 };
    const { x, inputWeight, recurrentWeight } = noiseInputs(sizes);
    const zeros = { bias: new Float64Array(10), initialState: new Float64Array(15) };
    expectMatchesReference({
      inputs: { x: x!, inputWeight: inputWeight!, recurrentWeight: recurrentWeight! },
      operation: (tensors) => apply(tensors),
      reference: (values) => elementwiseLstmReference({ ...(values as never as Values), ...zeros }, sizes),
    });
  });

  it('can be differentiated through one of its results alone', () => {
    const sizes = { batch: 4, time: 7, inputs: 3, hidden: 6 };
    for (const index of [0, 1]) {
      expectMatchesReference({
        inputs: noiseInputs(sizes),
        operation: (tensors) => [apply(tensors)[index]!],
        reference: (values) => [elementwiseLstmReference(values as never, sizes)[index]!],
      });
    }
  });

  it('goes from 0 to z along 1 − fᵗ where the input is constant and nothing recurs', () => {
    tf.tidy(() => {
      const [time, hidden] = [9, 4];
      const x = tf.tile(tf.tensor(noise(3, 1), [1, 1, 3]), [1, time, 1]);
      const inputWeight = tf.tensor(noise(24, 2), [3, 2 * hidden]);
      const { output } = elementwiseLstm(x, { inputWeight, recurrentWeight: tf.zeros([2 * hidden]) });
      const sums = tf.matMul(tf.reshape(x, [time, 3]), inputWeight as tf.Tensor2D);
      const z = tf.tanh(tf.slice(sums, [0, 0], [time, hidden]));
      const f = tf.sigmoid(tf.slice(sums, [0, hidden], [time, hidden]));
      const steps = tf.reshape(tf.range(1, time + 1), [time, 1]);
      const expected = tf.mul(z, tf.sub(1, tf.pow(f, steps)));
      expectWithin(output.dataSync(), expected.dataSync(), 1e-6, 'output');
    });
  });

  it('in pieces with the state carried on, and step by step, equals the whole, gradients included', () => {
    const sizes = { batch: 3, time: 9, inputs: 4, hidden: 18 };
    tf.tidy(() => {
      const tensors = asTensors(noiseInputs(sizes));
      const { inputWeight, recurrentWeight, bias, initialState } = tensors;
      const weights = { inputWeight: inputWeight!, recurrentWeight: recurrentWeight!, bias };
      const pieces = (lengths: number[]) => (x: tf.Tensor) => {
        let state = initialState!;
        const outputs = lengths.map((length, i) => {
          const begin = lengths.slice(0, i).reduce((a, b) => a + b, 0);
          const piece = tf.slice(x, [0, begin, 0], [3, length, 4]);
          const { output, finalState } = elementwiseLstm(piece, weights, { initialState: state });
          state = finalState;
          return output;
        });
        return tf.concat([...outputs, tf.expandDims(state, 1)], 1);
      };
      const steps = (x: tf.Tensor) => {
        let state = initialState!;
        const outputs = tf.unstack(x, 1).map((step) => {
          state = elementwiseLstmStep(step, weights, state);
          return state;
        });
        return tf.stack([...outputs, state], 1);
      };
      const upstream = tf.tensor(noise(3 * 10 * 18, 30), [3, 10, 18]);
      const [whole, ...others] = [pieces([9]), pieces([4, 0, 5]), steps].map((run) => [
        run(tensors['x']!).dataSync(),
        tf.grad(run)(tensors['x']!, upstream).dataSync(),
      ]);
      for (const other of others) {
        expectWithin(other[0]!, whole![0]!, 1e-6, 'output');
        expectWithin(other[1]!, whole![1]!, 1e-6, 'gradient');
      }
    });
  });

  it('forgets everything at a reset, NaN included', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, time: 4, inputs: 2, hidden: 3 };
      const poisoned = { ...asTensors(noiseInputs(sizes)), initialState: tf.fill([1, 3], Number.NaN) };
      const [output] = apply(poisoned, tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool')) as [tf.Tensor];
      const values = [...output.dataSync()];
      expect(values.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(values.slice(6).every(Number.isFinite)).toBe(true);
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const tensors = asTensors(noiseInputs({ batch: 2, time: 3, inputs: 2, hidden: 3 }));
      const energy = (x: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((y: tf.Tensor) => tf.sum(apply({ ...tensors, x: y })[0]!))(x))) as tf.Scalar;
      const direction = tf.tensor(noise(12, 5), [2, 3, 2]);
      const x = tensors['x']!;
      const expected = tf.sum(tf.mul(tf.grad(energy)(x), direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map((sign) => energy(tf.add(x, tf.mul(direction, sign * 0.02))).dataSync()[0]!);
      expect((above! - below!) / 0.04).toBeCloseTo(expected, 2);
    });
  });

  it('accepts empty batches and sequences', () => {
    const [output, finalState] = valueAndGradients({ batch: 2, time: 0, inputs: 3, hidden: 4 });
    expect(output!.length).toBe(0);
    expect(finalState).toEqual(noise(8, 5));
    const [, , , dInputWeight, dRecurrentWeight] = valueAndGradients({ batch: 0, time: 5, inputs: 3, hidden: 4 });
    expect(dInputWeight).toEqual(new Float32Array(24));
    expect(dRecurrentWeight).toEqual(new Float32Array(8));
  });

  it('leaves no tensors or memory behind', () => {
    const sizes = { batch: 3, time: 6, inputs: 4, hidden: 5 };
    expectNothingLeft(() => valueAndGradients(sizes, true));
  });
});

describe('elementwiseLstm', () => {
  afterAll(dispose);

  it('composed of tfjs operations equals the kernels', async () => {
    const sizes = { batch: 5, time: 4, inputs: 3, hidden: 6 };
    await expectKernelsEqualComposition(() => [false, true].flatMap((resets) => valueAndGradients(sizes, resets)));
  });

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of devices) {
      await expectSameBitsForAllThreads(options, () =>
        valueAndGradients({ batch: 7, time: 150, inputs: 20, hidden: 200 }, true),
      );
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const weights = { inputWeight: tf.zeros([3, 4]), recurrentWeight: tf.zeros([4]) };
      const x = tf.zeros([5, 6, 3]);
      expect(() => elementwiseLstm(tf.zeros([5, 6, 2]), weights)).toThrow(
        /elementwiseLstm: inputWeight .* 3 instead of 2/,
      );
      expect(() => elementwiseLstm(x, { ...weights, inputWeight: tf.zeros([3, 5]) })).toThrow(/even number of columns/);
      expect(() => elementwiseLstm(x, { ...weights, recurrentWeight: tf.zeros([2]) })).toThrow(
        /recurrentWeight .* 2 instead of 4/,
      );
      expect(() => elementwiseLstm(x, { ...weights, bias: tf.zeros([2]) })).toThrow(/bias .* 2 instead of 4/);
      expect(() => elementwiseLstm(x, weights, { initialState: tf.zeros([5, 3]) })).toThrow(
        /initialState .* 3 instead of 2/,
      );
      expect(() => elementwiseLstm(x, weights, { resetMask: tf.zeros([5, 6]) })).toThrow(/resetMask must be bool/);
      expect(() => elementwiseLstmStep(x, weights, tf.zeros([5, 2]))).toThrow(/elementwiseLstmStep: x/);
      expect(() => elementwiseLstmStep(tf.zeros([5, 3]), weights, undefined as never)).toThrow(
        /elementwiseLstmStep: state must be a tensor/,
      );
    });
  });
});
