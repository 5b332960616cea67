/** SwitchHead against dense attention, and the numeric checks of its description. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AttentionBlock,
  DenseBlock,
  denseAttentionCost,
  HEAD_POSITIONS,
  PositionedHeads,
  RelativeAttention,
  RotaryAttention,
  SwitchHead,
  type SwitchHeadOptions,
  switchAll,
  switchHeadCost,
} from '../src/index.ts';

const [BATCH, LENGTH, SIZE, HEADS, HEAD_SIZE] = [2, 5, 8, 2, 6];

function blockOf(options: Partial<SwitchHeadOptions> = {}): SwitchHead {
  const sizes = { size: SIZE, heads: HEADS, headSize: HEAD_SIZE, experts: 3, active: 2 };
  return new SwitchHead({ ...sizes, random: new core.RandomStream(1), ...options });
}

function inputsOf(shape: number[] = [BATCH, LENGTH, SIZE], seed = 2): tf.Tensor3D {
  return core.randomNormal(new core.RandomStream(seed), shape) as tf.Tensor3D;
}

/** Routers that read the first feature only. */
function setGates(block: SwitchHead, valueWeight: number, outputWeight: number): void {
  const first = tf.oneHot(tf.tensor1d([0], 'int32'), SIZE);
  const column = (weight: number) => tf.mul(tf.transpose(first), tf.fill([1, HEADS * block.experts], weight));
  block.valueRouter.weight.assign(column(valueWeight) as tf.Tensor2D);
  block.outputRouter.weight.assign(column(outputWeight) as tf.Tensor2D);
}

/** Inputs whose first feature is 1. */
function withOne(inputs: tf.Tensor3D): tf.Tensor3D {
  const first = tf.oneHot(tf.tensor1d([0], 'int32'), SIZE);
  return tf.add(tf.mul(inputs, tf.sub(1, first)), first);
}

/** Experts of each head, with one more axis for them, as the matrices of a dense block. */
function denseLike(block: SwitchHead, combine: (experts: tf.Tensor, axis: number) => tf.Tensor): AttentionBlock {
  const random = new core.RandomStream(9);
  const sizes = { size: SIZE, heads: HEADS, headSize: HEAD_SIZE, random };
  const relative = block.attention.relative;
  const dense = relative === undefined ? new RotaryAttention(sizes) : new RelativeAttention(sizes);
  dense.queries.weight.assign(block.queries.weight);
  dense.keys.weight.assign(block.keys.weight);
  const inHeads = (x: tf.Tensor) => combine(tf.reshape(x, [HEADS, block.experts, ...x.shape.slice(1)]), 1);
  dense.values.weight.assign(
    tf.reshape(tf.transpose(inHeads(block.values), [1, 0, 2]), [SIZE, HEADS * HEAD_SIZE]) as tf.Tensor2D,
  );
  dense.output.weight.assign(tf.reshape(inHeads(block.output), [HEADS * HEAD_SIZE, SIZE]) as tf.Tensor2D);
  if (dense instanceof RelativeAttention && relative !== undefined) {
    dense.positions.weight.assign(relative.weight);
  }
  return dense;
}

const first = (experts: tf.Tensor, axis: number) => tf.gather(experts, 0, axis);

