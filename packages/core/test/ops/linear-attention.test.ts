import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import {
  deltaRule,
  dispose,
  gatedLinearAttention,
  gatedLinearAttentionStep,
  init,
  type LinearAttentionResult,
  linearAttention,
  linearAttentionStep,
} from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { type SumRuleReading, type SumRuleValues, sumRuleGradients, sumRuleReference } from '../reference/sum-rule.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise, noiseInput } from './against-reference.ts';

const engineDevices = await availableDevices();
const devices = [...engineDevices, ...composedDevices];

interface Case {
  readonly sizes: ScanSizes;
  readonly decay: 'none' | 'scalar' | 'vector';
  readonly normalize: boolean;
  readonly read: 'after' | 'before';
  readonly resets: boolean;
}

const caseArbitrary = fc.record<Case>({
  sizes: fc.record<ScanSizes>({
    batch: fc.constantFrom(1, 2, 3),
    heads: fc.constantFrom(1, 2),
    time: fc.constantFrom(1, 2, 5, 31, 33, 70),
    keyDim: fc.constantFrom(1, 3, 8, 17, 40),
    valueDim: fc.constantFrom(1, 4, 9, 35),
  }),
  decay: fc.constantFrom('none', 'scalar', 'vector'),
  normalize: fc.boolean(),
  read: fc.constantFrom('after', 'before'),
  resets: fc.boolean(),
});

/** Inputs of a case; with a normaliser, queries and keys are positive features. Some decays are exactly 0. */
function noiseInputs({ sizes, decay, normalize }: Case): Inputs {
  const { batch, heads, time, keyDim, valueDim } = sizes;
  const features = (shape: number[], seed: number) => {
    const input = noiseInput(shape, seed);
    return normalize ? { shape, values: input.values.map((x) => Math.abs(x) + 0.1) } : input;
  };
  const decayShape = [batch, heads, time, ...(decay === 'vector' ? [keyDim] : [])];
  const decays = noise(tf.util.sizeFromShape(decayShape), 4).map((x) => (x < -0.9 ? 0 : (x + 1) / 2));
  return {
    q: features([batch, heads, time, keyDim], 1),
    k: features([batch, heads, time, keyDim], 2),
    v: noiseInput([batch, heads, time, valueDim], 3),
    ...(decay === 'none' ? {} : { decay: { shape: decayShape, values: decays } }),
    initialState: noiseInput([batch, heads, valueDim, keyDim], 5),
    ...(normalize ? { initialNormalizer: features([batch, heads, keyDim], 6) } : {}),
  };
}

function resetsOf({ batch, time }: ScanSizes): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.7 ? 1 : 0));
}

const EPSILON = 0.01;

function apply(tensors: Record<string, tf.Tensor>, { sizes, normalize, read, resets }: Case): tf.Tensor[] {
  const { q, k, v, decay, initialState, initialNormalizer } = tensors as Record<'q' | 'k' | 'v', tf.Tensor> &
    Partial<Record<'decay' | 'initialState' | 'initialNormalizer', tf.Tensor>>;
  const resetMask = resets ? tf.tensor2d(resetsOf(sizes), [sizes.batch, sizes.time], 'bool') : undefined;
  const options = { normalize, epsilon: EPSILON, initialState, initialNormalizer, resetMask, read };
  return resultsOf(
    decay === undefined ? linearAttention(q, k, v, options) : gatedLinearAttention(q, k, v, decay, options),
  );
}

function resultsOf({ output, finalState, finalNormalizer }: LinearAttentionResult): tf.Tensor[] {
  return [output, finalState, ...(finalNormalizer === undefined ? [] : [finalNormalizer])];
}

function reference(values: Record<string, Float64Array>, { sizes, normalize, read, resets }: Case): Float64Array[] {
  const reading: SumRuleReading = { read, ...(normalize ? { denominator: (zq: number) => zq + EPSILON } : {}) };
  const all = { ...values, ...(resets ? { reset: resetsOf(sizes) } : {}) } as unknown as SumRuleValues;
  return sumRuleReference(all, sizes, reading).slice(0, normalize ? 3 : 2);
}

function tensorsOf(inputs: Inputs): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
  );
}

