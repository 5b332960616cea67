/** What the layers do: their equations, streams, padding, training, bad input. */

import * as core from '@fwp/core';
import { Adam, dispose, init, RandomStream, randomNormal, type SequenceMixer, TransformerBlock } from '@fwp/core';
import { DeltaNet } from '@fwp/deltanet';
import { assertAllClose, availableDevices, expectPiecesEqualWhole, piece, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMixer, DeltaDeltaNet, DeltaLstm, DeltaMlp, DeltaRnn, MIXERS, RecurrentDeltaNet } from '../src/index.ts';

const SIZE = 12;
const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };
const options = (seed = 1) => ({ size: SIZE, heads: 3, random: new RandomStream(seed) });

const layers: Record<string, () => SequenceMixer> = {
  deltaRnn: () => new DeltaRnn(options()),
  'deltaRnn, version 1': () => new DeltaRnn({ ...options(), version: 1 }),
  'deltaRnn with DPFP and odd sizes': () =>
    new DeltaRnn({ ...options(), headSize: 5, valueSize: 7, featureMap: 'dpfp', outputSize: 9, outputScale: 0.5 }),
  deltaLstm: () => new DeltaLstm(options()),
  'deltaLstm, version 1': () => new DeltaLstm({ ...options(), version: 1 }),
  'deltaLstm, version 3': () => new DeltaLstm({ ...options(), version: 3, headSize: 3, valueSize: 5 }),
  recurrentDeltaNet: () => new RecurrentDeltaNet(options()),
  'recurrentDeltaNet with odd sizes': () => new RecurrentDeltaNet({ ...options(), headSize: 5, valueSize: 3 }),
  deltaMlp: () => new DeltaMlp(options()),
  'deltaMlp, two blocks': () => new DeltaMlp({ ...options(), depth: 2, hiddenSize: 7 }),
  deltaDeltaNet: () => new DeltaDeltaNet(options()),
  'deltaDeltaNet with a trainable start': () => new DeltaDeltaNet({ ...options(), trainableStart: true, valueSize: 5 }),
};
const NAMES = Object.keys(layers);

function noise(shape: number[], seed: number): tf.Tensor3D {
  return randomNormal(new RandomStream(seed), shape) as tf.Tensor3D;
}

describe.each(await availableDevices(core))('layers on $name', ({ options: device }) => {
  beforeAll(async () => {
    await init(device);
  });
  afterAll(dispose);

  it.each(NAMES)('%s: streams and pieces with carried state equal the whole', (name) => {
    tf.tidy(() => {
      const layer = layers[name]!();
      const x = noise([2, 9, SIZE], 2);
      expect(layer.apply(x).shape).toEqual([2, 9, layer.outputSize]);
      expectPiecesEqualWhole(layer, x, { lengths: [[4, 1, 4]], influence: 1e-4 });
      layer.dispose();
    });
  });
});

