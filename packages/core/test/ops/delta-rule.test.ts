import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  deltaRule,
  deltaRuleStep,
  dispose,
  gatedDeltaRule,
  gatedDeltaRuleStep,
  gatedLinearAttention,
  init,
  type ScanOptions,
  type ScanResult,
} from '../../src/index.ts';
import { availableDevices, composedDevices, isComposed } from '../devices.ts';
import { expectNothingLeft, expectSameBitsForAllThreads } from '../engine-properties.ts';
import { type DeltaRuleValues, deltaRuleReference, type ScanSizes } from '../reference/delta-rule.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise, noiseInput } from './against-reference.ts';
import {
  expectRelativeErrors,
  valuesAndGradients as resultsAndGradients,
  type Tensors,
  tensorsOf,
} from './scan-cases.ts';

const engineDevices = await availableDevices();
const devices = [...engineDevices, ...composedDevices];

const casesArbitrary = fc.record({
  sizes: fc.record<ScanSizes>({
    batch: fc.constantFrom(1, 2, 3),
    heads: fc.constantFrom(1, 2),
    time: fc.constantFrom(1, 2, 5, 31, 33, 70),
    keyDim: fc.constantFrom(1, 3, 8, 17),
    valueDim: fc.constantFrom(1, 4, 9, 35),
  }),
  gated: fc.boolean(),
  resets: fc.boolean(),
  read: fc.constantFrom<'after' | 'before'>('after', 'before'),
});

/** Keys of length about 1, write strengths in (0, 1.5), decays in [0, 1), a few of them 0. */
function noiseInputs({ batch, heads, time, keyDim, valueDim }: ScanSizes, gated: boolean): Inputs {
  const gate = (seed: number, most: number) => ({
    shape: [batch, heads, time],
    values: noise(batch * heads * time, seed).map((x) => (x < -0.95 ? 0 : ((x + 1) / 2) * most)),
  });
  return {
    q: noiseInput([batch, heads, time, keyDim], 1),
    k: noiseInput([batch, heads, time, keyDim], 2, 1.7 / Math.sqrt(keyDim)),
    v: noiseInput([batch, heads, time, valueDim], 3),
    beta: gate(4, 1.5),
    initialState: noiseInput([batch, heads, valueDim, keyDim], 5),
    ...(gated ? { decay: gate(6, 1) } : {}),
  };
}

function resetsOf({ batch, time }: ScanSizes): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.7 ? 1 : 0));
}

function apply({ q, k, v, beta, decay, initialState }: Tensors, options: ScanOptions = {}): ScanResult {
  const all = { initialState, ...options };
  return decay === undefined ? deltaRule(q!, k!, v!, beta!, all) : gatedDeltaRule(q!, k!, v!, beta!, decay, all);
}

/** The steps `from` to `to` of everything that has steps. */
function steps(tensors: Tensors, from: number, to: number): Tensors {
  const cut = ([name, x]: [string, tf.Tensor]): [string, tf.Tensor] => {
    if (name === 'initialState') return [name, x];
    const size = x.shape.map((extent, axis) => (axis === 2 ? to - from : extent));
    return [name, tf.slice(x, [0, 0, from], size.slice(0, 3))];
  };
  return Object.fromEntries(Object.entries(tensors).map(cut));
}

/** Results, and gradients of all inputs for a fixed loss on both results. */
const valuesAndGradients = (inputs: Inputs, run: (tensors: Tensors) => ScanResult): Float32Array[] =>
  resultsAndGradients(inputs, (tensors) => {
    const { output, finalState } = run(tensors);
    return [output, finalState];
  });

