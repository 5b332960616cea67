/** What the layers do: their equations, streams, padding, wirings, bad input. */

import * as core from '@fwp/core';
import { Adam, dispose, init, Lstm, RandomStream, randomNormal, type SequenceMixer } from '@fwp/core';
import type { FastWeightState } from '@fwp/deltanet';
import { assertAllClose, availableDevices, expectPiecesEqualWhole, piece, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SrDelta, Srwm, SrwmBlock, type SrwmOptions, StaticSrwm } from '../src/index.ts';

const SIZE = 12;
const HEADS = 3;
const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };

/** Layers whose initial values are large enough for what is written to show. */
const layers: Record<string, () => SequenceMixer> = {
  srwm: () => vivid(new Srwm(options({ queryScale: 1 }))),
  'srwm with input softmax': () => vivid(new Srwm(options({ queryScale: 1, inputSoftmax: true }))),
  srDelta: () => vivid(new SrDelta(options({ queryScale: 1 }))),
  'srDelta with input softmax': () => vivid(new SrDelta(options({ queryScale: 1, inputSoftmax: true }))),
  block: () => new SrwmBlock({ size: SIZE, mixer: new Srwm(options({ queryScale: 1 })), random: new RandomStream(7) }),
};

function options(others: Partial<SrwmOptions> = {}): SrwmOptions {
  return { size: SIZE, heads: HEADS, random: new RandomStream(1), ...others };
}

function vivid<Layer extends Srwm | SrDelta>(layer: Layer): Layer {
  layer.weights.assign(tf.tidy(() => tf.mul<tf.Tensor3D>(layer.weights, 3)));
  return layer;
}

function noise(shape: number[], seed: number): tf.Tensor3D {
  return randomNormal(new RandomStream(seed), shape) as tf.Tensor3D;
}

const fastWeights = (state: unknown): tf.Tensor => (state as FastWeightState).fastWeights;

describe.each(await availableDevices(core))('layers on $name', ({ options: device }) => {
  beforeAll(async () => {
    await init(device);
  });
  afterAll(dispose);

  // Numeric check 4 of the card on bootstrapping: support and future set in two segments are one.
  it.each(Object.keys(layers))('%s: streams and pieces with carried state equal the whole', (name) => {
    tf.tidy(() => {
      const layer = layers[name]!();
      expectPiecesEqualWhole(layer, noise([2, 9, SIZE], 2), { lengths: [[4, 1, 4]] });
      layer.dispose();
    });
  });
});

