import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, type MLstmState, mLstm, mLstmStep } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { sumRuleReference } from '../reference/sum-rule.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise, noiseInput } from './against-reference.ts';

const devices = [...(await availableDevices()), ...composedDevices];

const sizes: ScanSizes = { batch: 2, heads: 2, time: 37, keyDim: 7, valueDim: 5 };
const { batch, heads, time, keyDim, valueDim } = sizes;
const gates = [batch, heads, time];

/** Queries that make both branches of the denominator occur. */
const inputs: Inputs = {
  q: noiseInput([...gates, keyDim], 1, 2),
  k: noiseInput([...gates, keyDim], 2),
  v: noiseInput([...gates, valueDim], 3),
  inputGate: noiseInput(gates, 4, 2),
  forgetGate: noiseInput(gates, 5, 2),
  memory: noiseInput([batch, heads, valueDim, keyDim], 6),
  normalizer: noiseInput([batch, heads, keyDim], 7),
};
const reset = Array.from(noise(batch * time, 9), (x) => (x > 0.8 ? 1 : 0));

/** The equations without stabiliser: h, and C and n in units of exp(m) for the last m that the stabiliser has. */
function reference(activation: 'sigmoid' | 'exp', resets: boolean, finalMaximum: Float64Array) {
  return (values: Record<string, Float64Array>): Float64Array[] => {
    const { q, k, v, inputGate, forgetGate, memory, normalizer } = values as Record<
      'q' | 'k' | 'v' | 'inputGate' | 'forgetGate' | 'memory' | 'normalizer',
      Float64Array
    >;
    const write = (row: number) => Math.exp(inputGate[row]!) / Math.sqrt(keyDim);
    const [output, C, n] = sumRuleReference(
      {
        ...{ q, v, initialState: memory, initialNormalizer: normalizer },
        k: k.map((x, i) => x * write(Math.floor(i / keyDim))),
        decay: forgetGate.map((x) => (activation === 'sigmoid' ? 1 / (1 + Math.exp(-x)) : Math.exp(x))),
        ...(resets ? { reset } : {}),
      },
      sizes,
      { denominator: (nq) => Math.max(Math.abs(nq), 1) },
    );
    const scaled = (x: Float64Array) =>
      x.map((y, i) => y * Math.exp(-finalMaximum[Math.floor(i / (x.length / (batch * heads)))]!));
    return [output, scaled(C), scaled(n)];
  };
}

function apply(tensors: Record<string, tf.Tensor>, activation: 'sigmoid' | 'exp', resets: boolean) {
  const { q, k, v, inputGate, forgetGate, memory, normalizer } = tensors as Record<
    'q' | 'k' | 'v' | 'inputGate' | 'forgetGate' | 'memory' | 'normalizer',
    tf.Tensor
  >;
  return mLstm(q, k, v, inputGate, forgetGate, {
    forgetActivation: activation,
    initialState: { memory, normalizer, maximum: tf.zeros([batch, heads]) },
    resetMask: resets ? tf.tensor2d(reset, [batch, time], 'bool') : undefined,
  });
}

function tensorsOf(some: Inputs): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(some).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]));
}