/** Results, and gradients of all inputs for fixed upstream gradients of all results. */
function valueAndGradients(testCase: Case): Float32Array[] {
  return tf.tidy(() => {
    const tensors = tensorsOf(noiseInputs(testCase));
    const names = Object.keys(tensors);
    const loss = (...given: tf.Tensor[]) =>
      apply(Object.fromEntries(names.map((name, index) => [name, given[index]!])), testCase)
        .map((result, index) => tf.sum(tf.mul(result, tf.tensor(noise(result.size, 20 + index), result.shape))))
        .reduce((a, b) => tf.add(a, b));
    const gradients = tf.grads(loss)(Object.values(tensors));
    return [...apply(tensors, testCase), ...gradients].map((x) => x.dataSync() as Float32Array);
  });
}

describe.each(devices)('linear attention on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything, decays of 0 and resets included', () => {
    fc.assert(
      fc.property(caseArbitrary, (testCase) => {
        expectMatchesReference({
          inputs: noiseInputs(testCase),
          operation: (tensors) => apply(tensors, testCase),
          reference: (values) => reference(values, testCase),
          tolerance: 1e-5,
        });
      }),
      { numRuns: 15 },
    );
  });

  it.each<Case['decay']>(['scalar', 'vector'])('loses no accuracy over long sequences, decay: %s', (decay) => {
    const sizes = { batch: 1, heads: 2, time: 120, keyDim: 20, valueDim: 12 };
    const inputs = noiseInputs({ sizes, decay, normalize: false, read: 'after', resets: false });
    const exact = Object.fromEntries(
      Object.entries(inputs).map(([name, { values }]) => [name, Float64Array.from(values)]),
    ) as unknown as Parameters<typeof sumRuleGradients>[0];
    const [output, finalState] = sumRuleReference(exact, sizes);
    const [dOutput, dFinalState] = [noise(output.length, 20), noise(finalState.length, 21)];
    const gradients = sumRuleGradients(exact, sizes, dOutput, dFinalState);
    const testCase: Case = { sizes, decay, normalize: false, read: 'after', resets: false };
    const [actual, actualState, ...actualGradients] = valueAndGradients(testCase);
    expect(relativeRms(actual!, output)).toBeLessThan(1e-5);
    expect(relativeRms(actualState!, finalState)).toBeLessThan(1e-5);
    for (const [index, name] of Object.keys(inputs).entries()) {
      expect(relativeRms(actualGradients[index]!, gradients[name as 'q']), `gradient of ${name}`).toBeLessThan(1e-5);
    }
  });

  it('is causal attention without softmax', () => {
    tf.tidy(() => {
      const { q, k, v } = tensorsOf(noiseInputs(SUM)) as Record<'q' | 'k' | 'v', tf.Tensor>;
      const scores = tf.linalg.bandPart(tf.matMul(q, k, false, true), -1, 0);
      expectWithin(linearAttention(q, k, v).output.dataSync(), tf.matMul(scores, v).dataSync(), 1e-6, 'output');
    });
  });

  it('recalls the values of orthonormal keys exactly, as the delta rule does', () => {
    tf.tidy(() => {
      const keys = tf.reshape(tf.eye(5), [1, 1, 5, 5]);
      const values = tf.tensor(noise(15, 1), [1, 1, 5, 3]);
      const { finalState } = linearAttention(keys, keys, values);
      expect(tf.matMul(keys, finalState, false, true).dataSync()).toEqual(values.dataSync());
      const delta = deltaRule(keys, keys, values, tf.ones([1, 1, 5]));
      expect(delta.finalState.dataSync()).toEqual(finalState.dataSync());
    });
  });

  it('gives weighted means of the values with a normaliser', () => {
    tf.tidy(() => {
      const { q, k } = tensorsOf(noiseInputs({ ...SUM, normalize: true })) as Record<'q' | 'k', tf.Tensor>;
      const { output } = linearAttention(q, k, tf.ones([2, 2, 37, 4]), { normalize: true });
      expectWithin(output.dataSync(), new Float32Array(output.size).fill(1), 1e-5, 'output');
    });
  });

  it('is the same with decays of 1, with equal decays for all channels, and with logarithms', () => {
    tf.tidy(() => {
      const { q, k, v } = tensorsOf(noiseInputs(SUM)) as Record<'q' | 'k' | 'v', tf.Tensor>;
      const sum = linearAttention(q, k, v).output.dataSync();
      expectWithin(gatedLinearAttention(q, k, v, tf.ones([2, 2, 37])).output.dataSync(), sum, 1e-6, 'decays of 1');
      const decay = tf.tensor(noise(2 * 2 * 37, 8).map(Math.abs), [2, 2, 37]);
      const gated = gatedLinearAttention(q, k, v, decay).output.dataSync();
      const byChannel = tf.tile(tf.expandDims(decay, 3), [1, 1, 1, 9]);
      expectWithin(gatedLinearAttention(q, k, v, byChannel).output.dataSync(), gated, 1e-6, 'by channel');
      const logarithms = gatedLinearAttention(q, k, v, tf.log(decay), { logDecay: true });
      expectWithin(logarithms.output.dataSync(), gated, 1e-5, 'logarithms');
    });
  });

  it('cut in two with the state carried over equals the whole, gradients included', () => {
    for (const decay of ['none', 'vector'] as const) {
      const testCase: Case = { ...SUM, decay, normalize: true };
      tf.tidy(() => {
        const tensors = tensorsOf(noiseInputs(testCase));
        const names = Object.keys(tensors);
        const inTwo = (given: Record<string, tf.Tensor>): tf.Tensor[] => {
          const part = (begin: number, size: number) =>
            Object.fromEntries(
              Object.entries(given).map(([name, x]) => [
                name,
                name.startsWith('initial') ? x : tf.slice(x, [0, 0, begin], [-1, -1, size]),
              ]),
            );
          const [first, state, normalizer] = apply(part(0, 14), testCase);
          const second = apply({ ...part(14, 23), initialState: state!, initialNormalizer: normalizer! }, testCase);
          return [tf.concat([first!, second[0]!], 2), second[1]!, second[2]!];
        };
        const loss =
          (run: (given: Record<string, tf.Tensor>) => tf.Tensor[]) =>
          (...given: tf.Tensor[]) =>
            run(Object.fromEntries(names.map((name, index) => [name, given[index]!])))
              .map((result, index) => tf.sum(tf.mul(result, tf.tensor(noise(result.size, 20 + index), result.shape))))
              .reduce((a, b) => tf.add(a, b));
        const whole = (given: Record<string, tf.Tensor>) => apply(given, testCase);
        const actual = [...inTwo(tensors), ...tf.grads(loss(inTwo))(Object.values(tensors))];
        const expected = [...whole(tensors), ...tf.grads(loss(whole))(Object.values(tensors))];
        for (const [index, result] of actual.entries()) {
          expect(relativeRms(result.dataSync(), expected[index]!.dataSync()), `result ${index}`).toBeLessThan(2e-6);
        }
      });
    }
  });

  it('step by step equals the whole', () => {
    for (const decay of ['none', 'scalar', 'vector'] as const) {
      for (const normalize of [false, true]) {
        tf.tidy(() => {
          const testCase: Case = { ...SUM, sizes: { ...SUM.sizes, time: 9 }, decay, normalize };
          const { q, k, v, decay: factors, initialState, initialNormalizer } = tensorsOf(noiseInputs(testCase));
          const expected = apply(tensorsOf(noiseInputs(testCase)), testCase);
          let step: { state: tf.Tensor; normalizer?: tf.Tensor } = {
            state: initialState!,
            ...(initialNormalizer === undefined ? {} : { normalizer: initialNormalizer }),
          };
          const outputs: tf.Tensor[] = [];
          for (let t = 0; t < testCase.sizes.time; t++) {
            const [qt, kt, vt] = [q!, k!, v!].map((x) => tf.squeeze(tf.slice(x, [0, 0, t], [-1, -1, 1]), [2])) as [
              tf.Tensor,
              tf.Tensor,
              tf.Tensor,
            ];
            const options = { normalizer: step.normalizer, epsilon: EPSILON };
            const result =
              factors === undefined
                ? linearAttentionStep(qt, kt, vt, step.state, options)
                : gatedLinearAttentionStep(
                    ...([qt, kt, vt, tf.squeeze(tf.slice(factors, [0, 0, t], [-1, -1, 1]), [2])] as const),
                    step.state,
                    options,
                  );
            outputs.push(result.output);
            step = result;
          }
          expectWithin(tf.stack(outputs, 2).dataSync(), expected[0]!.dataSync(), 3e-6, 'output');
          expectWithin(step.state.dataSync(), expected[1]!.dataSync(), 3e-6, 'state');
          if (normalize) expectWithin(step.normalizer!.dataSync(), expected[2]!.dataSync(), 3e-6, 'normaliser');
        });
      }
    }
  });

  it('takes sequences apart at resets', () => {
    tf.tidy(() => {
      const { q, k, v, decay } = tensorsOf(noiseInputs({ ...SUM, decay: 'vector' })) as Record<
        'q' | 'k' | 'v' | 'decay',
        tf.Tensor
      >;
      const reset = Array.from({ length: 2 * 37 }, (_, i) => (i % 37 === 20 ? 1 : 0));
      const resetMask = tf.tensor2d(reset, [2, 37], 'bool');
      const together = gatedLinearAttention(q, k, v, decay, { resetMask });
      const part = (begin: number, size: number) =>
        gatedLinearAttention(
          ...([q, k, v, decay].map((x) => tf.slice(x, [0, 0, begin], [-1, -1, size])) as [
            tf.Tensor,
            tf.Tensor,
            tf.Tensor,
            tf.Tensor,
          ]),
        );
      const [first, second] = [part(0, 20), part(20, 17)];
      const joined = tf.concat([first.output, second.output], 2).dataSync();
      expectWithin(together.output.dataSync(), joined, 2e-6, 'output');
      expectWithin(together.finalState.dataSync(), second.finalState.dataSync(), 2e-6, 'state');
    });
  });

  it('has second derivatives', () => {
    tf.tidy(() => {
      const testCase: Case = {
        ...SUM,
        sizes: { batch: 1, heads: 1, time: 5, keyDim: 3, valueDim: 2 },
        decay: 'vector',
      };
      const tensors = tensorsOf(noiseInputs(testCase));
      const energy = (k: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((x: tf.Tensor) => tf.sum(apply({ ...tensors, k: x }, testCase)[0]!))(k))) as tf.Scalar;
      const k = tensors['k']!;
      const gradient = tf.grad((decay: tf.Tensor) =>
        tf.sum(tf.square(tf.grad((x: tf.Tensor) => tf.sum(apply({ ...tensors, decay, k: x }, testCase)[0]!))(k))),
      )(tensors['decay']!);
      const decay = tensors['decay']!;
      const direction = tf.tensor(noise(decay.size, 5), decay.shape);
      const expected = tf.sum(tf.mul(gradient, direction)).dataSync()[0]!;
      const [above, below] = [1, -1].map((sign) => {
        tensors['decay'] = tf.add(decay, tf.mul(direction, sign * 0.01));
        return energy(k).dataSync()[0]!;
      });
      expect((above! - below!) / 0.02).toBeCloseTo(expected, 1);
    });
  });

  it('accepts empty batches and sequences', () => {
    const noTime: Case = { ...SUM, sizes: { ...SUM.sizes, time: 0 }, decay: 'vector', normalize: true };
    const inputs = noiseInputs(noTime);
    const [output, finalState, finalNormalizer, ...gradients] = valueAndGradients(noTime);
    expect(output!.length).toBe(0);
    expect(finalState).toEqual(inputs['initialState']!.values);
    expect(finalNormalizer).toEqual(inputs['initialNormalizer']!.values);
    expect(gradients.at(-2)).toEqual(noise(finalState!.length, 21));
    const noBatch = valueAndGradients({ ...noTime, sizes: { ...SUM.sizes, batch: 0 } });
    expect(noBatch.every((values) => values.length === 0)).toBe(true);
  });

  it.each<Case['decay']>(['none', 'scalar', 'vector'])('reads nothing by keys of size 0, decay: %s', (decay) => {
    for (const normalize of [false, true]) {
      for (const read of ['after', 'before'] as const) {
        const sizes = { batch: 2, heads: 1, time: 40, keyDim: 0, valueDim: 3 };
        const [output, ...others] = valueAndGradients({ sizes, decay, normalize, read, resets: true });
        expect([...output!]).toEqual(new Array(240).fill(0));
        expect(others.every((values) => values.every((x) => x === 0))).toBe(true);
      }
    }
  });

  it('takes values of size 0', () => {
    for (const normalize of [false, true]) {
      const testCase: Case = { ...SUM, sizes: { ...SUM.sizes, valueDim: 0 }, decay: 'scalar', normalize };
      const [output, ...others] = valueAndGradients(testCase);
      expect(output!.length).toBe(0);
      expect(others.every((values) => values.every(Number.isFinite))).toBe(true);
    }
  });

  it('rejects what does not fit', () => {
    tf.tidy(() => {
      const [q, v] = [tf.zeros([2, 3, 4, 5]), tf.zeros([2, 3, 4, 6])];
      expect(() => linearAttention(q, tf.zeros([2, 3, 4, 7]), v)).toThrow(/linearAttention: k .*keyDim = 5/);
      expect(() => linearAttention(q, q, v, { initialNormalizer: tf.zeros([2, 3, 5]) })).toThrow(/normalize: true/);
      expect(() => linearAttention(q, q, v, { normalize: true, epsilon: -1 })).toThrow(/epsilon .*at least 0/);
      expect(() => gatedLinearAttention(q, q, v, tf.zeros([2, 3, 5]))).toThrow(/decay .*time = 4/);
      expect(() => gatedLinearAttention(q, q, v, tf.zeros([2, 3, 4, 6]))).toThrow(/decay .*keyDim = 5/);
      const [key, value, state] = [tf.zeros([2, 3, 5]), tf.zeros([2, 3, 6]), tf.zeros([2, 3, 6, 5])];
      expect(() => gatedLinearAttentionStep(key, key, value, tf.zeros([3]), state)).toThrow(
        /gatedLinearAttentionStep: decay .* 1 dimension instead of 2/,
      );
      expect(() => gatedLinearAttentionStep(key, key, value, value, state)).toThrow(/Step: decay .*keyDim = 5/);
    });
  });
});