describe.each(devices)('delta rule on $name', ({ name, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything, resets and decays of 0 included', () => {
    fc.assert(
      fc.property(casesArbitrary, ({ sizes, gated, resets, read }) => {
        const reset = resets ? resetsOf(sizes) : undefined;
        expectMatchesReference({
          inputs: noiseInputs(sizes, gated),
          operation: (tensors) => {
            const resetMask = reset && tf.tensor2d(reset, [sizes.batch, sizes.time], 'bool');
            const { output, finalState } = apply(tensors, { resetMask, read });
            return [output, finalState];
          },
          reference: (values) => {
            const all = values as unknown as DeltaRuleValues;
            return deltaRuleReference(reset === undefined ? all : { ...all, reset }, sizes, read);
          },
          tolerance: 1e-5,
        });
      }),
      { numRuns: isComposed(name) ? 8 : 20 },
    );
  });

  it.each([
    [16, 16],
    [64, 64],
    [64, 100],
    [130, 66],
  ])('keeps its precision with keys of %i and values of %i', (keyDim, valueDim) => {
    const sizes = { batch: 1, heads: 1, time: isComposed(name) ? 40 : 200, keyDim, valueDim };
    for (const gated of [false, true]) {
      const inputs = noiseInputs(sizes, gated);
      const expected = referenceGradients(inputs, sizes);
      expectRelativeErrors(valuesAndGradients(inputs, apply), expected, 1e-5);
    }
  });

  it('gives the same in pieces, the state carried over, gradients included', () => {
    const sizes = { batch: 1, heads: 2, time: 45, keyDim: 7, valueDim: 10 };
    for (const gated of isComposed(name) ? [true] : [false, true]) {
      for (const read of ['after', 'before'] as const) {
        const inputs = noiseInputs(sizes, gated);
        const whole = valuesAndGradients(inputs, (tensors) => apply(tensors, { read }));
        const split = valuesAndGradients(inputs, (tensors) => {
          const outputs: tf.Tensor[] = [];
          let state = tensors['initialState']!;
          for (const [from, to] of [
            [0, 1],
            [1, 33],
            [33, 33],
            [33, 45],
          ] as const) {
            const { output, finalState } = apply(steps(tensors, from, to), { initialState: state, read });
            outputs.push(output);
            state = finalState;
          }
          return { output: tf.concat(outputs, 2) as tf.Tensor4D, finalState: state as tf.Tensor4D };
        });
        expectRelativeErrors(split, whole, 2e-6);
      }
    }
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 2, heads: 3, time: 9, keyDim: 5, valueDim: 18 }, true));
      const { q, k, v, beta, decay, initialState } = tensors as Record<string, tf.Tensor>;
      for (const gated of [false, true]) {
        const { output, finalState } = apply(gated ? tensors : { ...tensors, decay: undefined! });
        let state = initialState!;
        const outputs = tf
          .range(0, 9)
          .arraySync()
          .map((t) => {
            const at = (x: tf.Tensor) => tf.gather(x, t, 2);
            const step = gated
              ? gatedDeltaRuleStep(at(q!), at(k!), at(v!), at(beta!), at(decay!), state)
              : deltaRuleStep(at(q!), at(k!), at(v!), at(beta!), state);
            state = step.state;
            return step.output;
          });
        expectWithin(tf.stack(outputs, 2).dataSync(), output.dataSync(), 2e-6, 'output');
        expectWithin(state.dataSync(), finalState.dataSync(), 2e-6, 'state');
      }
    });
  });

  it('treats what a reset mask separates as sequences of their own', () => {
    const sizes = { batch: 1, heads: 2, time: 50, keyDim: 6, valueDim: 5 };
    const starts = [0, 13, 34, 50];
    for (const gated of [false, true]) {
      const { initialState: _, ...inputs } = noiseInputs(sizes, gated);
      const resetMask = tf.tensor2d(
        Array.from({ length: 50 }, (_, t) => (starts.includes(t) ? 1 : 0)),
        [1, 50],
        'bool',
      );
      const masked = valuesAndGradients(inputs, (tensors) => apply(tensors, { resetMask }));
      const separate = valuesAndGradients(inputs, (tensors) => {
        const parts = starts.slice(1).map((end, index) => apply(steps(tensors, starts[index]!, end)));
        const output = tf.concat(
          parts.map((part) => part.output),
          2,
        ) as tf.Tensor4D;
        return { output, finalState: parts.at(-1)!.finalState };
      });
      expectRelativeErrors(masked, separate, 2e-6);
    }
  });

  it('takes decays as logarithms', () => {
    const inputs = noiseInputs({ batch: 1, heads: 2, time: 40, keyDim: 4, valueDim: 6 }, true);
    const factors = inputs['decay']!.values.map((x) => x + 0.01);
    const asFactors = valuesAndGradients({ ...inputs, decay: { ...inputs['decay']!, values: factors } }, apply);
    const logarithms = { ...inputs, decay: { ...inputs['decay']!, values: factors.map(Math.log) } };
    const asLogarithms = valuesAndGradients(logarithms, ({ q, k, v, beta, decay, initialState }) =>
      gatedDeltaRule(q!, k!, v!, beta!, decay!, { initialState, logDecay: true }),
    );
    // d/d(log a) = a · d/da.
    asFactors[7] = asFactors[7]!.map((x, i) => x * factors[i]!);
    expectRelativeErrors(asLogarithms, asFactors, 2e-6);
  });

  it('with decays of 1 is the delta rule', () => {
    const inputs = noiseInputs({ batch: 2, heads: 2, time: 40, keyDim: 9, valueDim: 6 }, false);
    const plain = valuesAndGradients(inputs, apply);
    const gated = valuesAndGradients(inputs, (tensors) => apply({ ...tensors, decay: tf.ones([2, 2, 40]) }));
    expectRelativeErrors(gated, plain, 2e-6);
  });

  it('is a decaying sum where what is stored is small beside what is written', () => {
    tf.tidy(() => {
      const { q, k, v, decay } = tensorsOf(noiseInputs({ batch: 1, heads: 2, time: 40, keyDim: 4, valueDim: 6 }, true));
      const [keys, values] = [tf.mul(k!, 1e-3), tf.mul(v!, 1e3)];
      const { output } = gatedDeltaRule(q!, keys, values, tf.ones([1, 2, 40]), decay!);
      const sum = gatedLinearAttention(q!, keys, values, decay!).output;
      expectWithin(output.dataSync(), sum.dataSync(), 1e-5, 'output');
    });
  });

  // Numeric checks of "Linear Transformers are secretly fast weight programmers".
  it('stores orthonormal keys as the sum rule does, and exactly', () => {
    tf.tidy(() => {
      const keys = tf.reshape(tf.eye(6), [1, 1, 6, 6]);
      const values = tf.tensor(noise(24, 3), [1, 1, 6, 4]);
      const { output, finalState } = deltaRule(keys, keys, values, tf.ones([1, 1, 6]));
      expectWithin(finalState.dataSync(), tf.matMul(values, keys, true, false).dataSync(), 1e-7, 'state');
      expectWithin(output.dataSync(), values.dataSync(), 1e-7, 'recalled');
    });
  });

  it('replaces what was stored under a key of length 1 (β = 1), and with β = 2 reflects', () => {
    tf.tidy(() => {
      const key = tf.tensor([0.6, 0.8, 0]);
      const keys = tf.tile(tf.reshape(key, [1, 1, 1, 3]), [1, 1, 5, 1]);
      const values = tf.tensor(noise(10, 3), [1, 1, 5, 2]);
      expectWithin(
        deltaRule(keys, keys, values, tf.ones([1, 1, 5])).output.dataSync(),
        values.dataSync(),
        1e-6,
        'last write',
      );
      const initialState = tf.tensor(noise(6, 4), [1, 1, 2, 3]);
      const twice = steps({ keys }, 0, 2)['keys']!;
      const { finalState } = deltaRule(twice, twice, tf.zeros([1, 1, 2, 2]), tf.fill([1, 1, 2], 2), { initialState });
      expectWithin(finalState.dataSync(), initialState.dataSync(), 1e-6, 'reflected twice');
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const tensors = tensorsOf(noiseInputs({ batch: 1, heads: 1, time: 3, keyDim: 2, valueDim: 3 }, true));
      const energy = (k: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((x: tf.Tensor) => tf.sum(apply({ ...tensors, k: x }).output))(k))) as tf.Scalar;
      const direction = tf.tensor(noise(6, 5), [1, 1, 3, 2]);
      const k = tensors['k']!;
      const expected = tf.sum(tf.mul(tf.grad(energy)(k), direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map((sign) => energy(tf.add(k, tf.mul(direction, sign * 0.01))).dataSync()[0]!);
      expect((above! - below!) / 0.02 / expected).toBeCloseTo(1, 2);
    });
  });

  it('accepts empty batches and sequences', () => {
    tf.tidy(() => {
      const nothing = tf.zeros([2, 1, 0, 3]);
      expect(deltaRule(nothing, nothing, nothing, tf.zeros([2, 1, 0])).finalState.dataSync()).toEqual(
        new Float32Array(18),
      );
      for (const gated of [false, true]) {
        const inputs = noiseInputs({ batch: 2, heads: 1, time: 0, keyDim: 3, valueDim: 4 }, gated);
        const [output, finalState, ...gradients] = valuesAndGradients(inputs, apply);
        expect(output!.length).toBe(0);
        expect(finalState).toEqual(inputs['initialState']!.values);
        expect(gradients[4]).toEqual(noise(24, 21));
        for (const size of [{ batch: 0 }, { keyDim: 0 }, { valueDim: 0 }]) {
          const given = noiseInputs({ batch: 1, heads: 2, time: 3, keyDim: 3, valueDim: 4, ...size }, gated);
          const results = valuesAndGradients(given, apply);
          expect(results[0]!.length).toBe('keyDim' in size ? 24 : 0);
          expect(results.every((values) => Array.from(values).every((x) => x === 0))).toBe(true);
        }
      }
    });
  });
});