describe('layers', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it.each(Object.keys(layers))('%s: padding has no influence, not even on the state', (name) => {
    tf.tidy(() => {
      const layer = layers[name]!();
      const x = noise([2, 7, SIZE], 3);
      const mask = tf.tensor2d([1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0], [2, 7], 'bool');
      // The blocks' residual branch is not the mixer's, so that NaN stays where it is.
      const spoiled = tf.where(tf.expandDims(mask, 2), x, tf.fill(x.shape, name === 'block' ? 3 : Number.NaN));
      const padded = layer.forward(spoiled as tf.Tensor3D, undefined, { paddingMask: mask });
      for (const [row, [start, length]] of (
        [
          [0, 5],
          [2, 4],
        ] as const
      ).entries()) {
        const exact = layer.forward(tf.slice(x, [row, start, 0], [1, length, SIZE]));
        const output = tf.slice(padded.output, [row, start, 0], [1, length, SIZE]);
        assertAllClose(output.dataSync(), exact.output.dataSync(), { ...TOLERANCE, name: 'output' });
        const state = tf.slice(fastWeights(padded.state), [row], [1]);
        assertAllClose(state.dataSync(), fastWeights(exact.state).dataSync(), { ...TOLERANCE, name: 'state' });
      }
      layer.dispose();
    });
  });

  it('takes part of x to each head, and of nothing else (one step, by hand)', () => {
    tf.tidy(() => {
      for (const inputSoftmax of [false, true]) {
        const layer = new Srwm(options({ inputSoftmax }));
        const x = noise([1, 1, SIZE], 4);
        const parts = Array.from({ length: HEADS }, (_, head) => {
          const part = [...x.dataSync().slice(4 * head, 4 * head + 4)];
          const sum = part.reduce((total, value) => total + Math.exp(value), 0);
          return inputSoftmax ? part.map((value) => Math.exp(value) / sum) : part;
        });
        const W = layer.weights.arraySync() as number[][][];
        const read = parts.flatMap((part, head) =>
          [0, 1, 2, 3].map((column) => part.reduce((sum, value, i) => sum + value * W[head]![i]![column]!, 0)),
        );
        const expected = tf.matMul(tf.tensor2d(read, [1, SIZE]), layer.output.weight);
        assertAllClose(layer.apply(x).dataSync(), expected.dataSync(), TOLERANCE);
        layer.dispose();
      }
    });
  });

  it('begins with weights of the distributions that the paper gives', () => {
    const layer = new Srwm({ size: 256, heads: 4, rateBias: -1, random: new RandomStream(5) });
    const moments = ([from, columns]: readonly [number, number]) =>
      tf.tidy(() => {
        const { mean, variance } = tf.moments(tf.slice(layer.weights, [0, 0, from], [4, 64, columns]));
        return { mean: mean.dataSync()[0]!, deviation: Math.sqrt(variance.dataSync()[0]!) };
      });
    for (const [block, deviation, mean] of [
      [[0, 64], 1 / 8, 0],
      [[64, 64], 0.01 / 8, 0],
      [[128, 64], 1 / 8, 0],
      [[192, 4], 1 / 8, -1],
    ] as const) {
      const found = moments(block);
      expect(found.deviation / deviation).toBeCloseTo(1, 1);
      expect(Math.abs(found.mean - mean)).toBeLessThan(0.01);
    }
    layer.dispose();
  });

  // Numeric check 5 of the card on bootstrapping.
  it('reads without writing what a full step reads', () => {
    tf.tidy(() => {
      const layer = vivid(new Srwm(options({ queryScale: 1 })));
      const { state } = layer.forward(noise([2, 5, SIZE], 6));
      const queries = noise([2, 3, SIZE], 7);
      const read = layer.read(queries, state);
      for (let t = 0; t < 3; t++) {
        const { output } = layer.forward(piece(queries, t, 1), state);
        assertAllClose(piece(read, t, 1).dataSync(), output.dataSync(), TOLERANCE);
      }
      expect(layer.read(queries).shape).toEqual([2, 3, SIZE]);
      layer.dispose();
    });
  });

  it('a static layer does the same with an element whatever came before', () => {
    tf.tidy(() => {
      const layer = new StaticSrwm(options());
      const x = noise([2, 5, SIZE], 8);
      const { output, state } = layer.forward(x);
      expect(state.fastWeights.shape).toEqual([2, HEADS, 4, 0]);
      const last = piece(x, 4, 1);
      assertAllClose(layer.apply(last).dataSync(), piece(output, 4, 1).dataSync(), TOLERANCE);
      assertAllClose(layer.forward(last, state).output.dataSync(), piece(output, 4, 1).dataSync(), TOLERANCE);
      layer.dispose();
    });
  });

  it('SR-Delta programs a delta rule (two steps, by hand)', () => {
    tf.tidy(() => {
      const layer = vivid(new SrDelta({ size: 2, heads: 1, random: new RandomStream(9) }));
      const x = noise([1, 2, 2], 10);
      const W = (layer.weights.arraySync() as number[][][])[0]!;
      const [first, second] = x.arraySync()[0] as [number[], number[]];
      const program = (input: number[], weights: number[][]) =>
        weights[0]!.map((_, column) => input.reduce((sum, value, i) => sum + value * weights[i]![column]!, 0));
      const softmax = (values: number[]) => {
        const sum = values.reduce((total, value) => total + Math.exp(value), 0);
        return values.map((value) => Math.exp(value) / sum);
      };
      const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
      const S = [
        [0, 0],
        [0, 0],
      ];
      const read = (y: number[]) => {
        const [q, k, v, beta] = [softmax(y.slice(0, 2)), softmax(y.slice(2, 4)), y.slice(4, 6), sigmoid(y[6]!)];
        for (const row of [0, 1]) {
          const error = v[row]! - (S[row]![0]! * k[0]! + S[row]![1]! * k[1]!);
          for (const column of [0, 1]) S[row]![column] = S[row]![column]! + beta * error * k[column]!;
        }
        return [0, 1].map((row) => S[row]![0]! * q[0]! + S[row]![1]! * q[1]!);
      };
      const y1 = program(first, W);
      const read1 = read(y1);
      // What the first step writes into W: 7 columns of the output, 2 of the query, 2 of the key, 4 of the rates.
      const [query, key] = [softmax(y1.slice(7, 9)), softmax(y1.slice(9, 11))];
      const rates = y1.slice(11).map(sigmoid);
      const changes = program([query[0]! - key[0]!, query[1]! - key[1]!], W);
      const block = (column: number) => (column < 7 ? 0 : column < 9 ? 1 : column < 11 ? 2 : 3);
      const next = W.map((row, i) => row.map((w, column) => w + key[i]! * rates[block(column)]! * changes[column]!));
      const expected = tf.matMul(tf.tensor2d([read1, read(program(second, next))]), layer.output.weight);
      assertAllClose(layer.apply(x).dataSync(), expected.dataSync(), TOLERANCE);
      layer.dispose();
    });
  });

  it('a block normalises the residual, but not what the mixer gets; a plain one neither', () => {
    tf.tidy(() => {
      const x = noise([2, 4, SIZE], 11);
      const normalized = (given: tf.Tensor) => {
        const { mean, variance } = tf.moments(given, -1, true);
        return tf.div(tf.sub(given, mean), tf.sqrt(tf.add(variance, 1e-5)));
      };
      for (const residual of ['normalized', 'plain'] as const) {
        const block = new SrwmBlock({ size: SIZE, mixer: { heads: HEADS }, residual, random: new RandomStream(12) });
        const u = tf.add(residual === 'plain' ? x : normalized(x), block.mixer.apply(x));
        const expected = tf.add(u, block.feedForward.forward(normalized(u)));
        assertAllClose(block.apply(x).dataSync(), expected.dataSync(), TOLERANCE);
        expect(block.namedParameters().has('norm1.gain')).toBe(residual === 'normalized');
        block.dispose();
      }
    });
  });

  it('trains, leaves nothing behind, and all its parameters take part', () => {
    const block = new SrwmBlock({ size: SIZE, mixer: { heads: HEADS, queryScale: 1 }, random: new RandomStream(13) });
    const optimizer = new Adam(block, { learningRate: 0.01 });
    const [x, target] = [noise([4, 6, SIZE], 14), noise([4, 6, SIZE], 15)];
    const before = [...block.namedParameters()].map(([name, variable]) => [name, variable.dataSync().slice()] as const);
    const step = () =>
      tf.tidy(
        () => optimizer.minimize(() => tf.mean(tf.square(tf.sub(block.apply(x), target))) as tf.Scalar).dataSync()[0]!,
      );
    const first = step();
    const used = tf.memory().numTensors;
    let last = first;
    for (let i = 0; i < 60; i++) last = step();
    expect(last).toBeLessThan(0.7 * first);
    expect(tf.memory().numTensors).toBe(used);
    const after = block.namedParameters();
    for (const [name, values] of before) expect(after.get(name)!.dataSync(), name).not.toEqual(values);
    tf.dispose([x, target]);
    optimizer.dispose();
    block.dispose();
  });

  it('says what is wrong', () => {
    const random = new RandomStream(1);
    const before = tf.memory().numTensors;
    expect(() => new Srwm({ size: 10, heads: 4, random })).toThrow(/Srwm: .* 10 elements .* 4 heads/);
    expect(() => new Srwm({ size: 8, heads: 0, random })).toThrow(/Srwm: heads/);
    expect(() => new SrDelta({ size: 8, heads: 2, queryScale: -1, random })).toThrow(/SrDelta: queryScale/);
    expect(() => new Srwm({ size: 8, heads: 2, rateBias: Number.NaN, random })).toThrow(/Srwm: rateBias/);
    expect(() => new SrwmBlock({ size: 8, mixer: { heads: 2 }, residual: 'none' as 'plain', random })).toThrow(
      /'normalized' or 'plain'/,
    );
    const narrow = new Lstm({ inputSize: 8, hiddenSize: 4, random });
    expect(() => new SrwmBlock({ size: 8, mixer: narrow, random })).toThrow(/outputs must have size 8.* 4/s);
    expect(tf.memory().numTensors).toBe(before);
    tf.tidy(() => {
      const layer = new Srwm({ size: 8, heads: 2, random });
      expect(() => layer.apply(tf.zeros([1, 3, 7]))).toThrow(/Srwm: x .* 7 instead of 8/);
      expect(() => layer.forward(tf.zeros([2, 3, 8]), layer.initialState(1))).toThrow(/Srwm: state.fastWeights/);
      expect(() => layer.apply(tf.zeros([1, 3, 8]), { paddingMask: tf.ones([1, 2], 'bool') })).toThrow(/paddingMask/);
      expect(layer.apply(tf.zeros([1, 0, 8])).shape).toEqual([1, 0, 8]);
      expect(() => layer.read(tf.zeros([1, 2, 7]))).toThrow(/Srwm: x .* 7 instead of 8/);
      expect(() => layer.read(tf.zeros([2, 8]) as tf.Tensor as tf.Tensor3D)).toThrow(/Srwm: x .* 2 dimensions instead/);
      layer.dispose();
    });
  });
});
