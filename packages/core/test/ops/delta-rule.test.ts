import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deltaRule, dispose, gatedDeltaRule, init, type ScanOptions, type ScanResult } from '../../src/index.ts';
import { availableDevices, type TestDevice } from '../devices.ts';
import { deltaRuleReference, type ScanSizes } from '../reference/delta-rule.ts';
import { expectMatchesReference, type Inputs, noise, noiseInput } from './against-reference.ts';

const engineDevices = await availableDevices();
const devices: TestDevice[] = [...engineDevices, { name: 'tfjs-cpu', options: { device: 'cpu' } }];

const sizesArbitrary = fc.record<ScanSizes>({
  batch: fc.constantFrom(1, 2, 3),
  heads: fc.constantFrom(1, 2),
  time: fc.constantFrom(1, 2, 5, 31, 33, 70),
  keyDim: fc.constantFrom(1, 3, 8, 17),
  valueDim: fc.constantFrom(1, 4, 9, 35),
});
const casesArbitrary = fc.record({
  sizes: sizesArbitrary,
  gated: fc.boolean(),
  resets: fc.boolean(),
  read: fc.constantFrom<'after' | 'before'>('after', 'before'),
});

/** Keys of length about 1, write strengths in (0, 2), decays in (0, 1). */
function noiseInputs({ batch, heads, time, keyDim, valueDim }: ScanSizes, gated: boolean): Inputs {
  const gate = (seed: number, most: number) => ({
    shape: [batch, heads, time],
    values: noise(batch * heads * time, seed).map((x) => ((x + 1) / 2) * most),
  });
  return {
    q: noiseInput([batch, heads, time, keyDim], 1),
    k: noiseInput([batch, heads, time, keyDim], 2, 1 / Math.sqrt(keyDim)),
    v: noiseInput([batch, heads, time, valueDim], 3),
    beta: gate(4, 1.5),
    initialState: noiseInput([batch, heads, valueDim, keyDim], 5),
    ...(gated ? { decay: gate(6, 1) } : {}),
  };
}

function resetsOf({ batch, time }: ScanSizes): number[] {
  return Array.from(noise(batch * time, 9), (x) => (x > 0.7 ? 1 : 0));
}

function apply(tensors: Record<string, tf.Tensor>, options: ScanOptions = {}): ScanResult {
  const { q, k, v, beta, decay, initialState } = tensors as Record<string, tf.Tensor>;
  const all = { initialState, ...options };
  return decay === undefined ? deltaRule(q!, k!, v!, beta!, all) : gatedDeltaRule(q!, k!, v!, beta!, decay, all);
}

describe.each(devices)('delta rule on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything', () => {
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
          reference: (values) =>
            deltaRuleReference({ ...(values as never), ...(reset === undefined ? {} : { reset }) }, sizes, read),
          tolerance: 1e-5,
        });
      }),
      { numRuns: 12 },
    );
  });
});