describe('layers', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it.each(NAMES)('%s: padding at the end has no influence, not even on gradients', (name) => {
    tf.tidy(() => {
      const layer = layers[name]!();
      const x = noise([2, 7, SIZE], 3);
      const mask = tf.tensor2d([1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1], [2, 7], 'bool');
      const spoiled = tf.where(tf.expandDims(mask, 2), x, tf.fill(x.shape, Number.NaN)) as tf.Tensor3D;
      const first = (y: tf.Tensor3D) => tf.slice(y, [0, 0, 0], [1, 5, layer.outputSize]);
      const exact = layer.apply(tf.slice(x, [0, 0, 0], [1, 5, SIZE]));
      const padded = first(layer.apply(spoiled, { paddingMask: mask }));
      assertAllClose(padded.dataSync(), exact.dataSync(), { ...TOLERANCE, name: 'output' });
      const variables = layer.parameters();
      const gradients = (run: () => tf.Tensor) =>
        tf.variableGrads(() => tf.sum(tf.square(run())) as tf.Scalar, variables).grads;
      const expected = gradients(() => layer.apply(tf.slice(x, [0, 0, 0], [1, 5, SIZE])));
      const actual = gradients(() => first(layer.apply(spoiled, { paddingMask: mask })));
      for (const [key, gradient] of Object.entries(expected)) {
        assertAllClose(actual[key]!.dataSync(), gradient.dataSync(), { rtol: 1e-3, atol: 1e-4, name: key });
      }
      expect(() => layer.forward(x, undefined, { paddingMask: mask })).toThrow(/takes no paddingMask/);
      const before = tf.tensor2d([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1], [2, 7], 'bool');
      expect(() => layer.apply(x, { paddingMask: before })).toThrow(
        /: padding may only stand at the end of a sequence, but sequence 0 has an element behind padding, at 2/,
      );
      layer.dispose();
    });
  });

  it('a Recurrent Delta Net without recurrent weights is the DeltaNet with softmax features', () => {
    tf.tidy(() => {
      const recurrent = new RecurrentDeltaNet(options(5));
      for (const parameter of [
        recurrent.recurrentQuery,
        recurrent.recurrentKey,
        recurrent.recurrentValue,
        recurrent.recurrentBeta,
      ]) {
        parameter.assign(tf.zerosLike(parameter) as never);
      }
      const plain = new DeltaNet({ ...options(6), featureMap: 'softmax', epsilon: 0, outputScale: 1 });
      plain.projection.weight.assign(recurrent.projection.weight);
      plain.output.weight.assign(recurrent.output.weight);
      const x = noise([2, 8, SIZE], 7);
      assertAllClose(recurrent.apply(x).dataSync(), plain.apply(x).dataSync(), TOLERANCE);
      recurrent.dispose();
      plain.dispose();
    });
  });

  it('a Delta RNN whose recurrent values are zero is the DeltaNet with ELU + 1', () => {
    tf.tidy(() => {
      const recurrent = new DeltaRnn(options(5));
      const plain = new DeltaNet({ ...options(6), featureMap: 'eluPlusOne', outputScale: 1 });
      // Columns of a head: q, k, v, recurrent k, recurrent v, β, recurrent β.
      const columns = tf.split(tf.reshape(recurrent.projection.weight, [SIZE, 3, 22]), [4, 4, 4, 4, 4, 1, 1], 2);
      columns[4] = tf.zerosLike(columns[4]!);
      recurrent.projection.weight.assign(tf.reshape(tf.concat(columns, 2), [SIZE, 66]));
      const [q, k, v, , , b] = columns;
      plain.projection.weight.assign(tf.reshape(tf.concat([q!, k!, v!, b!], 2), [SIZE, 39]));
      plain.output.weight.assign(recurrent.output.weight);
      const x = noise([2, 8, SIZE], 7);
      assertAllClose(recurrent.apply(x).dataSync(), plain.apply(x).dataSync(), TOLERANCE);
      recurrent.dispose();
      plain.dispose();
    });
  });

  it('have the sizes of the paper: columns of the slow net, and initial recurrent weights', () => {
    const d = 16;
    const [size, heads] = [128, 8];
    const random = new RandomStream(1);
    const width = (layer: { projection: { weight: tf.Tensor } }) => layer.projection.weight.shape[1];
    expect(width(new DeltaRnn({ size, heads, random }))).toBe(heads * (5 * d + 2));
    expect(width(new DeltaLstm({ size, heads, random }))).toBe(heads * (15 * d + 6));
    expect(width(new DeltaDeltaNet({ size, heads, random }))).toBe(heads * (5 * d + 2));
    const mlp = new DeltaMlp({ size, heads, depth: 2, random });
    expect(mlp.hiddenSize).toBe((4 * size) / heads);
    const rdn = new RecurrentDeltaNet({ size, heads, random });
    expect(width(rdn)).toBe(heads * (3 * d + 1));
    const values = rdn.recurrentValue.dataSync() as Float32Array;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(deviation * Math.sqrt(d)).toBeCloseTo(1, 1);
    expect(rdn.recurrentBeta.shape).toEqual([heads, d]);
  });

  it.each(NAMES)('%s learns, and leaves nothing behind', (name) => {
    const block = new TransformerBlock({ size: SIZE, mixer: sized(name), random: new RandomStream(2) });
    const optimizer = new Adam(block, { learningRate: 0.01 });
    const x = noise([4, 6, SIZE], 8);
    // Each element is to become the one before it.
    const wanted = tf.tidy(
      () =>
        tf.pad(piece(x, 0, 5), [
          [0, 0],
          [1, 0],
          [0, 0],
        ]) as tf.Tensor3D,
    );
    const step = () => {
      const loss = optimizer.minimize(() => tf.mean(tf.square(tf.sub(block.apply(x), wanted))) as tf.Scalar);
      const [value] = loss.dataSync();
      loss.dispose();
      return value!;
    };
    const before = step();
    const { numTensors } = tf.memory();
    let after = before;
    for (let i = 0; i < 60; i++) after = step();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(after).toBeLessThan(0.7 * before);
    tf.dispose([x, wanted]);
    optimizer.dispose();
    block.dispose();

    function sized(layer: string): SequenceMixer {
      const made = layers[layer]!();
      if (made.outputSize === SIZE) return made;
      made.dispose();
      return layers['deltaRnn']!();
    }
  });

  it('are made by name, and say what is wrong with options and inputs', () => {
    const { numTensors } = tf.memory();
    for (const name of [
      'deltaRnn',
      'deltaLstm',
      'recurrentDeltaNet',
      'deltaMlp',
      'deltaDeltaNet',
      'deltaNet',
    ] as const) {
      expect(MIXERS).toContain(name);
      createMixer(name, options()).dispose();
      expect(() => createMixer(name, { ...options(), heads: 5 })).toThrow(
        /12 elements cannot be divided among 5 heads/,
      );
    }
    expect(() => createMixer('deltaCnn' as 'deltaRnn', options())).toThrow(
      /no mixer 'deltaCnn'. Choose one of: deltaRnn/,
    );
    expect(() => new DeltaMlp({ ...options(), depth: 0 })).toThrow(/DeltaMlp: depth must be a whole number/);
    expect(() => new DeltaRnn({ ...options(), epsilon: -1 })).toThrow(/DeltaRnn: epsilon/);
    expect(() => new DeltaRnn({ ...options(), outputScale: Number.NaN })).toThrow(/DeltaRnn: outputScale/);
    expect(() => new DeltaRnn({ ...options(), version: 3 as 2 })).toThrow(/DeltaRnn: version must be 1 or 2, but is 3/);
    expect(() => new DeltaLstm({ ...options(), version: 5 as 4 })).toThrow(
      /DeltaLstm: version must be 1 or 2 or 3 or 4/,
    );
    for (const Layer of [DeltaMlp, DeltaDeltaNet]) {
      expect(() => new Layer({ ...options(), epsilon: -1 })).toThrow(`${Layer.name}: epsilon must be a finite number`);
    }
    for (const Layer of [DeltaRnn, DeltaLstm]) {
      expect(() => new Layer({ ...options(), featureMap: 'tanh' })).toThrow(/no negative features .* but is 'tanh'/);
    }
    const layer = new RecurrentDeltaNet(options());
    tf.tidy(() => {
      expect(() => layer.apply(tf.zeros([2, 5, 11]))).toThrow(/RecurrentDeltaNet: x .* 11 instead of 12/);
      const state = layer.initialState(3);
      expect(() => layer.forward(tf.zeros([2, 5, SIZE]), state)).toThrow(/state.fastWeights .* 3 instead of 2/);
      expect(layer.apply(tf.zeros([2, 0, SIZE])).shape).toEqual([2, 0, SIZE]);
    });
    layer.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