describe.each(devices)('mLSTM on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each([
    ['sigmoid', false],
    ['sigmoid', true],
    ['exp', false],
  ] as const)(
    'with stabiliser equals its equations without, gradients included: %s, resets %s',
    (activation, resets) => {
      const maximum = tf.tidy(() => apply(tensorsOf(inputs), activation, resets).finalState.maximum.dataSync());
      expectMatchesReference({
        inputs,
        operation: (tensors) => {
          const { output, finalState } = apply(tensors, activation, resets);
          return [output, finalState.memory, finalState.normalizer];
        },
        reference: reference(activation, resets, Float64Array.from(maximum)),
        tolerance: 1e-5,
      });
    },
  );

  it('does not overflow where exp of its gates does', () => {
    tf.tidy(() => {
      const [x, high] = [tf.ones([1, 1, 50, 2]), tf.fill([1, 1, 50], 200)];
      const { output, finalState } = mLstm(x, x, x, high, high, { forgetActivation: 'exp' });
      expectWithin(output.dataSync(), new Float32Array(100).fill(1), 1e-5, 'output');
      expect(finalState.maximum.dataSync()[0]).toBe(50 * 200);
      const low = mLstm(x, x, x, tf.neg(high), tf.neg(high));
      expect([...low.output.dataSync()].every((y) => Math.abs(y) < 1e-30)).toBe(true);
    });
  });

  it.each([50, 200])('answers a query of 0 with 0, for input gates of %d, and gradients stay finite', (gate) => {
    tf.tidy(() => {
      const [zeros, x] = [tf.zeros([1, 1, 5, 2]), tf.tensor(noise(10, 1), [1, 1, 5, 2])];
      const all = [zeros, x, x, tf.fill([1, 1, 5], gate), tf.zeros([1, 1, 5])] as Five;
      const { value, grads } = tf.valueAndGrads((...given: tf.Tensor[]) => tf.sum(mLstm(...(given as Five)).output))(
        all,
      );
      expect(value.dataSync()[0]).toBe(0);
      for (const gradient of grads) expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
    });
  });

  it('takes keys and values of size 0', () => {
    tf.tidy(() => {
      const gate = tf.tensor(noise(6, 1), [1, 2, 3]);
      for (const [keys, values] of [
        [0, 2],
        [2, 0],
      ] as const) {
        const k = tf.ones([1, 2, 3, keys]);
        const all = [k, k, tf.ones([1, 2, 3, values]), gate, gate] as Five;
        expect([...mLstm(...all).output.dataSync()]).toEqual(new Array(6 * values).fill(0));
        for (const gradient of tf.grads((...given: tf.Tensor[]) => tf.sum(mLstm(...(given as Five)).output))(all)) {
          expect(gradient.dataSync().every((x) => x === 0)).toBe(true);
        }
      }
    });
  });

  it('gives an initial maximum m the gradient of the factor exp(m) of memory and normaliser', () => {
    tf.tidy(() => {
      const { memory, normalizer, ...sequences } = tensorsOf(inputs) as Record<'memory' | 'normalizer', tf.Tensor>;
      const loss = (...given: tf.Tensor[]) => {
        const initialState = { memory: given[0]!, normalizer: given[1]!, maximum: given[2]! };
        const { output } = mLstm(...(Object.values(sequences) as unknown as Five), { initialState });
        return tf.sum(tf.mul(output, tf.tensor(noise(output.size, 8), output.shape)));
      };
      const [C, n] = [memory!, normalizer!];
      const [dC, dn, dm] = tf.grads(loss)([C, n, tf.tensor([0.5, -0.3, 0.2, 0.1], [batch, heads])]);
      const expected = tf.add(tf.sum(tf.mul(C, dC!), [2, 3]), tf.sum(tf.mul(n, dn!), 2));
      expectWithin(dm!.dataSync(), expected.dataSync(), 1e-5, 'gradient');
      expect(expected.dataSync().some((x) => Math.abs(x) > 0.01)).toBe(true);
    });
  });

  it('cut in two with the state carried over equals the whole, gradients included', () => {
    tf.tidy(() => {
      const { memory: _, normalizer: __, ...sequences } = tensorsOf(inputs);
      const names = Object.keys(sequences);
      const part = (all: tf.Tensor[], begin: number, size: number, initialState?: MLstmState) => {
        const [q, k, v, inputGate, forgetGate] = all.map((x) => tf.slice(x, [0, 0, begin], [-1, -1, size])) as Five;
        return mLstm(q, k, v, inputGate, forgetGate, { initialState });
      };
      const inTwo = (...all: tf.Tensor[]) => {
        const first = part(all, 0, 15);
        return tf.concat([first.output, part(all, 15, time - 15, first.finalState).output], 2);
      };
      const whole = (...all: tf.Tensor[]) => part(all, 0, time).output as tf.Tensor;
      const loss =
        (run: (...all: tf.Tensor[]) => tf.Tensor) =>
        (...all: tf.Tensor[]) =>
          tf.sum(tf.mul(run(...all), tf.tensor(noise(inputs['v']!.values.length, 8), inputs['v']!.shape)));
      const all = Object.values(sequences);
      expectWithin(inTwo(...all).dataSync(), whole(...all).dataSync(), 3e-6, 'output');
      const [actual, expected] = [tf.grads(loss(inTwo))(all), tf.grads(loss(whole))(all)];
      for (const [i, name] of names.entries()) {
        expectWithin(actual[i]!.dataSync(), expected[i]!.dataSync(), 1e-5, `gradient of ${name}`);
      }
    });
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const { memory: _, normalizer: __, ...sequences } = tensorsOf(inputs);
      const [q, k, v, inputGate, forgetGate] = Object.values(sequences).map((x) =>
        tf.slice(x, [0, 0, 0], [-1, -1, 6]),
      ) as Five;
      const whole = mLstm(q, k, v, inputGate, forgetGate);
      let state: MLstmState | undefined;
      const outputs = Array.from({ length: 6 }, (_, t) => {
        const at = (x: tf.Tensor) => tf.squeeze(tf.slice(x, [0, 0, t], [-1, -1, 1]), [2]);
        const step = mLstmStep(at(q), at(k), at(v), at(inputGate), at(forgetGate), state);
        state = step.state;
        return step.output;
      });
      expectWithin(tf.stack(outputs, 2).dataSync(), whole.output.dataSync(), 3e-6, 'output');
      expectWithin(state!.memory.dataSync(), whole.finalState.memory.dataSync(), 3e-6, 'memory');
      expectWithin(state!.maximum.dataSync(), whole.finalState.maximum.dataSync(), 1e-6, 'maximum');
    });
  });

  it('leaves no tensors behind', () => {
    const run = () =>
      tf.tidy(() => {
        const { memory: _, normalizer: __, ...sequences } = tensorsOf(inputs);
        const loss = (...all: tf.Tensor[]) => tf.sum(mLstm(...(all as Five)).output) as tf.Scalar;
        tf.grads(loss)(Object.values(sequences));
      });
    run();
    const { numTensors } = tf.memory();
    run();
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('keeps its state over no steps', () => {
    tf.tidy(() => {
      const empty = [keyDim, keyDim, valueDim].map((dim) => tf.zeros([1, 1, 0, dim])) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const initialState = {
        memory: tf.ones([1, 1, valueDim, keyDim]),
        normalizer: tf.ones([1, 1, keyDim]),
        maximum: tf.fill([1, 1], 3),
      };
      const { output, finalState } = mLstm(...empty, tf.zeros([1, 1, 0]), tf.zeros([1, 1, 0]), { initialState });
      expect(output.shape).toEqual([1, 1, 0, valueDim]);
      expect(finalState.maximum.dataSync()).toEqual(Float32Array.of(3));
      expect(finalState.memory.dataSync()).toEqual(initialState.memory.dataSync());
    });
  });
});

type Five = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
