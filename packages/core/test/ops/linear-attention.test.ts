import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import {
  dispose,
  gatedLinearAttention,
  gatedLinearAttentionStep,
  init,
  type LinearAttentionResult,
  linearAttention,
  linearAttentionStep,
} from '../../src/index.ts';
import { availableDevices, type TestDevice } from '../devices.ts';
import type { ScanSizes } from '../reference/delta-rule.ts';
import { type SumRuleReading, type SumRuleValues, sumRuleReference } from '../reference/sum-rule.ts';
import {
  expectMatchesReference,
  expectSameBits,
  expectWithin,
  type Inputs,
  noise,
  noiseInput,
} from './against-reference.ts';

const engineDevices = await availableDevices();
const devices: TestDevice[] = [...engineDevices, { name: 'tfjs-cpu', options: { device: 'cpu' } }];

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
      { numRuns: 20 },
    );
  });
});
