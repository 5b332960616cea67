import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AFFINE_TRANSITIONS,
  affineOperator,
  affineScan,
  deltaRule,
  dispose,
  gatedLinearAttention,
  init,
  prefixScan,
} from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads, memoryInUse } from '../engine-properties.ts';
import { deltaRuleReference } from '../reference/delta-rule.ts';
import {
  type AffinePair,
  type AffineSizes,
  affineScanReference,
  combineAffine,
  inclusivePrefixes,
} from '../reference/prefix-scan.ts';
import { sumRuleReference } from '../reference/sum-rule.ts';
import { apply, noiseInputs } from './affine-scan-cases.ts';
import { expectMatchesReference, expectWithin, noise } from './against-reference.ts';
import { resetsOf, valuesAndGradients } from './scan-cases.ts';

type AffineValues = Parameters<typeof affineScanReference>[1];

const devices = await availableDevices();

const sizesArbitrary = fc.record<AffineSizes>({
  batch: fc.constantFrom(1, 2, 3),
  time: fc.constantFrom(1, 2, 3, 9),
  rows: fc.constantFrom(1, 2, 5),
  columns: fc.constantFrom(1, 3, 7, 16, 33),
});

describe.each([...devices, ...composedDevices])('affineScan on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(AFFINE_TRANSITIONS)('%s: follows its equation, with exact gradients of everything', (kind) => {
    fc.assert(
      fc.property(sizesArbitrary, fc.boolean(), (sizes, resets) => {
        const reset = resets ? resetsOf(sizes) : undefined;
        expectMatchesReference({
          inputs: noiseInputs(kind, sizes),
          operation: (tensors) => apply(kind, tensors, reset && tf.tensor2d(reset, [sizes.batch, sizes.time], 'bool')),
          reference: (values) =>
            affineScanReference(kind, { ...(values as AffineValues), ...(reset ? { reset } : {}) }, sizes),
          tolerance: 1e-5,
        });
      }),
      { numRuns: 8 },
    );
  });

  it.each(AFFINE_TRANSITIONS)('%s: the scan of the monoid gives the same states', (kind) => {
    const sizes = { batch: 2, time: 13, rows: 3, columns: 4 };
    tf.tidy(() => {
      const { transition, input } = noiseInputs(kind, sizes);
      const element = {
        transition: tf.tensor(transition!.values, transition!.shape),
        input: tf.tensor(input!.values, input!.shape),
      };
      const expected = affineScan(kind, element).states.dataSync();
      for (const mode of ['blelloch', 'counter'] as const) {
        const { input: states } = prefixScan(affineOperator(kind), element, { mode });
        expectWithin(states.dataSync(), expected, 1e-5, mode);
      }
    });
  });

  it('has states that are vectors, starts from zeros, and takes no steps', () => {
    tf.tidy(() => {
      const [transition, input] = [1, 2].map((seed) => tf.tensor3d(noise(2 * 6 * 5, seed), [2, 6, 5]));
      const element = { transition: transition!, input: input! };
      const { states, finalState } = affineScan('elementwise', element);
      const [expected, last] = affineScanReference(
        'elementwise',
        { transition: Float64Array.from(noise(60, 1)), input: Float64Array.from(noise(60, 2)) },
        { batch: 2, time: 6, rows: 1, columns: 5 },
      );
      expect([states.shape, finalState.shape]).toEqual([
        [2, 6, 5],
        [2, 5],
      ]);
      expectWithin(states.dataSync(), expected!, 1e-5, 'states');
      expectWithin(finalState.dataSync(), last!, 1e-5, 'finalState');
      // For a vector, one factor for each column is one for each element.
      expect(affineScan('diagonal', element).states.dataSync()).toEqual(states.dataSync());
      const none = affineScan(
        'matrix',
        { transition: tf.zeros([2, 0, 5, 5]), input: tf.zeros([2, 0, 5]) },
        { initialState: tf.ones([2, 5]) },
      );
      expect(none.states.shape).toEqual([2, 0, 5]);
      expect(Array.from(none.finalState.dataSync())).toEqual(new Array(10).fill(1));
    });
  });

  it('gives the states that linear attention, gated linear attention and the delta rule read', () => {
    const [batch, time, keyDim, valueDim] = [3, 12, 4, 5];
    tf.tidy(() => {
      const draw = (dim: number, seed: number) => tf.tensor(noise(batch * time * dim, seed), [batch, time, dim]);
      const [q, k, v] = [draw(keyDim, 1), draw(keyDim, 2), draw(valueDim, 3)];
      const decay = tf.sigmoid(draw(keyDim, 4));
      const beta = tf.sigmoid(tf.reshape(draw(1, 5), [batch, time]));
      const heads = (x: tf.Tensor) => tf.expandDims(x, 1);
      const write = tf.matMul(tf.expandDims(v, 3), tf.expandDims(k, 2));
      const read = (states: tf.Tensor) => tf.squeeze(tf.matMul(states, tf.expandDims(q, 3)), [3]).dataSync();
      const gla = affineScan('diagonal', { transition: decay, input: write }).states;
      expectWithin(
        read(gla),
        gatedLinearAttention(heads(q), heads(k), heads(v), heads(decay)).output.dataSync(),
        1e-5,
        'GLA',
      );
      const rate = tf.reshape(beta, [batch, time, 1, 1]);
      const turned = tf.mul(rate, tf.matMul(tf.expandDims(k, 3), tf.expandDims(k, 2)));
      const element = { transition: tf.sub(tf.eye(keyDim), turned), input: tf.mul(rate, write) };
      const delta = affineScan('matrix', element).states;
      expectWithin(
        read(delta),
        deltaRule(heads(q), heads(k), heads(v), heads(beta)).output.dataSync(),
        1e-5,
        'delta rule',
      );
    });
  });
});

