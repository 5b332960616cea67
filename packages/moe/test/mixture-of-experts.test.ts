/** σ-MoE against the dense block and the paper's equations: the numeric checks 1 to 3, 7, 9 and 10 of its description. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  EXPERT_INITIALIZATIONS,
  MixtureOfExperts,
  type MixtureOfExpertsOptions,
  preNormScale,
  REGULARIZATIONS,
  ROUTINGS,
} from '../src/index.ts';

const SIZES = { size: 6, experts: 4, expertSize: 5, active: 2 };

function blockOf(options: Partial<MixtureOfExpertsOptions> = {}): MixtureOfExperts {
  return new MixtureOfExperts({ ...SIZES, random: new core.RandomStream(1), ...options });
}

function inputsOf(shape: number[], seed = 2): tf.Tensor {
  return core.randomNormal(new core.RandomStream(seed), shape);
}

/** Inputs whose first feature is 1, and a router that reads nothing else: all gates are σ(weight). */
function withGates(block: MixtureOfExperts, inputs: tf.Tensor, weight: number): tf.Tensor {
  const first = tf.oneHot(tf.tensor1d([0], 'int32'), block.size) as tf.Tensor2D;
  block.router.weight.assign(tf.mul(tf.transpose(first), tf.fill([1, block.experts], weight)));
  return tf.add(tf.mul(inputs, tf.sub(1, first)), first);
}

/** W₁ and W₂ of all experts side by side. */
function joined(keys: tf.Tensor, values: tf.Tensor): [tf.Tensor2D, tf.Tensor2D] {
  const [experts, size, expertSize] = keys.shape as [number, number, number];
  return [
    tf.reshape(tf.transpose(keys, [1, 0, 2]), [size, experts * expertSize]),
    tf.reshape(values, [experts * expertSize, size]),
  ];
}

const deviationOf = (x: tf.Tensor) => Math.sqrt(tf.moments(x).variance.dataSync()[0] as number);