describe.each(await availableDevices(core))('SwitchHead on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  describe.each(HEAD_POSITIONS)('with %s positions', (positions) => {
    it.each([1, 3])('is dense attention if all %d experts are active with gates of 1', (experts) => {
      const block = blockOf({ positions, experts, active: experts });
      setGates(block, 40, 40);
      const [x, memory] = [withOne(inputsOf()), withOne(inputsOf([BATCH, 3, SIZE], 3))];
      const dense = denseLike(block, (all, axis) => tf.sum(all, axis));
      const expected = dense.apply(x, { memory }).outputs;
      assertAllClose(block.apply(x, { memory }).outputs.dataSync(), expected.dataSync(), { atol: 1e-5 });
    });

    it('does not mind which of equal experts work: dense attention, times the gates', () => {
      const block = blockOf({ positions });
      for (const weights of [block.values, block.output]) {
        const experts = tf.reshape(weights, [HEADS, 3, ...weights.shape.slice(1)]);
        const copies = tf.tile(tf.slice(experts, [0, 0, 0, 0], [HEADS, 1, -1, -1]), [1, 3, 1, 1]);
        weights.assign(tf.reshape(copies, weights.shape));
      }
      setGates(block, -1, 0.5);
      const x = withOne(inputsOf());
      const sigmoid = (weight: number) => 1 / (1 + Math.exp(-weight));
      const expected = tf.mul(denseLike(block, first).apply(x).outputs, 2 * sigmoid(-1) * 2 * sigmoid(0.5));
      assertAllClose(block.apply(x).outputs.dataSync(), expected.dataSync(), { atol: 1e-5 });
      // Other experts, the same outputs.
      const other = tf.range(0, HEADS * 3, 1);
      block.valueRouter.weight.assign(tf.add(block.valueRouter.weight, tf.mul(1e-6, other)));
      expect(block.apply(x).selections[0]?.indices.dataSync()).not.toEqual(new Int32Array(BATCH * LENGTH * HEADS * 2));
      assertAllClose(block.apply(x).outputs.dataSync(), expected.dataSync(), { atol: 1e-5 });
    });

    it('sees of its memory what it would see of earlier inputs', () => {
      const block = blockOf({ positions });
      const x = inputsOf([BATCH, 9, SIZE]);
      const [memory, rest] = tf.split(x, [4, 5], 1) as [tf.Tensor3D, tf.Tensor3D];
      const [, expected] = tf.split(block.apply(x).outputs, [4, 5], 1) as [tf.Tensor, tf.Tensor];
      assertAllClose(block.apply(rest, { memory }).outputs.dataSync(), expected.dataSync(), { atol: 1e-5 });
    });

    it('sees nothing later, not by its routers either', () => {
      const block = blockOf({ positions });
      const upTo = tf.tensor3d([1, 1, 1, 0, 0], [1, LENGTH, 1]);
      const loss = (x: tf.Tensor) => tf.sum(tf.mul(block.apply(x as tf.Tensor3D).outputs, upTo));
      const seen = tf.sum(tf.abs(tf.grad(loss)(inputsOf())), [0, 2]).dataSync();
      expect([...seen].map((sum) => sum > 0)).toEqual([true, true, true, false, false]);
    });

    it('ignores padding', () => {
      const block = blockOf({ positions });
      const x = inputsOf();
      const paddingMask = tf.tensor2d([0, 0, 1, 1, 1, 0, 0, 1, 1, 1], [BATCH, LENGTH], 'bool');
      const changed = tf.concat([tf.add(tf.slice(x, [0, 0, 0], [-1, 2, -1]), 5), tf.slice(x, [0, 2, 0])], 1);
      const outputs = [x, changed].map((inputs) =>
        tf.slice(block.apply(inputs as tf.Tensor3D, { paddingMask }).outputs, [0, 2, 0]).dataSync(),
      ) as [Float32Array, Float32Array];
      assertAllClose(outputs[0], outputs[1]);
    });
  });

  it('routes locally: another token changes its own experts only', () => {
    const block = blockOf();
    const x = inputsOf([1, LENGTH, SIZE]);
    const bump = tf.tensor3d([0, 0, 0, -2, 0], [1, LENGTH, 1]);
    const [before, after] = [x, tf.mul(x, tf.add(1, bump))].map(
      (inputs) => block.apply(inputs as tf.Tensor3D).selections,
    );
    for (const side of [0, 1]) {
      const changed = tf.any(
        tf.notEqual(before?.[side]?.indices as tf.Tensor, after?.[side]?.indices as tf.Tensor),
        [1, 2],
      );
      expect([...changed.dataSync()]).toEqual([0, 0, 0, 1, 0]);
    }
  });

  it('has gradients of the gates of chosen experts only', () => {
    const block = blockOf();
    const x = inputsOf([1, 1, SIZE]);
    const parameters = [block.valueRouter.weight, block.outputRouter.weight];
    const { grads } = tf.variableGrads(() => tf.sum(block.apply(x).outputs) as tf.Scalar, parameters);
    block.apply(x).selections.forEach(({ indices }, side) => {
      const sums = tf.sum(tf.abs(grads[(parameters[side] as tf.Variable).name] as tf.Tensor), 0).dataSync();
      const chosen = new Set([...indices.dataSync()].map((e, i) => e + 3 * Math.floor(i / 2)));
      for (const [expert, sum] of sums.entries()) expect(sum > 0).toBe(chosen.has(expert));
    });
  });

  it('has the gradient of a gate that its equation says', () => {
    const block = blockOf({ heads: 1, experts: 2, active: 1 });
    const x = inputsOf([1, 1, SIZE]);
    const upstream = inputsOf([1, 1, SIZE], 7);
    const loss = () => tf.sum(tf.mul(block.apply(x).outputs, upstream)) as tf.Scalar;
    const { grads } = tf.variableGrads(loss, [block.outputRouter.weight]);
    const [, { indices, weights }] = block.apply(x).selections as unknown as [
      unknown,
      Record<'indices' | 'weights', tf.Tensor>,
    ];
    const [e, gate] = [indices.dataSync()[0] as number, weights.dataSync()[0] as number];
    // y = gate · o W, so that dy/dgate · upstream = loss / gate; and dgate/dlogit = gate (1 − gate), dlogit/dW = x.
    const slope = ((loss().dataSync()[0] as number) / gate) * gate * (1 - gate);
    const column = tf.gather(grads[block.outputRouter.weight.name] as tf.Tensor, e, 1);
    assertAllClose(column.dataSync(), tf.mul(x, slope).dataSync(), { atol: 1e-5 });
  });

  it('knows rotary positions by distances only, on a part of the channels', () => {
    const heads = new PositionedHeads({
      size: SIZE,
      heads: 2,
      headSize: 8,
      positions: 'rotary',
      random: new core.RandomStream(1),
    });
    expect(heads.turned).toBe(4);
    const [q, k, v, more] = [1, 2, 3, 4].map((seed) => inputsOf([1, 5, 2, 8], seed)) as unknown as tf.Tensor4D[] as [
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor4D,
      tf.Tensor4D,
    ];
    // Behind five keys that nobody sees, everything is the same.
    const mask = tf.tensor2d([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [1, 10], 'bool');
    const later = heads.attend(q, tf.concat([more, k], 1), tf.concat([more, v], 1), mask);
    assertAllClose(later.dataSync(), heads.attend(q, k, v).dataSync(), { atol: 1e-5 });
    const none = { rotaryFraction: 0, random: new core.RandomStream(1) };
    const without = new PositionedHeads({ size: SIZE, heads: 2, headSize: 8, positions: 'rotary', ...none });
    const plain = core.attention(q, k, v, { layout: 'BTHD', causal: true });
    assertAllClose(without.attend(q, k, v).dataSync(), plain.dataSync());
    // The channels that are not turned do not tell distances: exchanging two earlier keys that differ in them only.
    const still = tf.mul(k, tf.tensor1d([0, 0, 0, 0, 1, 1, 1, 1])) as tf.Tensor4D;
    const unturned = heads.attend(q, still, v);
    assertAllClose(unturned.dataSync(), without.attend(q, still, v).dataSync(), { atol: 1e-5 });
  });

  it('costs what the paper’s tables say', () => {
    const dense = (heads: number, headSize: number, size: number, length: number) =>
      denseAttentionCost({ heads, headSize, size, length });
    expect(dense(10, 41, 412, 256)).toEqual({ multiplyAdds: 453_427_200, floats: 3_461_120 });
    expect(dense(16, 64, 1024, 512)).toEqual({ multiplyAdds: 5_368_709_120, floats: 20_971_520 });
    const costs = [
      [2, 76, 412, 256, 5, 2, 170_364_928, 762_880],
      [2, 76, 412, 256, 5, 3, 202_506_240, 762_880],
      [2, 132, 1024, 512, 8, 4, 1_955_627_008, 2_924_544],
      [4, 112, 1024, 512, 4, 2, 2_358_116_352, 5_578_752],
      [2, 112, 512, 512, 4, 2, 709_296_128, 2_793_472],
    ] as const;
    for (const [heads, headSize, size, length, experts, active, multiplyAdds, floats] of costs) {
      const cost = switchHeadCost({ heads, headSize, size, length }, { experts, active });
      expect(cost).toEqual({ multiplyAdds, floats });
    }
  });

  it('counts its own multiply-adds, maps of memory and positions included', () => {
    const [T, S, w] = [5, 9, HEADS * HEAD_SIZE];
    const both = (T + S) * (3 * SIZE * w + SIZE * HEADS * 3) + 2 * T * S * w;
    expect(blockOf({ positions: 'rotary' }).multiplyAdds(5, 4)).toBe(both);
    expect(blockOf().multiplyAdds(5, 4)).toBe(both + S * w * (SIZE + T));
  });

  it('makes the blocks of SwitchAll with the scale of its model', () => {
    const { attention, feedForward } = switchAll({
      size: 64,
      layers: 8,
      attention: { heads: 2, headSize: 16, experts: 3, active: 2 },
      feedForward: { experts: 8, expertSize: 16, active: 2 },
      random: new core.RandomStream(1),
    });
    const deviation = (x: tf.Tensor) => Math.sqrt(tf.moments(x).variance.dataSync()[0] as number);
    expect(deviation(attention.values) * 8).toBeCloseTo(0.5, 1.3);
    expect(deviation(attention.output) * Math.sqrt(32)).toBeCloseTo(0.5, 1.3);
    expect(deviation(feedForward.values) * Math.sqrt(128)).toBeCloseTo(0.5, 1.3);
    const outputs = feedForward.forward(attention.apply(inputsOf([1, 3, 64])).outputs);
    expect(outputs.shape).toEqual([1, 3, 64]);
  });

  it('says what is wrong, and leaves nothing behind', () => {
    const before = tf.memory().numTensors;
    expect(() => blockOf({ active: 4 })).toThrow(
      'SwitchHead: active must be at most the number of experts of a head, 3, but is 4',
    );
    expect(() => blockOf({ positions: 'absolute' as never })).toThrow(
      "positions must be 'relative' or 'rotary', but is 'absolute'",
    );
    expect(tf.memory().numTensors).toBe(before);
    const block = blockOf();
    const x = inputsOf();
    const live = tf.memory().numTensors;
    expect(() => block.apply(x, { memory: tf.zeros([1, 2, SIZE]) })).toThrow(
      'SwitchHead: memory must have shape [batch = 2',
    );
    const { outputs, selections } = block.apply(x);
    tf.dispose([outputs, ...selections.flatMap(({ indices, weights }) => [indices, weights])]);
    expect(tf.memory().numTensors).toBe(live + 1);
  });
});