describe.each(engineDevices)('the kernel of linear attention on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each<Case['decay']>(['none', 'scalar', 'vector'])(
    'is right for large states and few heads, decay: %s',
    (decay) => {
      // Lanes are cut into groups for parallelism, and the decayed state goes through several stored ones.
      const testCase: Case = {
        sizes: { batch: 1, heads: 1, time: 70, keyDim: 130, valueDim: 100 },
        ...{ decay, normalize: true, read: 'after', resets: true },
      };
      expectMatchesReference({
        inputs: noiseInputs(testCase),
        operation: (tensors) => apply(tensors, testCase),
        reference: (values) => reference(values, testCase),
        tolerance: 1e-5,
      });
    },
  );

  it('gives the same bits for every number of threads', async () => {
    const cases: Case[] = (['none', 'scalar', 'vector'] as const).flatMap((decay) =>
      [1, 5].map((heads) => ({
        ...{ decay, normalize: true, read: 'after', resets: true },
        sizes: { batch: 2, heads, time: 70, keyDim: 33, valueDim: 70 },
      })),
    );
    await expectSameBitsForAllThreads(options, () =>
      cases.flatMap((testCase) => valueAndGradients(testCase).map((values) => values.slice())),
    );
  });

  it('forgets everything at a reset, NaN included', () => {
    tf.tidy(() => {
      const testCase: Case = { ...SUM, sizes: { batch: 1, heads: 1, time: 4, keyDim: 3, valueDim: 2 } };
      const tensors = { ...tensorsOf(noiseInputs(testCase)), initialState: tf.fill([1, 1, 2, 3], Number.NaN) };
      const resetMask = tf.tensor2d([0, 0, 1, 0], [1, 4], 'bool');
      const { q, k, v, initialState } = tensors as unknown as Record<'q' | 'k' | 'v' | 'initialState', tf.Tensor>;
      const values = [...linearAttention(q, k, v, { initialState, resetMask }).output.dataSync()];
      expect(values.slice(0, 4).every(Number.isNaN)).toBe(true);
      expect(values.slice(4).every(Number.isFinite)).toBe(true);
    });
  });

  it('leaves nothing allocated', () => {
    const testCase: Case = { ...SUM, decay: 'vector', normalize: true, resets: true };
    valueAndGradients(testCase);
    const backend = engineBackend()!;
    const before = { tensors: tf.memory().numTensors, bytes: backend.engine.statistics().liveBytes };
    for (let i = 0; i < 20; i++) valueAndGradients(testCase);
    expect({ tensors: tf.memory().numTensors, bytes: backend.engine.statistics().liveBytes }).toEqual(before);
  });
});

/** The sum rule without anything else. */
const SUM: Case = {
  sizes: { batch: 2, heads: 2, time: 37, keyDim: 9, valueDim: 4 },
  ...{ decay: 'none', normalize: false, read: 'after', resets: false },
};

function relativeRms(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let [error, size] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(error / size);
}