describe.each(await availableDevices(core))('MixtureOfExperts on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  it.each([5, 1])(
    'is the dense block if all experts are active with gates of 1, and has its gradients (expertSize %d)',
    (expertSize) => {
      const block = blockOf({ active: 4, expertSize, regularization: 'none' });
      const x = withGates(block, inputsOf([7, 6]), 40);
      const dense = (v: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) => {
        const [w1, w2] = joined(keys, values);
        return tf.matMul(tf.relu(tf.matMul(v as tf.Tensor2D, w1)), w2);
      };
      const parameters = [block.keys, block.values];
      const expected = dense(x, block.keys, block.values);
      assertAllClose(block.forward(x).dataSync(), expected.dataSync(), { atol: 1e-5 });
      const loss = (y: tf.Tensor) => tf.sum(tf.mul(y, inputsOf([7, 6], 9))) as tf.Scalar;
      const ours = tf.variableGrads(() => loss(block.forward(x)), parameters).grads;
      const theirs = tf.grads((keys, values) => loss(dense(x, keys as tf.Tensor, values as tf.Tensor)))(parameters);
      parameters.forEach(({ name }, i) => {
        assertAllClose((ours[name] as tf.Tensor).dataSync(), (theirs[i] as tf.Tensor).dataSync(), { atol: 1e-5 });
      });
    },
  );

  it('with one expert is the dense block times its gate', () => {
    const block = blockOf({ experts: 1, active: 1 });
    const x = inputsOf([7, 6]) as tf.Tensor2D;
    const [w1, w2] = joined(block.keys, block.values);
    const dense = tf.matMul(tf.relu(tf.matMul(x, w1)), w2);
    const expected = tf.mul(tf.sigmoid(tf.matMul(x, block.router.weight)), dense);
    assertAllClose(block.forward(x).dataSync(), expected.dataSync(), { atol: 1e-5 });
  });

  it.each(ROUTINGS)('is a weighted sum of what its experts give, gated before or after W₂ (%s)', (routing) => {
    const block = blockOf({ routing });
    const x = inputsOf([2, 5, 6]);
    const { outputs, selections } = block.apply(x);
    expect(outputs.shape).toEqual([2, 5, 6]);
    const [{ indices, weights, choices, of }] = selections as [(typeof selections)[0] & object];
    expect([of, choices, indices.shape, weights.shape]).toEqual(['experts', 4, [10, 1, 2], [10, 1, 2]]);
    const rows = tf.unstack(tf.reshape(x, [10, 6])) as tf.Tensor1D[];
    const expected = rows.map((row, n) => {
      const parts = [0, 1].map((j) => {
        const e = indices.dataSync()[2 * n + j] as number;
        const gate = weights.dataSync()[2 * n + j] as number;
        const [w1, w2] = [tf.gather(block.keys, e), tf.gather(block.values, e)] as [tf.Tensor2D, tf.Tensor2D];
        const hidden = tf.relu(tf.matMul(tf.expandDims(row) as tf.Tensor2D, w1));
        return tf.matMul(tf.mul(hidden, gate), w2);
      });
      return tf.addN(parts);
    });
    assertAllClose(outputs.dataSync(), tf.concat(expected).dataSync(), { atol: 1e-5 });
  });

  it.each(REGULARIZATIONS)('reports its regularisation, which reaches the router (%s)', (regularization) => {
    const block = blockOf({ regularization });
    const x = inputsOf([20, 6]);
    const { regularization: value } = block.apply(x);
    if (regularization === 'none') {
      expect(value).toBeUndefined();
      return;
    }
    const { grads } = tf.variableGrads(() => block.apply(x).regularization as tf.Scalar, [block.router.weight]);
    expect(tf.max(tf.abs(grads[block.router.weight.name] as tf.Tensor)).dataSync()[0]).toBeGreaterThan(1e-4);
  });

  it('starts as the dense block would: the deviation of W₂ does not depend on the size of an expert', () => {
    const initialScale = preNormScale(8);
    for (const initialization of EXPERT_INITIALIZATIONS) {
      for (const expertSize of [8, 32, 128]) {
        const sizes = { size: 64, experts: 256 / expertSize, expertSize, active: 1 };
        const block = blockOf({ ...sizes, initialization, initialScale });
        const fanIn = initialization === 'denseEquivalent' ? 256 : expertSize;
        expect(deviationOf(block.keys) * Math.sqrt(64)).toBeCloseTo(0.5, 1.6);
        expect(deviationOf(block.values) * Math.sqrt(fanIn)).toBeCloseTo(0.5, 1.6);
      }
    }
  });

  it('starts with a router that prefers no expert', () => {
    const { weight } = blockOf({ size: 200, experts: 30, initialScale: 0.5 }).router;
    const norms = tf.norm(weight, 2, 0).dataSync();
    assertAllClose(norms, new Float32Array(30).fill(norms[0] as number));
    expect(deviationOf(weight) * Math.sqrt(200)).toBeCloseTo(0.5, 1.6);
  });

  it('has a finite router for vectors of one component, too, of one length where their signs differ', () => {
    for (let seed = 0; seed < 20; seed++) {
      for (const experts of [1, 2, 3]) {
        const { router } = blockOf({ size: 1, experts, active: 1, random: new core.RandomStream(seed) });
        const lengths = router.weight.dataSync().map(Math.abs);
        expect(Math.max(...lengths)).toBeLessThan(5);
        const [least, most] = [tf.min(router.weight), tf.max(router.weight)].map((x) => x.dataSync()[0] as number);
        if ((least as number) < 0 && (most as number) > 0)
          assertAllClose(
            lengths,
            lengths.map(() => lengths[0] as number),
          );
      }
    }
  });

  it('drops experts in training only, and does not scale up what is left', () => {
    const x = inputsOf([40, 6]);
    const dropping = blockOf({ expertDropout: 1 - 2 ** -30 });
    const plain = blockOf();
    expect(tf.max(tf.abs(dropping.forward(x))).dataSync()[0]).toBe(0);
    dropping.eval();
    const evaluated = dropping.forward(x).dataSync();
    expect(evaluated).toEqual(plain.forward(x).dataSync());
    const some = blockOf({ expertDropout: 0.3 });
    const [{ indices, weights }] = some.apply(x).selections as unknown as [{ indices: tf.Tensor; weights: tf.Tensor }];
    const scores = tf.sigmoid(tf.matMul(x as tf.Tensor2D, some.router.weight)).arraySync() as number[][];
    const gates = weights.dataSync();
    indices.dataSync().forEach((e, i) => {
      const gate = gates[i] as number;
      if (gate > 0) expect(gate).toBeCloseTo(scores[Math.floor(i / 2)]?.[e] as number, 5);
    });
    // Without dropout a token's experts would be its two best; with it some are not.
    const best = tf.topk(tf.matMul(x as tf.Tensor2D, some.router.weight), 2).indices.dataSync();
    expect(indices.dataSync()).not.toEqual(best);
  });

  it('never gives NaN, however many experts are dropped', () => {
    for (const routing of ROUTINGS) {
      const block = blockOf({ routing, expertDropout: 0.95 });
      const x = inputsOf([50, 6]);
      const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(block.forward(x))) as tf.Scalar);
      expect(Number.isFinite(value.dataSync()[0])).toBe(true);
      for (const gradient of Object.values(grads)) expect(tf.sum(tf.isNaN(gradient)).dataSync()[0]).toBe(0);
    }
  });

  it('may drop hidden units, too', () => {
    const block = blockOf({ dropout: 0.5 });
    const x = inputsOf([30, 6]);
    expect(block.forward(x).dataSync()).not.toEqual(blockOf().forward(x).dataSync());
    block.eval();
    expect(block.forward(x).dataSync()).toEqual(blockOf().eval().forward(x).dataSync());
  });

  it('leaves no tensors behind', () => {
    const block = blockOf({ expertDropout: 0.1, routing: 'sinkhorn', regularization: 'switch' });
    const x = inputsOf([9, 6]);
    const before = tf.memory().numTensors;
    const { outputs, regularization, selections } = block.apply(x);
    tf.dispose([outputs, regularization as tf.Scalar]);
    for (const { indices, weights } of selections) tf.dispose([indices, weights]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('counts multiply-adds', () => {
    expect(blockOf().multiplyAdds).toBe(6 * 4 + 2 * 2 * 6 * 5);
  });

  it('says what is wrong', () => {
    const before = tf.memory().numTensors;
    expect(() => blockOf({ active: 5 })).toThrow(
      'MixtureOfExperts: active must be at most the number of experts, 4, but is 5',
    );
    expect(() => blockOf({ routing: 'softmax' as never })).toThrow("MixtureOfExperts: routing must be 'sigmoid' or");
    expect(() => blockOf({ expertDropout: 1 })).toThrow('Router: dropout must be a finite number from 0 to');
    expect(tf.memory().numTensors).toBe(before);
    expect(() => blockOf().forward(tf.zeros([3, 5]))).toThrow(
      'MixtureOfExperts: inputs must have shape [..., 6], but has shape [3, 5]',
    );
  });
});
