import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispose, init, ojaRule, ojaRuleStep } from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import type { DeltaRuleValues, ScanSizes } from '../reference/delta-rule.ts';
import { ojaRuleReference } from '../reference/oja-rule.ts';
import { expectMatchesReference, expectWithin, type Inputs, noise, noiseInput } from './against-reference.ts';
import { valuesAndGradients } from './scan-cases.ts';

const devices = [...(await availableDevices()), ...composedDevices];

const sizesArbitrary = fc.record<ScanSizes>({
  batch: fc.constantFrom(1, 2),
  heads: fc.constantFrom(1, 3),
  time: fc.constantFrom(1, 2, 5, 33),
  keyDim: fc.constantFrom(1, 3, 8, 17),
  valueDim: fc.constantFrom(1, 4, 9),
});

/** Values of length 1 at most, so that the rule is stable. */
function noiseInputs({ batch, heads, time, keyDim, valueDim }: ScanSizes): Inputs {
  return {
    q: noiseInput([batch, heads, time, keyDim], 1),
    k: noiseInput([batch, heads, time, keyDim], 2),
    v: noiseInput([batch, heads, time, valueDim], 3, 1 / Math.sqrt(valueDim)),
    beta: { shape: [batch, heads, time], values: noise(batch * heads * time, 4).map(Math.abs) },
    initialState: noiseInput([batch, heads, valueDim, keyDim], 5),
  };
}

function tensorsOf(inputs: Inputs): Record<'q' | 'k' | 'v' | 'beta' | 'initialState', tf.Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
  ) as never;
}

describe.each(devices)("Oja's rule on $name", ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('follows its equations, with exact gradients of everything', () => {
    fc.assert(
      fc.property(
        sizesArbitrary,
        fc.boolean(),
        fc.constantFrom('after' as const, 'before' as const),
        (sizes, resets, read) => {
          const reset = resets
            ? Array.from(noise(sizes.batch * sizes.time, 9), (x) => (x > 0.7 ? 1 : 0))
            : new Array<number>(sizes.batch * sizes.time).fill(0);
          expectMatchesReference({
            inputs: noiseInputs(sizes),
            operation: (tensors) => {
              const { q, k, v, beta, initialState } = tensors as ReturnType<typeof tensorsOf>;
              const resetMask = resets ? tf.tensor2d(reset, [sizes.batch, sizes.time], 'bool') : undefined;
              const { output, finalState } = ojaRule(q, k, v, beta, { initialState, resetMask, read });
              return [output, finalState];
            },
            reference: (values) => ojaRuleReference({ ...(values as unknown as DeltaRuleValues), reset }, sizes, read),
            tolerance: 1e-5,
          });
        },
      ),
      { numRuns: 12 },
    );
  });

  it('takes keys and values of size 0', () => {
    for (const empty of ['keyDim', 'valueDim'] as const) {
      const sizes = { batch: 1, heads: 2, time: 3, keyDim: 2, valueDim: 2, [empty]: 0 };
      const results = valuesAndGradients(noiseInputs(sizes), (tensors) => {
        const { q, k, v, beta, initialState } = tensors as ReturnType<typeof tensorsOf>;
        return [ojaRule(q, k, v, beta, { initialState }).output];
      });
      expect(results[0]!.length).toBe(empty === 'keyDim' ? 12 : 0);
      expect(results.every((values) => values.every((x) => x === 0))).toBe(true);
    }
  });

  it('step by step equals the whole', () => {
    tf.tidy(() => {
      const sizes = { batch: 2, heads: 2, time: 6, keyDim: 5, valueDim: 3 };
      const { q, k, v, beta, initialState } = tensorsOf(noiseInputs(sizes));
      const whole = ojaRule(q, k, v, beta, { initialState });
      let state: tf.Tensor = initialState;
      const outputs = Array.from({ length: sizes.time }, (_, t) => {
        const [qt, kt, vt, rate] = [q, k, v, beta].map((x) => tf.squeeze(tf.slice(x, [0, 0, t], [-1, -1, 1]), [2])) as [
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
        ];
        const step = ojaRuleStep(qt, kt, vt, rate, state);
        state = step.state;
        return step.output;
      });
      expectWithin(tf.stack(outputs, 2).dataSync(), whole.output.dataSync(), 2e-6, 'output');
      expectWithin(state.dataSync(), whole.finalState.dataSync(), 2e-6, 'state');
    });
  });

  it('finds the first principal component, with length 1, when the value is what the state reads of the key', () => {
    // The classical rule: v_t = S_{t-1} k_t, fed back step by step. Samples have variances 1, 0.09, 0.09, 0.09 along axes
    // that a reflection has turned.
    tf.tidy(() => {
      const steps = 400;
      const axis = [0.5, 0.5, 0.5, 0.5];
      const samples = noise(4 * steps, 3).map((x, i) => x * Math.sqrt(3) * (i % 4 === 0 ? 1 : 0.3));
      const turned = reflected(samples, axis);
      let state: tf.Tensor = tf.tensor([0.3, -0.5, 0.1, 0.2], [1, 1, 1, 4]);
      for (let t = 0; t < steps; t++) {
        const k = tf.tensor(turned.slice(4 * t, 4 * t + 4), [1, 1, 4]);
        const v = tf.reshape(tf.sum(tf.mul(state, tf.expandDims(k, 2)), 3), [1, 1, 1]);
        state = ojaRuleStep(k, k, v, tf.fill([1, 1], 0.5 / (1 + t / 20)), state).state;
      }
      const found = state.dataSync();
      const component = reflected(Float32Array.of(1, 0, 0, 0), axis);
      const length = Math.hypot(...found);
      const cosine = component.reduce((sum, x, i) => sum + x * found[i]!, 0) / length;
      expect(Math.abs(cosine)).toBeGreaterThan(0.999);
      expect(length).toBeCloseTo(1, 2);
    });
  });
});

/** Vectors of length 4, one after the other, reflected at the hyperplane that is orthogonal to `axis` − e_0. */
function reflected(vectors: Float32Array, axis: readonly number[]): Float32Array {
  const normal = axis.map((x, i) => x - (i === 0 ? 1 : 0));
  const square = normal.reduce((sum, x) => sum + x * x, 0);
  return vectors.map((x, at) => {
    const start = at - (at % 4);
    const along = normal.reduce((sum, n, i) => sum + n * vectors[start + i]!, 0);
    return x - (2 * along * normal[at % 4]!) / square;
  });
}