/** Results and gradients of the loss of {@link valuesAndGradients}, in float64, by the two sweeps that the kernels take. */
function referenceGradients(inputs: Inputs, sizes: ScanSizes): ArrayLike<number>[] {
  const { q, k, v, beta, initialState, decay } = Object.fromEntries(
    Object.entries(inputs).map(([name, { values }]) => [name, Float64Array.from(values)]),
  ) as Record<string, Float64Array>;
  const { time, keyDim: n, valueDim: m } = sizes;
  const [output, finalState] = deltaRuleReference(
    { q: q!, k: k!, v: v!, beta: beta!, initialState: initialState!, ...(decay ? { decay } : {}) },
    sizes,
  );
  const dy = noise(output.length, 20);
  const G = Float64Array.from(noise(finalState.length, 21));
  // All states S_0 … S_T, and what each step wrote.
  const states = [initialState!.slice()];
  const errors: Float64Array[] = [];
  for (let t = 0; t < time; t++) {
    const S = states[t]!.map((x) => x * (decay?.[t] ?? 1));
    const e = v!.slice(t * m, (t + 1) * m);
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) e[i] = e[i]! - S[i * n + j]! * k![t * n + j]!;
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) S[i * n + j] = S[i * n + j]! + beta![t]! * e[i]! * k![t * n + j]!;
    states.push(S);
    errors.push(e);
  }
  const gradients = [q!, k!, v!, beta!].map((x) => new Float64Array(x.length));
  const [dq, dk, dv, dBeta] = gradients as [Float64Array, Float64Array, Float64Array, Float64Array];
  const dDecay = new Float64Array(time);
  for (let t = time - 1; t >= 0; t--) {
    const [before, after, a] = [states[t]!, states[t + 1]!, decay?.[t] ?? 1];
    for (let i = 0; i < m; i++) {
      let d = 0;
      for (let j = 0; j < n; j++) {
        dq[t * n + j] = dq[t * n + j]! + after[i * n + j]! * dy[t * m + i]!;
        G[i * n + j] = G[i * n + j]! + dy[t * m + i]! * q![t * n + j]!;
        d += G[i * n + j]! * k![t * n + j]!;
      }
      dBeta[t] = dBeta[t]! + d * errors[t]![i]!;
      dv[t * m + i] = beta![t]! * d;
      for (let j = 0; j < n; j++) {
        const write = beta![t]! * errors[t]![i]!;
        dk[t * n + j] = dk[t * n + j]! + G[i * n + j]! * write - a * before[i * n + j]! * dv[t * m + i]!;
        G[i * n + j] = G[i * n + j]! - dv[t * m + i]! * k![t * n + j]!;
        dDecay[t] = dDecay[t]! + G[i * n + j]! * before[i * n + j]!;
        G[i * n + j] = G[i * n + j]! * a;
      }
    }
  }
  return [output, finalState, ...gradients, G, ...(decay ? [dDecay] : [])];
}

