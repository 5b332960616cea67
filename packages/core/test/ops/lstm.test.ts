import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, type LstmState, lstm, lstmStep } from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { expectKernelsEqualComposition, expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import { type LstmSizes, lstmReference } from '../reference/lstm.ts';
import { expectMatchesReference, expectWithin, noise } from './against-reference.ts';
import { apply, expectFollowsEquations, noiseInputs, valueAndGradients } from './lstm-cases.ts';

const devices = await availableDevices();
const sizesArbitrary = fc.record<LstmSizes>({
  batch: fc.constantFrom(1, 2, 5, 9, 17),
  time: fc.constantFrom(1, 2, 3, 5, 12),
  inputs: fc.constantFrom(1, 3, 8),
  hidden: fc.constantFrom(1, 3, 7, 16, 33),
});

describe.each(devices)('lstm on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything, initial state and resets included', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), (sizes, resets) => {
        expectFollowsEquations(sizes, resets);
      }),
      { numRuns: 25 },
    );
  });

  it.each([150, 256])('is right for wide layers: %i units', (hidden) => {
    // The gradient's weights are packed in several slabs; those of 256 units are too many to add x W step by step.
    expectFollowsEquations({ batch: 2, time: 4, inputs: 2, hidden });
  });

  it('starts from zeros and has no bias unless given', () => {
    const sizes = { batch: 3, time: 6, inputs: 2, hidden: 5 };
    const inputs = noiseInputs(sizes);
    const zeros = {
      bias: new Float64Array(20),
      initialHidden: new Float64Array(15),
      initialCell: new Float64Array(15),
    };
    const picked = {
      x: inputs['x']!,
      inputWeight: inputs['inputWeight']!,
      recurrentWeight: inputs['recurrentWeight']!,
    };
    expectMatchesReference({
      inputs: picked,
      operation: (tensors) => apply(tensors),
      reference: (values) =>
        lstmReference({ ...(values as never as Parameters<typeof lstmReference>[0]), ...zeros }, sizes),
    });
  });

  it('can be differentiated through one of its results alone', () => {
    const sizes = { batch: 4, time: 7, inputs: 3, hidden: 6 };
    for (const index of [0, 1, 2]) {
      expectMatchesReference({
        inputs: noiseInputs(sizes),
        operation: (tensors) => [apply(tensors)[index]!],
        reference: (values) => [lstmReference(values as never, sizes)[index]!],
      });
    }
  });

  it('step by step equals the whole', () => {
    const sizes = { batch: 3, time: 9, inputs: 4, hidden: 18 };
    tf.tidy(() => {
      const tensors = Object.fromEntries(
        Object.entries(noiseInputs(sizes)).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
      );
      const { x, inputWeight, recurrentWeight, bias, initialHidden, initialCell } = tensors;
      const [output, finalHidden, finalCell] = apply(tensors) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const weights = { inputWeight: inputWeight!, recurrentWeight: recurrentWeight!, bias };
      let state: { hidden: tf.Tensor; cell: tf.Tensor } = { hidden: initialHidden!, cell: initialCell! };
      const outputs = tf.unstack(x!, 1).map((step) => {
        state = lstmStep(step, weights, state);
        return state.hidden;
      });
      expectWithin(tf.stack(outputs, 1).dataSync(), output.dataSync(), 1e-6, 'output');
      expectWithin(state.hidden.dataSync(), finalHidden.dataSync(), 1e-6, 'final hidden');
      expectWithin(state.cell.dataSync(), finalCell.dataSync(), 1e-6, 'final cell');
    });
  });

  it('forgets everything at a reset, NaN included', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, time: 4, inputs: 2, hidden: 3 };
      const tensors = Object.fromEntries(
        Object.entries(noiseInputs(sizes)).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
      );
      const poisoned = { ...tensors, initialCell: tf.fill([1, 3], Number.NaN) };
      const [output] = apply(poisoned, tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool')) as [tf.Tensor];
      const values = [...output.dataSync()];
      expect(values.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(values.slice(6).every(Number.isFinite)).toBe(true);
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const sizes = { batch: 2, time: 3, inputs: 2, hidden: 3 };
      const tensors = Object.fromEntries(
        Object.entries(noiseInputs(sizes)).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
      );
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
    tf.tidy(() => {
      const [output, finalHidden, finalCell] = valueAndGradients({ batch: 2, time: 0, inputs: 3, hidden: 4 });
      expect(output!.length).toBe(0);
      expect(finalHidden).toEqual(noise(8, 5));
      expect(finalCell).toEqual(noise(8, 6));
      expect(valueAndGradients({ batch: 0, time: 5, inputs: 3, hidden: 4 })[4]).toEqual(new Float32Array(48));
    });
  });

  it('leaves no tensors or memory behind', () => {
    const sizes = { batch: 3, time: 6, inputs: 4, hidden: 5 };
    expectNothingLeft(() => valueAndGradients(sizes, true));
  });
});

describe('lstm', () => {
  afterAll(dispose);

  it('composed of tfjs operations equals the kernels', async () => {
    const sizes = { batch: 5, time: 4, inputs: 3, hidden: 6 };
    await expectKernelsEqualComposition(() => [false, true].flatMap((resets) => valueAndGradients(sizes, resets)));
  });

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of devices) {
      await expectSameBitsForAllThreads(options, () =>
        valueAndGradients({ batch: 37, time: 12, inputs: 20, hidden: 40 }, true),
      );
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const weights = { inputWeight: tf.zeros([3, 8]), recurrentWeight: tf.zeros([2, 8]) };
      const x = tf.zeros([4, 5, 3]);
      expect(() => lstm(tf.zeros([4, 5, 2]), weights)).toThrow(/lstm: inputWeight .* 3 instead of 2/);
      expect(() => lstm(x, { ...weights, recurrentWeight: tf.zeros([2, 6]) })).toThrow(
        /recurrentWeight .* 6 instead of 8/,
      );
      expect(() => lstm(x, weights, { initialCell: tf.zeros([4, 3]) })).toThrow(/lstm: initialCell .* 3 instead of 2/);
      expect(() => lstm(x, weights, { resetMask: tf.zeros([4, 5]) })).toThrow(/resetMask must be bool/);
      expect(() => lstmStep(x, weights, { hidden: tf.zeros([4, 2]), cell: tf.zeros([4, 2]) })).toThrow(/lstmStep: x/);
      expect(() => lstmStep(tf.zeros([4, 3]), weights, {} as LstmState)).toThrow(
        /lstmStep: state.hidden must be a tensor/,
      );
    });
  });
});