describe.each(await availableDevices(core))('RotaryAttention on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  it('is multi-head attention with rotary positions if all channels are turned', () => {
    const random = new core.RandomStream(1);
    const shape = { size: SIZE, heads: HEADS, headSize: HEAD_SIZE, random };
    const block = new RotaryAttention({ ...shape, rotaryFraction: 1 });
    const other = new core.MultiHeadAttention({ ...shape, positions: 'rotary', bias: false });
    const { queries, keys, values, output } = block;
    other.queryKeyValue.weight.assign(tf.concat([queries.weight, keys.weight, values.weight], 1) as tf.Tensor2D);
    other.output.weight.assign(output.weight);
    const x = inputsOf();
    assertAllClose(block.apply(x).outputs.dataSync(), other.apply(x).dataSync(), { atol: 1e-6 });
    expect(block.multiplyAdds(5, 4)).toBe(2 * SIZE * 12 * 14 + 2 * 5 * 9 * 12);
  });

  it('says what is wrong', () => {
    expect(() => new RotaryAttention({ size: 8, heads: 3, random: new core.RandomStream(1) })).toThrow(
      'RotaryAttention: size 8 cannot be divided among 3 heads',
    );
  });
});

describe('the paper’s sizes', () => {
  beforeAll(async () => {
    await core.init({ device: 'wasm', threads: 1 });
  });
  afterAll(() => core.dispose());

  it('has as many parameters as the paper’s model with 47 M', () => {
    const random = new core.RandomStream(1);
    const attention = new SwitchHead({ size: 412, heads: 2, headSize: 76, experts: 5, active: 2, random });
    const feedForward = new DenseBlock({ size: 412, hiddenSize: 2080, random });
    const layer = attention.parameterCount + feedForward.parameterCount + 4 * 412;
    expect(16 * layer + 2 * 8000 * 412 + 8000 + 2 * 412).toBe(47_247_416);
    attention.dispose();
    feedForward.dispose();
  });
});