describe('delta rule', () => {
  afterAll(dispose);

  it('has a float64 gradient that equals finite differences', () => {
    const sizes = { batch: 1, heads: 1, time: 11, keyDim: 5, valueDim: 2 };
    const inputs = noiseInputs(sizes, true);
    const exact = Object.fromEntries(
      Object.entries(inputs).map(([name, { values }]) => [name, Float64Array.from(values)]),
    );
    const loss = (values: Record<string, Float64Array>) =>
      deltaRuleReference(values as unknown as DeltaRuleValues, sizes).reduce(
        (sum, result, index) => sum + result.reduce((s, x, i) => s + x * noise(result.length, 20 + index)[i]!, 0),
        0,
      );
    const gradients = referenceGradients(inputs, sizes).slice(2);
    for (const [index, name] of Object.keys(inputs).entries()) {
      const step = 1e-5;
      for (let i = 0; i < exact[name]!.length; i++) {
        const moved = (sign: number) => {
          const values = exact[name]!.slice();
          values[i] = values[i]! + sign * step;
          return loss({ ...exact, [name]: values });
        };
        const slope = (moved(1) - moved(-1)) / (2 * step);
        expect(Math.abs(slope - gradients[index]![i]!), `${name}[${i}]`).toBeLessThan(1e-8);
      }
    }
  });

  it('gives the same bits for every number of threads', async () => {
    for (const { options } of engineDevices) {
      for (const sizes of [
        { batch: 5, heads: 3, time: 70, keyDim: 20, valueDim: 40 },
        { batch: 1, heads: 1, time: 100, keyDim: 33, valueDim: 100 },
      ]) {
        await expectSameBitsForAllThreads(options, () =>
          [false, true].flatMap((gated) => valuesAndGradients(noiseInputs(sizes, gated), apply)),
        );
      }
    }
  });

  it('forgets everything at a reset, NaN included, and leaves nothing behind', async () => {
    for (const { options } of engineDevices) {
      await init(options);
      const sizes = { batch: 1, heads: 1, time: 4, keyDim: 3, valueDim: 3 };
      const run = (): number[] =>
        tf.tidy(() => {
          const inputs = noiseInputs(sizes, true);
          inputs['initialState']!.values.fill(Number.NaN);
          const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
          return [...valuesAndGradients(inputs, (tensors) => apply(tensors, { resetMask }))[0]!];
        });
      const values = run();
      expect(values.slice(0, 6).every(Number.isNaN)).toBe(true);
      expect(values.slice(6).every(Number.isFinite)).toBe(true);
      expectNothingLeft(run);
    }
  });

  it('says what is wrong with an argument', async () => {
    await init({ device: 'cpu' });
    tf.tidy(() => {
      const [q, v, beta] = [tf.zeros([1, 2, 5, 3]), tf.zeros([1, 2, 5, 4]), tf.zeros([1, 2, 5])];
      expect(() => deltaRule(q, tf.zeros([1, 2, 4, 3]), v, beta)).toThrow(/deltaRule: k .* 4 instead of 5/);
      expect(() => deltaRule(q, q, v, tf.zeros([1, 2, 5, 1]))).toThrow(/deltaRule: beta .* 4 dimensions instead of 3/);
      expect(() => gatedDeltaRule(q, q, v, beta, tf.zeros([1, 2, 5, 3]))).toThrow(/gatedDeltaRule: decay/);
      expect(() => deltaRule(q, q, v, beta, { initialState: tf.zeros([1, 2, 3, 4]) })).toThrow(
        /initialState .* 3 instead of 4/,
      );
      expect(() => deltaRule(q, q, v, beta, { resetMask: tf.zeros([1, 5]) })).toThrow(/resetMask must be bool/);
      expect(() => deltaRule(q, q, v, beta, { read: 'never' as 'after' })).toThrow(/'after' or 'before'/);
      expect(() => deltaRuleStep(q, q, v, beta, v)).toThrow(/deltaRuleStep: q/);
      const [key, value, state] = [tf.zeros([1, 2, 3]), tf.zeros([1, 2, 4]), tf.zeros([1, 2, 4, 3])];
      expect(() => deltaRuleStep(key, key, value, 0.5 as never, state)).toThrow(/deltaRuleStep: beta must be a tensor/);
      expect(() => deltaRuleStep(key, key, value, tf.zeros([2]), state)).toThrow(
        /deltaRuleStep: beta .* 1 dimension instead of 2/,
      );
      expect(() => gatedDeltaRuleStep(key, key, value, tf.zeros([1, 2]), key, state)).toThrow(
        /gatedDeltaRuleStep: decay .* 3 dimensions instead of 2/,
      );
    });
  });
});
