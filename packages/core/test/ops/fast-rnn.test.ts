import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DeltaLstmInputs,
  type DeltaLstmState,
  type DeltaRnnInputs,
  type DeltaRnnState,
  deltaLstmStep,
  deltaRnnStep,
  deltaRule,
  dispose,
  init,
} from '../../src/index.ts';
import { availableDevices, composedDevices, isComposed } from '../devices.ts';
import { expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { type FastRnnValues, fastRnnReference } from '../reference/recurrent-scans.ts';
import { expectMatchesReference, expectWithin, noise } from './against-reference.ts';
import { apply, type Net, noiseInputs, SEQUENCES, stateOf } from './fast-rnn-cases.ts';
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

const NETS: readonly Net[] = [
  ...[1, 2].map((version) => ({ gates: 1, version }) as const),
  ...[1, 2, 3, 4].map((version) => ({ gates: 3, version }) as const),
];

const casesArbitrary = fc.record({
  sizes: fc.record<ScanSizes>({
    batch: fc.constantFrom(1, 2),
    heads: fc.constantFrom(1, 3),
    time: fc.constantFrom(1, 2, 5, 33, 70),
    keyDim: fc.constantFrom(1, 3, 8),
    valueDim: fc.constantFrom(1, 4, 9, 17),
  }),
  net: fc.constantFrom(...NETS),
  resets: fc.boolean(),
});

describe.each(devices)('fast recurrent nets on $name', ({ name, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follow their equations, with exact gradients of everything, resets included', () => {
    fc.assert(
      fc.property(casesArbitrary, ({ sizes, net, resets }) => {
        expectMatchesReference({
          inputs: noiseInputs(sizes, net),
          operation: (tensors) => apply(tensors, net, resets ? resetMaskOf(sizes) : undefined),
          reference: (values) => {
            const all = { ...values, ...(resets ? { reset: resetsOf(sizes) } : {}) };
            return fastRnnReference(all as unknown as FastRnnValues, sizes, net);
          },
          tolerance: 1e-5,
        });
      }),
      { numRuns: isComposed(name) ? 6 : 15 },
    );
  });

  it.each(isComposed(name) ? [] : [4, 13, 64, 100, 128])('has the same values with heads of %i', (size) => {
    const sizes = { batch: 1, heads: 1, time: 40, keyDim: size, valueDim: size };
    for (const net of [NETS[1]!, NETS[5]!]) {
      const inputs = noiseInputs(sizes, net);
      const values = Object.fromEntries(Object.entries(inputs).map(([key, input]) => [key, input.values]));
      const expected = fastRnnReference(values as unknown as FastRnnValues, sizes, net);
      const actual = tf.tidy(() => apply(tensorsOf(inputs), net).map((x) => x.dataSync() as Float32Array));
      expectRelativeErrors(actual, expected, 1e-5);
    }
  });

  it('start from zeros unless told otherwise', () => {
    const sizes = { batch: 2, heads: 2, time: 6, keyDim: 4, valueDim: 5 };
    for (const net of NETS) {
      const all = noiseInputs(sizes, net);
      const inputs = Object.fromEntries(SEQUENCES.map((key) => [key, all[key]!]));
      expectMatchesReference({
        inputs,
        operation: (tensors) => apply(tensors, net),
        reference: (values) => fastRnnReference(values as unknown as FastRnnValues, sizes, net),
        tolerance: 1e-5,
      });
    }
  });

  it('give the same in pieces and step by step, the state carried over, gradients included', () => {
    const sizes = { batch: 1, heads: 2, time: 37, keyDim: 7, valueDim: 10 };
    for (const net of isComposed(name) ? [NETS[1]!] : NETS) {
      const inputs = noiseInputs(sizes, net);
      const axis = net.gates === 3 ? 3 : 2;
      const whole = valuesAndGradients(inputs, (tensors) => apply(tensors, net));
      const split = valuesAndGradients(inputs, (tensors) => {
        let state = stateOf(tensors) as unknown as Tensors;
        const outputs: tf.Tensor[] = [];
        for (const [from, to] of [
          [0, 1],
          [1, 34],
          [34, 34],
          [34, 37],
        ] as const) {
          const [output, fastWeights, recurrentWeights, last, cell] = apply(
            { ...steps(tensors, SEQUENCES, axis, from, to), ...state },
            net,
          );
          outputs.push(output!);
          state = { fastWeights, recurrentWeights, output: last, cell } as unknown as Tensors;
        }
        const { cell, ...others } = state;
        return [tf.concat(outputs, 2), ...Object.values(others), ...(net.gates === 3 ? [cell!] : [])];
      });
      expectRelativeErrors(split, whole, 2e-5);
    }
  });

  it('equal themselves step by step', () => {
    tf.tidy(() => {
      const sizes = { batch: 2, heads: 2, time: 7, keyDim: 3, valueDim: 5 };
      for (const net of NETS) {
        const tensors = tensorsOf(noiseInputs(sizes, net));
        const expected = apply(tensors, net);
        const at = (t: number) =>
          Object.fromEntries(SEQUENCES.map((key) => [key, tf.gather(tensors[key]!, t, net.gates === 3 ? 3 : 2)]));
        let state: DeltaRnnState | DeltaLstmState = stateOf(tensors)!;
        const outputs: tf.Tensor[] = [];
        for (let t = 0; t < sizes.time; t++) {
          const inputs = at(t) as unknown as DeltaRnnInputs & DeltaLstmInputs;
          const step =
            net.gates === 1
              ? deltaRnnStep(inputs, state, { version: net.version as 1 | 2 })
              : deltaLstmStep(inputs, state as DeltaLstmState, { version: net.version as 1 | 2 | 3 | 4 });
          outputs.push(step.output);
          state = step.state;
        }
        expectWithin(tf.stack(outputs, 2).dataSync(), expected[0]!.dataSync(), 2e-6, 'output');
        expectWithin(state.recurrentWeights.dataSync(), expected[2]!.dataSync(), 2e-6, 'R');
      }
    });
  });

  // Numeric checks of "Going beyond linear Transformers with recurrent fast weight programmers".
  it('are delta rules where nothing is written into R', () => {
    tf.tidy(() => {
      const sizes = { batch: 2, heads: 2, time: 9, keyDim: 4, valueDim: 5 };
      const tensors = tensorsOf(noiseInputs(sizes, NETS[1]!));
      const { q, k, v, beta, fastWeights } = tensors as Record<string, tf.Tensor>;
      const silent = { ...tensors, recurrentV: tf.zerosLike(v!), recurrentWeights: tf.zeros([2, 2, 5, 5]) };
      const [output] = apply(silent, NETS[1]!);
      const plain = deltaRule(q!, k!, v!, beta!, { initialState: fastWeights });
      expectWithin(output!.dataSync(), plain.output.dataSync(), 1e-6, 'output');
    });
  });

  it('with heads of one element add R to what was read, as a softmax of one element is 1', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 2, time: 8, keyDim: 3, valueDim: 1 };
      const tensors = tensorsOf(noiseInputs(sizes, NETS[1]!));
      const { q, k, v, beta, fastWeights, recurrentV, recurrentBeta, recurrentWeights } = tensors as Record<
        string,
        tf.Tensor
      >;
      const ones = tf.ones([1, 2, 8, 1]);
      const recurrent = deltaRule(ones, ones, recurrentV!, recurrentBeta!, { initialState: recurrentWeights });
      const read = deltaRule(q!, k!, v!, beta!, { initialState: fastWeights });
      const expected = tf.add(read.output, recurrent.output);
      expectWithin(apply(tensors, NETS[1]!)[0]!.dataSync(), expected.dataSync(), 2e-6, 'output');
    });
  });

  it('version 4 of the Delta LSTM with open gates is the Delta RNN', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 2, time: 12, keyDim: 4, valueDim: 6 };
      const rnn = tensorsOf(noiseInputs(sizes, NETS[1]!));
      // Queries and keys that always are the first unit vector, which is all that the gates' matrices hold: a large number.
      const first = (size: number) => tf.tile(tf.oneHot(tf.tensor1d([0], 'int32'), size), [12, 1]);
      const asGates = (x: tf.Tensor, gate: tf.Tensor) => tf.stack([gate, x, gate], 2);
      const keyed = (x: tf.Tensor) => asGates(x, tf.broadcastTo(tf.cast(first(x.shape[3]!), 'float32'), x.shape));
      const large = (x: tf.Tensor) => asGates(x, tf.fill(x.shape, 30));
      const still = (x: tf.Tensor) => asGates(x, tf.zerosLike(x));
      const lstm = {
        q: keyed(rnn['q']!),
        k: keyed(rnn['k']!),
        v: large(rnn['v']!),
        beta: still(rnn['beta']!),
        recurrentK: keyed(rnn['recurrentK']!),
        recurrentV: still(rnn['recurrentV']!),
        recurrentBeta: still(rnn['recurrentBeta']!),
        fastWeights: large(rnn['fastWeights']!),
        recurrentWeights: still(rnn['recurrentWeights']!),
        output: rnn['output']!,
        cell: tf.zeros([1, 2, 6]),
      };
      const expected = apply(rnn, NETS[1]!)[0]!.dataSync();
      expectWithin(apply(lstm, NETS[5]!)[0]!.dataSync(), expected, 2e-6, 'output');
    });
  });

  it('never look ahead', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 1, time: 6, keyDim: 3, valueDim: 4 };
      for (const net of NETS) {
        const inputs = noiseInputs(sizes, net);
        const before = apply(tensorsOf(inputs), net)[0]!.dataSync();
        for (const key of SEQUENCES) {
          const values = inputs[key]!.values.slice();
          const size = values.length / (net.gates * 6);
          for (let gate = 0; gate < net.gates; gate++) values.fill(0.7, (gate * 6 + 4) * size, (gate + 1) * 6 * size);
          const after = apply(tensorsOf({ ...inputs, [key]: { ...inputs[key]!, values } }), net)[0]!.dataSync();
          expect(after.slice(0, 16)).toEqual(before.slice(0, 16));
        }
      }
    });
  });

  it('have second derivatives', () => {
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 1, time: 3, keyDim: 2, valueDim: 3 };
      const tensors = tensorsOf(noiseInputs(sizes, NETS[5]!));
      const energy = (x: tf.Tensor) =>
        tf.sum(
          tf.square(tf.grad((y: tf.Tensor) => tf.sum(apply({ ...tensors, recurrentK: y }, NETS[5]!)[0]!))(x)),
        ) as tf.Scalar;
      const direction = tf.tensor(noise(27, 5), [1, 1, 3, 3, 3]);
      const x = tensors['recurrentK']!;
      const expected = tf.sum(tf.mul(tf.grad(energy)(x), direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map((sign) => energy(tf.add(x, tf.mul(direction, sign * 0.01))).dataSync()[0]!);
      expect((above! - below!) / 0.02 / expected).toBeCloseTo(1, 1);
    });
  });

  it('accept empty batches and sequences', () => {
    for (const net of [NETS[1]!, NETS[5]!]) {
      const inputs = noiseInputs({ batch: 2, heads: 1, time: 0, keyDim: 3, valueDim: 4 }, net);
      // tfjs finds no gradient where an operation composed of others does nothing.
      if (!isComposed(name)) {
        const [output, fastWeights, recurrentWeights, last] = valuesAndGradients(inputs, (tensors) =>
          apply(tensors, net),
        );
        expect(output!.length).toBe(0);
        expect(fastWeights).toEqual(inputs['fastWeights']!.values);
        expect(recurrentWeights).toEqual(inputs['recurrentWeights']!.values);
        expect(last).toEqual(inputs['output']!.values);
      }
      tf.tidy(() => {
        const none = noiseInputs({ batch: 0, heads: 1, time: 3, keyDim: 3, valueDim: 4 }, net);
        expect(apply(tensorsOf(none), net)[0]!.shape).toEqual([0, 1, 3, 4]);
      });
    }
  });
});

