import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import { dispose, elementwiseLstm, elementwiseLstmRtrl, elementwiseLstmTrace, init } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import {
  type ElementwiseLstmSizes,
  type ElementwiseLstmValues,
  elementwiseLstmBpttReference,
  elementwiseLstmReference,
  elementwiseLstmRtrlReference,
} from '../reference/elementwise-lstm.ts';
import { expectSameBits, expectWithin } from './against-reference.ts';
import { rtrl, rtrlCase } from './elementwise-lstm-cases.ts';

const devices = await availableDevices();
const sizesArbitrary = fc.record<ElementwiseLstmSizes>({
  batch: fc.constantFrom(1, 2, 5),
  time: fc.constantFrom(1, 2, 7, 12),
  inputs: fc.constantFrom(1, 2, 3, 8),
  hidden: fc.constantFrom(1, 3, 7, 16, 33, 70),
});

describe('the float64 references', () => {
  it('of real-time recurrent learning and of backpropagation through time agree to 1e-9, resets and initial state included', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), (sizes, resets) => {
        const given = rtrlCase(sizes, { resets });
        const [, ...forward] = elementwiseLstmRtrlReference(given, given.errors, given.sensitivities, sizes);
        const backward = elementwiseLstmBpttReference(given, given.errors, sizes);
        for (const [i, gradient] of forward.entries()) expectWithin(gradient, backward[i]!, 1e-9, `gradient ${i}`);
      }),
    );
  });

  it('agree with finite differences', () => {
    const sizes = { batch: 2, time: 9, inputs: 3, hidden: 4 };
    const given = rtrlCase(sizes, { resets: true });
    const gradients = elementwiseLstmBpttReference(given, given.errors, sizes);
    const loss = (values: ElementwiseLstmValues) =>
      elementwiseLstmReference(values, sizes)[0].reduce((sum, c, i) => sum + c * given.errors[i]!, 0);
    for (const [i, name] of (['inputWeight', 'recurrentWeight', 'bias'] as const).entries()) {
      for (const [j, gradient] of gradients[i]!.entries()) {
        const moved = (step: number) => {
          const changed = Float64Array.from(given[name]);
          changed[j]! += step;
          return loss({ ...given, [name]: changed });
        };
        expect((moved(1e-6) - moved(-1e-6)) / 2e-6).toBeCloseTo(gradient, 7);
      }
    }
  });

  it('cut off every M steps: sensitivities that are reset there give the gradient of truncated backpropagation', () => {
    const sizes = { batch: 2, time: 12, inputs: 3, hidden: 4 };
    const given = rtrlCase(sizes);
    const [cells] = elementwiseLstmReference(given, sizes);
    const sums = [0, 1].map(() => [new Float64Array(24), new Float64Array(8), new Float64Array(8)]);
    for (let begin = 0; begin < 12; begin += 4) {
      const part = { ...sizes, time: 4 };
      const cut = (values: ArrayLike<number>, width: number) =>
        Float64Array.from({ length: 2 * 4 * width }, (_, i) => {
          const [b, rest] = [Math.floor(i / (4 * width)), i % (4 * width)];
          return values[(b * 12 + begin) * width + rest]!;
        });
      const piece = {
        ...given,
        x: cut(given.x, 3),
        initialState:
          begin === 0
            ? given.initialState
            : Float64Array.from({ length: 8 }, (_, i) => cells[(Math.floor(i / 4) * 12 + begin - 1) * 4 + (i % 4)]!),
      };
      const errors = cut(given.errors, 4);
      const [, ...forward] = elementwiseLstmRtrlReference(piece, errors, given.sensitivities, part);
      const backward = elementwiseLstmBpttReference(piece, errors, part);
      for (const [i, gradients] of [forward, backward].entries()) {
        for (const [p, gradient] of gradients.entries()) {
          for (const [j, g] of gradient.entries()) sums[i]![p]![j]! += g;
        }
      }
    }
    for (const p of [0, 1, 2]) expectWithin(sums[0]![p]!, sums[1]![p]!, 1e-9, `parameter ${p}`);
  });
});