describe('affineScan', () => {
  beforeAll(async () => {
    await init(devices[0]!.options);
  });
  afterAll(dispose);

  it('of the monoid in float64 is the recurrence of DeltaNet, GLA and RetNet to ten digits', () => {
    const [time, keyDim, valueDim] = [21, 4, 3];
    const sizes = { batch: 1, heads: 1, time, keyDim, valueDim };
    const exact = (size: number, seed: number) => Float64Array.from(noise(size, seed));
    const [q, k, v] = [exact(time * keyDim, 1), exact(time * keyDim, 2), exact(time * valueDim, 3)];
    const row = (x: Float64Array, t: number, dim: number) => Array.from(x.subarray(t * dim, (t + 1) * dim));
    const beta = exact(time, 4).map((x) => (x + 1) / 2);
    const decay = exact(time * keyDim, 5).map((x) => (x + 1) / 2);
    const retention = new Float64Array(time).fill(0.9);
    const outputs = (pair: (t: number, key: number[], value: number[]) => AffinePair) => {
      const pairs = Array.from({ length: time }, (_, t) => pair(t, row(k, t, keyDim), row(v, t, valueDim)));
      return inclusivePrefixes(pairs, combineAffine).flatMap(({ input }, t) =>
        input.map((s) => s.reduce((sum, x, i) => sum + x * q[t * keyDim + i]!, 0)),
      );
    };
    const diagonal = (factor: (t: number, i: number) => number) =>
      outputs((t, key, value) => ({
        transition: key.map((_, i) => key.map((__, j) => (i === j ? factor(t, i) : 0))),
        input: value.map((x) => key.map((y) => x * y)),
      }));
    const delta = outputs((t, key, value) => ({
      transition: key.map((x, i) => key.map((y, j) => (i === j ? 1 : 0) - beta[t]! * x * y)),
      input: value.map((x) => key.map((y) => beta[t]! * x * y)),
    }));
    const close = (actual: number[], expected: Float64Array) => {
      for (const [i, x] of actual.entries()) expect(Math.abs(x - expected[i]!)).toBeLessThan(1e-10);
    };
    close(delta, deltaRuleReference({ q, k, v, beta }, sizes)[0]);
    close(
      diagonal((t, i) => decay[t * keyDim + i]!),
      sumRuleReference({ q, k, v, decay }, sizes)[0],
    );
    close(
      diagonal((t) => retention[t]!),
      sumRuleReference({ q, k, v, decay: retention }, sizes)[0],
    );
  });

  it('has second derivatives', () => {
    const sizes = { batch: 1, time: 4, rows: 2, columns: 3 };
    tf.tidy(() => {
      const { transition, input } = noiseInputs('diagonal', sizes);
      const f = tf.tensor(input!.values, input!.shape);
      const loss = (e: tf.Tensor) => tf.sum(tf.square(affineScan('diagonal', { transition: e, input: f }).states));
      const slope = tf.grad((e: tf.Tensor) => tf.sum(tf.square(tf.grad(loss)(e))));
      const at = (values: Float32Array) => tf.tensor(values, transition!.shape);
      const size = (values: Float32Array) => tf.sum(tf.square(tf.grad(loss)(at(values)))).dataSync()[0]!;
      const actual = slope(at(transition!.values)).dataSync() as Float32Array;
      const direction = noise(transition!.values.length, 9);
      const moved = (step: number) => transition!.values.map((x, i) => x + step * direction[i]!);
      const expected = (size(moved(1e-2)) - size(moved(-1e-2))) / 2e-2;
      const inner = actual.reduce((sum, x, i) => sum + x * direction[i]!, 0);
      expect(Math.abs(inner - expected)).toBeLessThan(5e-3 * Math.abs(expected));
    });
  });

  it('a reset hides what was before it, NaN too', () => {
    tf.tidy(() => {
      const input = tf.tensor3d([Number.NaN, 1, 2], [1, 3, 1]);
      const transition = tf.ones([1, 3]);
      const resetMask = tf.tensor2d([0, 1, 0], [1, 3], 'bool');
      const { finalState } = affineScan('scalar', { transition, input }, { resetMask });
      expect(finalState.dataSync()[0]).toBe(3);
    });
  });

  it.each(AFFINE_TRANSITIONS)('%s: the same bits for every number of threads', async (kind) => {
    const sizes = { batch: 3, time: 20, rows: 3, columns: kind === 'matrix' ? 65 : 300 };
    await expectSameBitsForAllThreads(devices[0]!.options, () =>
      valuesAndGradients(noiseInputs(kind, sizes), (tensors) => apply(kind, tensors)),
    );
  });

  it('takes matrices that are larger than the kernel’s as a scan of the monoid', () => {
    const sizes = { batch: 1, time: 3, rows: 1, columns: 257 };
    const inputs = noiseInputs('matrix', sizes);
    tf.tidy(() => {
      const tensors = Object.fromEntries(
        Object.entries(inputs).map(([name, { values, shape }]) => [name, tf.tensor(values, shape)]),
      );
      const exact = Object.fromEntries(
        Object.entries(inputs).map(([name, { values }]) => [name, Float64Array.from(values)]),
      );
      expectWithin(
        apply('matrix', tensors)[0]!.dataSync(),
        affineScanReference('matrix', exact as never, sizes)[0]!,
        1e-5,
        's',
      );
    });
  });

  it('leaves nothing behind, and says what is wrong', () => {
    const before = memoryInUse();
    for (const kind of AFFINE_TRANSITIONS) {
      valuesAndGradients(noiseInputs(kind, { batch: 2, time: 4, rows: 2, columns: 3 }), (tensors) =>
        apply(kind, tensors),
      );
    }
    tf.tidy(() => {
      const [transition, input] = [tf.ones([2, 4, 3]), tf.ones([2, 4, 3])];
      expect(() => affineScan('full' as 'matrix', { transition, input })).toThrow(/kind must be 'elementwise' or/);
      expect(() => affineScan('matrix', { transition, input })).toThrow(
        /affineScan: transition must have shape \[batch = 2, time = 4, columns = 3, columns = 3\], but has shape \[2, 4, 3\]/,
      );
      expect(() => affineScan('scalar', { transition: tf.ones([2, 4]), input: tf.ones([2, 4, 1, 1, 1]) })).toThrow(
        /input must have shape .* part of the batch/,
      );
      const initialState = tf.ones([2, 4]);
      expect(() => affineScan('elementwise', { transition, input }, { initialState })).toThrow(/initialState/);
      expect(() => affineScan('elementwise', { transition, input }, { resetMask: tf.ones([2, 4]) })).toThrow(
        /must be bool/,
      );
      expect(() => affineOperator('full' as 'matrix')).toThrow(/affineOperator: kind/);
    });
    expect(memoryInUse()).toEqual(before);
  });
});
