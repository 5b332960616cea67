import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deltaRule, dispose, init, type RecurrentDeltaInputs, recurrentDeltaStep } from '../../src/index.ts';
import { availableDevices, composedDevices, isComposed } from '../devices.ts';
import { expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { type RecurrentDeltaValues, recurrentDeltaReference } from '../reference/recurrent-scans.ts';
import { expectMatchesReference, expectWithin, noise } from './against-reference.ts';
import { apply, noiseInputs, SEQUENCES, weightsOf } from './recurrent-delta-cases.ts';
import {
  expectRelativeErrors,
  resetMaskOf,
  resetsOf,
  steps,
  type Tensors,
  tensorsOf,
  valuesAndGradients,
} from './scan-cases.ts';

const engineDevices = await availableDevices();
const devices = [...engineDevices, ...composedDevices];

const casesArbitrary = fc.record({
  sizes: fc.record<ScanSizes>({
    batch: fc.constantFrom(1, 2),
    heads: fc.constantFrom(1, 3),
    time: fc.constantFrom(1, 2, 5, 33, 70),
    keyDim: fc.constantFrom(1, 3, 8),
    valueDim: fc.constantFrom(1, 4, 9, 17),
  }),
  resets: fc.boolean(),
});

const reference = (values: unknown, sizes: ScanSizes) => recurrentDeltaReference(values as RecurrentDeltaValues, sizes);

describe.each(devices)('recurrentDelta on $name', ({ name, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything, recurrent weights and resets included', () => {
    fc.assert(
      fc.property(casesArbitrary, ({ sizes, resets }) => {
        expectMatchesReference({
          inputs: noiseInputs(sizes),
          operation: (tensors) => apply(tensors, resets ? resetMaskOf(sizes) : undefined),
          reference: (values) => reference({ ...values, ...(resets ? { reset: resetsOf(sizes) } : {}) }, sizes),
          tolerance: 1e-5,
        });
      }),
      { numRuns: isComposed(name) ? 6 : 15 },
    );
  });

  it.each(isComposed(name) ? [] : [4, 13, 64, 100, 128])('has the same values with heads of %i', (size) => {
    const sizes = { batch: 1, heads: 1, time: 40, keyDim: size, valueDim: size };
    const inputs = noiseInputs(sizes);
    const values = Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, input.values]));
    const actual = tf.tidy(() => apply(tensorsOf(inputs)).map((x) => x.dataSync() as Float32Array));
    expectRelativeErrors(actual, reference(values, sizes), 1e-5);
  });

  it('starts from zeros unless told otherwise', () => {
    const sizes = { batch: 2, heads: 2, time: 6, keyDim: 4, valueDim: 5 };
    const { fastWeights: _, output: __, ...inputs } = noiseInputs(sizes);
    expectMatchesReference({
      inputs,
      operation: (tensors) => apply(tensors),
      reference: (values) => reference(values, sizes),
      tolerance: 1e-5,
    });
  });

  it('gives the same in pieces, the state carried over, gradients included', () => {
    const sizes = { batch: 1, heads: 2, time: 37, keyDim: 7, valueDim: 10 };
    const inputs = noiseInputs(sizes);
    const whole = valuesAndGradients(inputs, (tensors) => apply(tensors));
    const split = valuesAndGradients(inputs, (tensors) => {
      let state: Tensors = tensors;
      const outputs: tf.Tensor[] = [];
      for (const [from, to] of [
        [0, 1],
        [1, 34],
        [34, 34],
        [34, 37],
      ] as const) {
        const { fastWeights, output } = state;
        const piece = { ...steps(tensors, SEQUENCES, 2, from, to), fastWeights: fastWeights!, output: output! };
        const [outputs_, matrix, last] = apply(piece);
        outputs.push(outputs_!);
        state = { fastWeights: matrix!, output: last! };
      }
      return [tf.concat(outputs, 2), state['fastWeights']!, state['output']!];
    });
    expectRelativeErrors(split, whole, 2e-5);
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 2, heads: 3, time: 9, keyDim: 5, valueDim: 6 }));
      const [output, fastWeights] = apply(tensors);
      let state = { fastWeights: tensors['fastWeights']!, output: tensors['output']! };
      const outputs: tf.Tensor[] = [];
      for (let t = 0; t < 9; t++) {
        const [q, k, v, beta] = SEQUENCES.map((key) => tf.gather(tensors[key]!, t, 2));
        const step = recurrentDeltaStep({ q: q!, k: k!, v: v!, beta: beta! }, weightsOf(tensors), state);
        outputs.push(step.output);
        state = step.state;
      }
      expectWithin(tf.stack(outputs, 2).dataSync(), output!.dataSync(), 2e-6, 'output');
      expectWithin(state.fastWeights.dataSync(), fastWeights!.dataSync(), 2e-6, 'S');
    });
  });

  // Numeric checks of "Going beyond linear Transformers with recurrent fast weight programmers".
  it('is the delta rule with softmax features where nothing recurs', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 2, heads: 2, time: 9, keyDim: 4, valueDim: 5 }));
      const still = Object.fromEntries(
        Object.entries(tensors).map(([key, x]) => [key, key.endsWith('Weight') ? tf.zerosLike(x) : x]),
      );
      const { q, k, v, beta, fastWeights } = tensors as Record<string, tf.Tensor>;
      const plain = deltaRule(tf.softmax(q!), tf.softmax(k!), v!, tf.sigmoid(beta!), { initialState: fastWeights });
      expectWithin(apply(still)[0]!.dataSync(), plain.output.dataSync(), 2e-6, 'output');
    });
  });

  it('never looks ahead', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 1, time: 6, keyDim: 3, valueDim: 4 };
      const inputs = noiseInputs(sizes);
      const before = apply(tensorsOf(inputs))[0]!.dataSync();
      for (const key of SEQUENCES) {
        const values = inputs[key]!.values.slice();
        values.fill(0.7, (values.length / 6) * 4);
        const after = apply(tensorsOf({ ...inputs, [key]: { ...inputs[key]!, values } }))[0]!.dataSync();
        expect(after.slice(0, 16)).toEqual(before.slice(0, 16));
      }
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 1, heads: 1, time: 3, keyDim: 2, valueDim: 3 }));
      const energy = (x: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((y: tf.Tensor) => tf.sum(apply({ ...tensors, keyWeight: y })[0]!))(x))) as tf.Scalar;
      const direction = tf.tensor(noise(6, 5), [1, 2, 3]);
      const x = tensors['keyWeight']!;
      const expected = tf.sum(tf.mul(tf.grad(energy)(x), direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map((sign) => energy(tf.add(x, tf.mul(direction, sign * 0.01))).dataSync()[0]!);
      expect((above! - below!) / 0.02 / expected).toBeCloseTo(1, 1);
    });
  });

  it('accepts empty batches and sequences', () => {
    const inputs = noiseInputs({ batch: 2, heads: 1, time: 0, keyDim: 3, valueDim: 4 });
    // tfjs finds no gradient where an operation composed of others does nothing.
    if (!isComposed(name)) {
      const [output, fastWeights, last] = valuesAndGradients(inputs, (tensors) => apply(tensors));
      expect(output!.length).toBe(0);
      expect(fastWeights).toEqual(inputs['fastWeights']!.values);
      expect(last).toEqual(inputs['output']!.values);
    }
    tf.tidy(() => {
      const none = noiseInputs({ batch: 0, heads: 1, time: 3, keyDim: 3, valueDim: 4 });
      expect(apply(tensorsOf(none))[0]!.shape).toEqual([0, 1, 3, 4]);
    });
  });
});