describe.each([...devices, ...composedDevices])('elementwiseLstmRtrl on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations', () => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), fc.boolean(), (sizes, resets, fresh) => {
        const given = rtrlCase(sizes, { resets, fresh });
        const expected = elementwiseLstmRtrlReference(given, given.errors, given.sensitivities, sizes);
        for (const [i, values] of rtrl(given, [sizes.time]).entries()) {
          expectWithin(values, expected[i]!, 1e-5, `result ${i}`);
        }
        const [alone] = rtrl(given, [sizes.time], false);
        expectWithin(alone!, expected[0], 1e-5, 'sensitivities without errors');
      }),
      { numRuns: options.device === 'cpu' ? 8 : 30 },
    );
  });

  it('gives the gradient of backpropagation through time', () => {
    tf.tidy(() => {
      for (const resets of [false, true]) {
        const sizes = { batch: 4, time: 40, inputs: 5, hidden: 9 };
        const given = rtrlCase(sizes, { resets });
        const names = ['inputWeight', 'recurrentWeight', 'bias'] as const;
        const shapes = [[5, 18], [18], [18]];
        const parameters = names.map((name, i) => tf.tensor(given[name] as Float32Array, shapes[i]!));
        const errors = tf.tensor(given.errors, [4, 40, 9]);
        const backward = tf.grads((...[inputWeight, recurrentWeight, bias]: tf.Tensor[]) => {
          const weights = { inputWeight: inputWeight!, recurrentWeight: recurrentWeight!, bias };
          const { output } = elementwiseLstm(tf.tensor(given.x as Float32Array, [4, 40, 5]), weights, {
            initialState: tf.tensor(given.initialState as Float32Array, [4, 9]),
            ...(given.reset ? { resetMask: tf.tensor2d([...(given.reset as number[])], [4, 40], 'bool') } : {}),
          });
          return tf.sum(tf.mul(output, errors));
        })(parameters);
        const [, ...forward] = rtrl(given, [40]);
        for (const [i, gradient] of forward.entries()) {
          // The acceptance bound of float32 is 1e-4.
          expectWithin(gradient, backward[i]!.dataSync(), 1e-5, names[i]!);
        }
      }
    });
  });

  it('one step is plain backpropagation', () => {
    const given = rtrlCase({ batch: 3, time: 1, inputs: 4, hidden: 6 });
    const backward = elementwiseLstmBpttReference(given, given.errors, given.sizes);
    const [, ...forward] = rtrl(given, [1]);
    for (const [i, gradient] of forward.entries()) expectWithin(gradient, backward[i]!, 1e-5, `gradient ${i}`);
  });

  it('step by step and in pieces gives what it gives at once', () => {
    const given = rtrlCase({ batch: 3, time: 19, inputs: 5, hidden: 20 }, { resets: true, fresh: false });
    const whole = rtrl(given, [19]);
    for (const pieces of [[7, 12], [3, 0, 16], Array.from({ length: 19 }, () => 1)]) {
      for (const [i, values] of rtrl(given, pieces).entries()) expectWithin(values, whole[i]!, 1e-5, `result ${i}`);
    }
  });

  it('without recurrent weights has the closed form Σ_k (Π_{j>k} f_j) dz_k x_k, and with f = 1 stays at zero', () => {
    const sizes = { batch: 1, time: 6, inputs: 2, hidden: 3 };
    const zero = { recurrentWeight: new Float32Array(6), initialState: new Float32Array(3) };
    const given = { ...rtrlCase(sizes), ...zero };
    const [s] = rtrl(given, [6]);
    for (let n = 0; n < 3; n++) {
      for (let d = 0; d < 2; d++) {
        let expected = 0;
        for (let t = 0; t < 6; t++) {
          const sum = (column: number) =>
            given.bias[column]! +
            [0, 1].reduce((total, i) => total + given.x[t * 2 + i]! * given.inputWeight[i * 6 + column]!, 0);
          const [z, f] = [Math.tanh(sum(n)), 1 / (1 + Math.exp(-sum(3 + n)))];
          expected = f * expected + (1 - f) * (1 - z * z) * given.x[t * 2 + d]!;
        }
        expect(s![d * 6 + n]).toBeCloseTo(expected, 5);
      }
    }
    const bias = Float32Array.from([0, 0, 0, 200, 200, 200]);
    for (const values of rtrl({ ...given, bias }, [6])) expect(values).toEqual(new Float32Array(values.length));
  });

  it('forgets everything at a reset, NaN included', () => {
    const sizes = { batch: 2, time: 4, inputs: 2, hidden: 5 };
    const reset = [1, 0, 0, 0, 1, 0, 1, 0];
    const clean = { ...rtrlCase(sizes), reset };
    const poisoned = {
      ...clean,
      sensitivities: new Float32Array(clean.sensitivities.length).fill(Number.NaN),
      initialState: new Float32Array(10).fill(Number.NaN),
    };
    expectSameBits(rtrl(poisoned, [4]), rtrl(clean, [4]));
  });

  it('leaves a shared copy of the sensitivities alone', () => {
    tf.tidy(() => {
      const s = tf.variable(tf.ones([2, 5, 8]), false);
      const copy = s.clone();
      const x = tf.ones([2, 1, 3]);
      const weights = { inputWeight: tf.ones([3, 8]), recurrentWeight: tf.ones([8]) };
      elementwiseLstmRtrl(s, x, weights, elementwiseLstmTrace(x, weights));
      expect([...copy.dataSync()].every((value) => value === 1)).toBe(true);
      expect([...s.dataSync()].every((value) => value !== 1)).toBe(true);
      s.dispose();
    });
  });

  it('a trace is a constant to what it was made from', () => {
    tf.tidy(() => {
      const weights = { inputWeight: tf.ones([3, 8]), recurrentWeight: tf.ones([8]), bias: tf.ones([8]) };
      const { inputWeight, recurrentWeight, bias } = weights;
      const given = [tf.ones([2, 5, 3]), inputWeight, recurrentWeight, bias, tf.ones([2, 4])];
      const total = (...[x, w, r, b, initialState]: tf.Tensor[]) => {
        const trace = elementwiseLstmTrace(x!, { inputWeight: w!, recurrentWeight: r!, bias: b! }, { initialState });
        const all = [trace.output, trace.finalState, trace.gates].map((result) => tf.sum(result));
        return tf.addN([...all, ...[x, w, r, b, initialState].map((y) => tf.sum(y!))]) as tf.Scalar;
      };
      for (const gradient of tf.grads(total)(given)) expect(gradient.dataSync().every((y) => y === 1)).toBe(true);
    });
  });

  it('says what is wrong with an argument', () => {
    tf.tidy(() => {
      const x = tf.zeros([2, 5, 3]);
      const weights = { inputWeight: tf.zeros([3, 8]), recurrentWeight: tf.zeros([8]) };
      const trace = elementwiseLstmTrace(x, weights);
      const s = tf.variable(tf.zeros([2, 5, 8]), false);
      expect(() => elementwiseLstmRtrl(tf.zeros([2, 5, 8]) as never, x, weights, trace)).toThrow(/must be a variable/);
      expect(() => elementwiseLstmRtrl(s, x, weights, trace, { errors: tf.zeros([2, 5, 3]) })).toThrow(
        /errors .* 3 instead of 4/,
      );
      expect(() => elementwiseLstmRtrl(s, tf.zeros([2, 4, 3]), weights, trace)).toThrow(
        /trace.gates .* 5 instead of 4/,
      );
      expect(() => elementwiseLstmRtrl(s, tf.zeros([1, 5, 3]), weights, trace)).toThrow(
        /sensitivities .* 2 instead of 1/,
      );
      expect(() => elementwiseLstmTrace(x, { ...weights, bias: tf.zeros([4]) })).toThrow(/bias .* 4 instead of 8/);
      s.dispose();
    });
  });

  it('keeps nothing, and needs the same memory however many steps came before', () => {
    const used = () => [tf.memory().numTensors, engineBackend()?.memory().numBytesLive];
    const given = rtrlCase({ batch: 2, time: 12, inputs: 3, hidden: 5 });
    rtrl(given, [4, 8]);
    const before = used();
    rtrl(given, [4, 8]);
    rtrl(given, [12], false);
    expect(used()).toEqual(before);
  });
});

describe('elementwiseLstmRtrl', () => {
  afterAll(dispose);

  it('gives the same bits for every number of threads', async () => {
    const given = rtrlCase({ batch: 5, time: 40, inputs: 37, hidden: 100 }, { resets: true });
    for (const { options } of devices) {
      await expectSameBitsForAllThreads(options, () => [...rtrl(given, [40]), ...rtrl(given, [1, 39])]);
    }
  });
});
