/** Choices, balance terms and Sinkhorn's algorithm: the numeric checks 4 and 5 of σ-MoE's description, and its note on S-BASE. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  entropyRegularization,
  literalSinkhorn,
  type Routing,
  route,
  sinkhorn,
  switchRegularization,
  UsageCounter,
  usageOf,
} from '../src/index.ts';

function logitsOf(tokens: number, experts: number, standardDeviation = 1): tf.Tensor2D {
  return core.randomNormal(new core.RandomStream(3), [tokens, experts], { standardDeviation }) as tf.Tensor2D;
}

describe.each(await availableDevices(core))('routing on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  const chosen = (routing: Routing, logits: tf.Tensor, training = true) => {
    const { indices, weights } = route(routing, logits, { active: 3, training });
    return { indices: [...indices.dataSync()], weights: weights.dataSync() };
  };

  it('chooses the same experts by sigmoid and by softmax, with other weights', () => {
    const logits = logitsOf(30, 8);
    const all = (['sigmoid', 'softmaxBeforeTopK', 'softmaxAfterTopK'] as const).map((name) => chosen(name, logits));
    for (const { indices } of all) expect(indices).toEqual(all[0]?.indices);
    const rows = tf.softmax(logits).arraySync() as number[][];
    const before = all[0]?.indices.map((e, i) => rows[Math.floor(i / 3)]?.[e] as number) as number[];
    assertAllClose(all[1]?.weights as Float32Array, before);
    const sums = before.map((_, i) => before.slice(i - (i % 3), i - (i % 3) + 3).reduce((a, b) => a + b));
    assertAllClose(
      all[2]?.weights as Float32Array,
      before.map((weight, i) => weight / (sums[i] as number)),
    );
  });

  it('takes the first of equal experts', () => {
    expect(chosen('sigmoid', tf.zeros([2, 5])).indices).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('has an entropy term from −log experts to 0, whose gradients add up to 0 over the experts', () => {
    const value = (logits: tf.Tensor2D) => entropyRegularization(logits).dataSync()[0] as number;
    expect(value(tf.zeros([5, 16]))).toBeCloseTo(-2.772589, 5);
    expect(value(tf.mul(tf.oneHot(tf.zeros([5], 'int32'), 16), 100) as tf.Tensor2D)).toBeCloseTo(0, 5);
    const gradient = tf.grad((l) => entropyRegularization(l as tf.Tensor2D))(logitsOf(7, 16));
    expect(tf.max(tf.abs(gradient)).dataSync()[0]).toBeGreaterThan(1e-4);
    expect(tf.max(tf.abs(tf.sum(gradient, 1))).dataSync()[0]).toBeLessThan(1e-6);
  });

  it('has a switch term of 1 for balanced choices, of the number of experts for one', () => {
    const even = tf.tensor2d([0, 1, 2, 3], [4, 1], 'int32');
    expect(switchRegularization(tf.zeros([4, 4]), even).dataSync()[0]).toBeCloseTo(1, 5);
    const one = tf.mul(tf.oneHot(tf.zeros([4], 'int32'), 4), 100) as tf.Tensor2D;
    expect(switchRegularization(one, tf.zeros([4, 1], 'int32')).dataSync()[0]).toBeCloseTo(4, 5);
  });

  it.each([0.3, 1, 3])('balances with Sinkhorn, which the literal form does not (deviation %d)', (deviation) => {
    const logits = logitsOf(64, 8, deviation);
    const rowSums = (x: tf.Tensor) => tf.sum(x, 1).dataSync();
    const balanced = sinkhorn(logits, 3);
    assertAllClose(rowSums(balanced), new Float32Array(64).fill(1));
    assertAllClose(tf.sum(sinkhorn(logits, 50), 0).dataSync(), new Float32Array(8).fill(8), { rtol: 0.02 });
    const literal = rowSums(literalSinkhorn(logits, 3));
    expect(Math.max(...literal) / Math.min(...literal)).toBeGreaterThan(1.02);
    expect(literal.some((sum) => Math.abs(sum - 1) > 0.2)).toBe(true);
  });

  it('balances the choices of S-BASE in training only', () => {
    const biased = tf.add(logitsOf(200, 6), tf.tensor1d([4, 0, 0, 0, 0, 0]));
    const usage = (training: boolean) => {
      const counter = new UsageCounter(6);
      const { indices } = route('sinkhorn', biased, { active: 1, training });
      counter.add({ choices: 6, indices: tf.reshape(indices, [200, 1, 1]) });
      return counter.usage()[0]?.relativePerplexity as number;
    };
    expect(usage(false)).toBeLessThan(0.5);
    expect(usage(true)).toBeGreaterThan(0.9);
    const { indices, weights } = chosen('sinkhorn', biased);
    const gates = tf.sigmoid(biased).arraySync() as number[][];
    assertAllClose(
      weights,
      indices.map((e, i) => gates[Math.floor(i / 3)]?.[e] as number),
    );
  });

  it('balances each sequence on its own in the literal form', () => {
    const logits = tf.reshape(logitsOf(20, 6), [2, 10, 6]);
    const apart = tf.concat(tf.unstack(logits).map((part) => literalSinkhorn(part, 3)));
    assertAllClose(literalSinkhorn(logits, 3).dataSync(), apart.dataSync(), { atol: 1e-5 });
  });

  it('counts what was chosen', () => {
    const counter = new UsageCounter(4, 2);
    const indices = tf.tensor3d([0, 1, 3, 3, 0, 1, 3, 2], [2, 2, 2], 'int32');
    counter.add({ choices: 4, indices });
    const [first, second] = counter.usage();
    expect(first?.counts).toEqual([2, 2, 0, 0]);
    expect(first?.perplexity).toBeCloseTo(2, 10);
    expect([first?.relativePerplexity, first?.dead]).toEqual([0.5, 2]);
    expect(second?.shares).toEqual([0, 0, 0.25, 0.75]);
    expect(usageOf([0, 0])).toMatchObject({ shares: [0, 0], perplexity: 1, dead: 2 });
    expect(() => counter.add({ choices: 3, indices })).toThrow(
      'UsageCounter: the selection has 2 heads with 3 choices',
    );
  });

  it('says what is wrong', () => {
    expect(() => sinkhorn(tf.zeros([3, 2]), 0)).toThrow('sinkhorn: iterations must be a whole number of at least 1');
    expect(() => entropyRegularization(tf.zeros([3]) as never)).toThrow(
      'entropyRegularization: logits must have shape',
    );
    const routed = (routing: Routing, active: number) => route(routing, tf.zeros([2, 3]), { active, training: true });
    expect(() => routed('foo' as Routing, 1)).toThrow(/route: routing must be 'sigmoid' or .* but is 'foo'/);
    expect(() => routed('sigmoid', 9)).toThrow('route: active must be at most the number of experts, 3, but is 9');
    expect(() => routed('sigmoid', 0)).toThrow('route: active must be a whole number of at least 1, but is 0');
    expect(() => route('sigmoid', tf.zeros([3]), { active: 1, training: true })).toThrow(
      'route: logits must have shape [..., tokens, experts]',
    );
  });
});