describe('fast recurrent nets', () => {
  afterAll(dispose);

  it('give the same bits for every number of threads', async () => {
    for (const { options } of engineDevices) {
      const sizes = { batch: 3, heads: 2, time: 40, keyDim: 20, valueDim: 24 };
      await expectSameBitsForAllThreads(options, () =>
        [NETS[1]!, NETS[5]!].flatMap((net) =>
          valuesAndGradients(noiseInputs(sizes, net), (tensors) => apply(tensors, net)),
        ),
      );
    }
  });

  it('forget everything at a reset, NaN included, and leave nothing behind', async () => {
    for (const { options } of engineDevices) {
      await init(options);
      const sizes = { batch: 1, heads: 1, time: 4, keyDim: 3, valueDim: 3 };
      const run = (): Float32Array[] =>
        tf.tidy(() => {
          const inputs = noiseInputs(sizes, NETS[5]!);
          for (const key of ['fastWeights', 'recurrentWeights', 'output', 'cell']) inputs[key]!.values.fill(Number.NaN);
          const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
          return valuesAndGradients(inputs, (tensors) => apply(tensors, NETS[5]!, resetMask));
        });
      const [output, ...state] = run();
      expect(output!.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(output!.slice(6).every(Number.isFinite)).toBe(true);
      expect(state.slice(0, 4).every((x) => x.every(Number.isFinite))).toBe(true);
      expectNothingLeft(run);
    }
  });

  it('say what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const sizes = { batch: 1, heads: 2, time: 5, keyDim: 3, valueDim: 4 };
      const rnn = tensorsOf(noiseInputs(sizes, NETS[1]!));
      const lstm = tensorsOf(noiseInputs(sizes, NETS[5]!));
      expect(() => apply({ ...rnn, recurrentK: rnn['k']! }, NETS[1]!)).toThrow(
        /deltaRnn: recurrentK .* \('valueDim'\) is 3 instead of 4/,
      );
      expect(() => apply({ ...rnn, recurrentWeights: tf.zeros([1, 2, 3, 4]) }, NETS[1]!)).toThrow(
        /deltaRnn: initialState.recurrentWeights/,
      );
      expect(() => apply(rnn, { gates: 1, version: 3 })).toThrow(/deltaRnn: version must be 1 or 2, but is 3/);
      expect(() => apply(rnn, NETS[1]!, tf.zeros([1, 4], 'bool'))).toThrow(/resetMask .* 4 instead of 5/);
      expect(() => apply(rnn, NETS[5]!)).toThrow(/deltaLstm: q .* 4 dimensions instead of 5/);
      expect(() => apply({ ...lstm, beta: tf.zeros([1, 2, 3, 4]) }, NETS[5]!)).toThrow(
        /deltaLstm: beta .* 4 instead of 5/,
      );
      expect(() => apply({ ...lstm, cell: tf.zeros([1, 2, 3]) }, NETS[5]!)).toThrow(
        /initialState.cell .* 3 instead of 4/,
      );
      expect(() => apply(lstm, NETS[5]!, tf.zeros([1, 5]))).toThrow(/deltaLstm: resetMask must be bool/);
      expect(() => deltaRnnStep(rnn as unknown as DeltaRnnInputs, undefined)).toThrow(/deltaRnnStep: q/);
      expect(() => deltaLstmStep(lstm as unknown as DeltaLstmInputs, undefined)).toThrow(/deltaLstmStep: q/);
    });
  });
});