describe('recurrentDelta', () => {
  afterAll(dispose);

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of engineDevices) {
      const sizes = { batch: 3, heads: 2, time: 40, keyDim: 20, valueDim: 24 };
      await expectSameBitsForAllThreads(options, () =>
        valuesAndGradients(noiseInputs(sizes), (tensors) => apply(tensors)),
      );
    }
  });

  it('forgets everything at a reset, NaN included, and leaves nothing behind', async () => {
    for (const { options } of engineDevices) {
      await init(options);
      const sizes = { batch: 1, heads: 1, time: 4, keyDim: 3, valueDim: 3 };
      const run = (): Float32Array[] =>
        tf.tidy(() => {
          const inputs = noiseInputs(sizes);
          for (const key of ['fastWeights', 'output']) inputs[key]!.values.fill(Number.NaN);
          const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
          return valuesAndGradients(inputs, (tensors) => apply(tensors, resetMask));
        });
      const [output, ...state] = run();
      expect(output!.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(output!.slice(6).every(Number.isFinite)).toBe(true);
      expect(state.slice(0, 2).every((x) => x.every(Number.isFinite))).toBe(true);
      expectNothingLeft(run);
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 1, heads: 2, time: 5, keyDim: 3, valueDim: 4 }));
      expect(() => apply({ ...tensors, k: tf.zeros([1, 2, 4, 3]) })).toThrow(/recurrentDelta: k .* 4 instead of 5/);
      expect(() => apply({ ...tensors, queryWeight: tf.zeros([2, 4, 3]) })).toThrow(
        /recurrentDelta: weights.query .* \('keyDim'\) is 4 instead of 3/,
      );
      expect(() => apply({ ...tensors, betaWeight: tf.zeros([3, 4]) })).toThrow(/weights.beta .* 3 instead of 2/);
      expect(() => apply({ ...tensors, output: tf.zeros([1, 2, 3]) })).toThrow(/initialState.output .* 3 instead of 4/);
      expect(() => apply(tensors, tf.zeros([1, 4], 'bool'))).toThrow(/resetMask .* 4 instead of 5/);
      const inputs = tensors as unknown as RecurrentDeltaInputs;
      expect(() => recurrentDeltaStep(inputs, weightsOf(tensors), undefined)).toThrow(/recurrentDeltaStep: q/);
    });
  });
});
