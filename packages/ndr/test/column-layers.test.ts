import * as core from '@fwp/core';
import { dispose, init, RandomStream, valueAndGradients } from '@fwp/core';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  COLUMN_LAYERS,
  type ColumnLayerName,
  createColumnLayer,
  DataRouterLayer,
  GeometricSelfAttention,
  SequenceClassifier,
  SoftmaxSelfAttention,
} from '../src/index.ts';
import { expectClose } from './expect-close.ts';

const SIZE = 8;
const columns = (length = 5, seed = 1): tf.Tensor3D =>
  tf.tensor3d(new RandomStream(seed).normal(2 * length * SIZE), [2, length, SIZE]);

describe.each(await availableDevices(core))('layers on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  const make = (name: ColumnLayerName) =>
    createColumnLayer(name, {
      size: SIZE,
      heads: 2,
      dropout: 0.2,
      attentionDropout: 0.1,
      gateDropout: 0.1,
      random: new RandomStream(3),
    });

  it.each(COLUMN_LAYERS)('%s: gradients of all parameters, and nothing left behind', (name) => {
    const layer = make(name);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const h = columns();
      const loss = () => tf.sum(tf.square(layer.apply(h))) as tf.Scalar;
      const { gradients } = valueAndGradients(loss, layer.parameters());
      for (const [path, { name: variable }] of layer.namedParameters()) {
        const values = gradients[variable]?.dataSync() ?? [];
        expect(values.length, path).toBeGreaterThan(0);
        expect([path, values.every(Number.isFinite)]).toEqual([path, true]);
      }
    });
    expect(tf.memory().numTensors).toBe(before);
    layer.dispose();
  });

  it.each(COLUMN_LAYERS)('%s: what padding holds has no influence', (name) => {
    const layer = make(name).eval();
    tf.tidy(() => {
      const short = columns(3);
      const padding = tf.fill([2, 2, SIZE], 1e3);
      const mask = tf.tensor2d([1, 1, 1, 0, 0, 1, 1, 1, 0, 0], [2, 5], 'bool');
      const long = layer.apply(tf.concat([short, padding as tf.Tensor3D], 1), mask);
      const expected = layer.apply(short).dataSync();
      const actual = tf.slice(long, [0, 0, 0], [2, 3, SIZE]).dataSync();
      expectClose(actual, expected, 4);
    });
    layer.dispose();
  });

  it.each(COLUMN_LAYERS)('%s: the weights to look at are those that it attends with', (name) => {
    const layer = make(name).eval();
    tf.tidy(() => {
      const h = columns();
      const { attention } = layer;
      const weights = attention.attentionWeights(h);
      expect(weights.shape).toEqual([2, 2, 5, 5]);
      const sums = tf.sum(weights, 3).dataSync();
      const isDistribution = attention instanceof SoftmaxSelfAttention || name === 'geometric';
      for (const sum of sums) {
        if (isDistribution) expect(sum).toBeCloseTo(1, 5);
        else expect(sum).toBeLessThan(1);
      }
      if (!(attention instanceof GeometricSelfAttention)) return;
      // The diagonal is excluded.
      const diagonal = tf.sum(tf.mul(weights, tf.eye(5))).dataSync()[0];
      expect(diagonal).toBe(0);
      // Values are the last third of the content: their products with the weights, through W_o, are the output.
      const projected = tf.add(tf.matMul(tf.reshape(h, [10, SIZE]), attention.projection as unknown as tf.Tensor2D), 0);
      const bias =
        attention.contentBias.size === 3 * SIZE ? tf.slice(attention.contentBias, [2 * SIZE], [SIZE]) : tf.scalar(0);
      const values = tf.add(tf.slice(projected, [0, 2 * SIZE], [10, SIZE]), bias);
      const byHead = tf.transpose(tf.reshape(values, [2, 5, 2, 4]), [0, 2, 1, 3]);
      const read = tf.transpose(tf.matMul(weights, byHead), [0, 2, 1, 3]);
      const output = tf.matMul(tf.reshape(read, [10, SIZE]), attention.output as unknown as tf.Tensor2D).dataSync();
      expectClose(attention.apply(h).dataSync(), output, 4);
    });
    layer.dispose();
  });

  it('dropout of softmax weights uses the same weights', () => {
    const options = { size: SIZE, heads: 2, positions: 'gated', random: new RandomStream(1) } as const;
    const attention = new SoftmaxSelfAttention({ ...options, attentionDropout: 1e-9 });
    tf.tidy(() => {
      const h = columns();
      const full = attention.train().apply(h).dataSync();
      expectClose(attention.eval().apply(h).dataSync(), full, 4);
    });
    attention.dispose();
  });

  it('without position vectors and biases relative attention is content alone', () => {
    const random = () => new RandomStream(2);
    const relative = new SoftmaxSelfAttention({ size: SIZE, heads: 2, positions: 'relative', random: random() });
    const none = new SoftmaxSelfAttention({ size: SIZE, heads: 2, random: random() });
    tf.tidy(() => {
      relative.positionProjection?.assign(tf.zeros([SIZE, SIZE]));
      const expected = none.apply(columns()).dataSync();
      expectClose(relative.apply(columns()).dataSync(), expected, 5);
    });
    tf.dispose([]);
    relative.dispose();
    none.dispose();
  });

  it('relative positions see a shift of the whole sequence as nothing, absolute ones do not', () => {
    const weightsOf = (model: SequenceClassifier, length: number, from: number): number[] => {
      const tokens = tf.tensor2d(new Array<number>(length).fill(3), [1, length], 'int32');
      const weights = model.trace(tokens).attention[0] as tf.Tensor4D;
      // Of equal tokens only positions tell keys apart: compare two neighbouring weights of one query.
      const row = tf.slice(weights, [0, 0, from, from], [1, 1, 1, 2]).dataSync();
      return [row[0]! / row[1]!];
    };
    const model = (name: 'relativeUniversal' | 'universal') =>
      new SequenceClassifier({
        vocabularySize: 5,
        classes: 2,
        size: SIZE,
        layers: 1,
        layer: { name },
        random: new RandomStream(4),
      });
    tf.tidy(() => {
      const [relative, absolute] = [model('relativeUniversal'), model('universal')];
      expect(weightsOf(relative, 9, 2)[0]).toBeCloseTo(weightsOf(relative, 9, 5)[0]!, 4);
      expect(Math.abs(weightsOf(absolute, 9, 2)[0]! - weightsOf(absolute, 9, 5)[0]!)).toBeGreaterThan(1e-3);
      relative.dispose();
      absolute.dispose();
    });
  });
});

describe('the Neural Data Router', () => {
  beforeAll(async () => {
    await init({ device: 'wasm', threads: 1 });
  });
  afterAll(dispose);

  const router = (gateBias?: number, size = SIZE) => {
    const random = new RandomStream(1);
    const attention = new GeometricSelfAttention({ size, random });
    return new DataRouterLayer({ size, attention, gateBias, random });
  };

  it('copies columns bit for bit with a closed gate, and replaces them with an open one', () => {
    tf.tidy(() => {
      const h = columns();
      const closed = router(Number.NEGATIVE_INFINITY === 0 ? 0 : -1e9);
      expect(closed.apply(closed.apply(h)).dataSync()).toEqual(h.dataSync());
      const open = router(1e9);
      const output = open.apply(h);
      // What remains is normalised, without a trace of h.
      const { mean, variance } = tf.moments(output, 2);
      for (const x of mean.dataSync()) expect(x).toBeCloseTo(0, 4);
      for (const x of variance.dataSync()) expect(x).toBeCloseTo(1, 2);
      closed.dispose();
      open.dispose();
    });
  });

  it('moves 4.74 % of the way at first', () => {
    const layer = router();
    tf.tidy(() => {
      layer.gateOutput.weight.assign(tf.zeros([SIZE, SIZE]));
      for (const g of layer.gates(columns()).dataSync()) expect(g).toBeCloseTo(0.047426, 6);
    });
    layer.dispose();
  });

  it('has as many parameters as the paper’s model of CTL', () => {
    const model = new SequenceClassifier({
      vocabularySize: 21,
      classes: 8,
      size: 256,
      layers: 14,
      layer: { name: 'neuralDataRouter', hiddenSize: 512 },
      random: new RandomStream(1),
    });
    expect(model.parameterCount).toBe(665_869);
    model.dispose();
  });

  it('has as many parameters as the variant of CTL++', () => {
    const model = new SequenceClassifier({
      vocabularySize: 42,
      classes: 8,
      size: 256,
      layers: 8,
      layer: { name: 'dataRouterCtlPlusPlus', hiddenSize: 512, heads: 4 },
      random: new RandomStream(1),
    });
    expect(model.parameterCount).toBe(673_299);
    model.dispose();
  });

  it('refuses wrong options', () => {
    const random = new RandomStream(1);
    expect(() => createColumnLayer('router' as never, { size: 4, random })).toThrow('createColumnLayer: name');
    expect(() => createColumnLayer('neuralDataRouter', { size: 4, heads: 3, random })).toThrow('cannot be divided');
    expect(() => createColumnLayer('relativeUniversal', { size: 4, heads: 3, random })).toThrow('cannot be divided');
    expect(() => createColumnLayer('neuralDataRouter', { size: 4, gateDropout: 1, random })).toThrow('gateDropout');
    const layer = router();
    expect(() => tf.tidy(() => layer.apply(tf.zeros([1, 2, 3])))).toThrow('DataRouterLayer: h');
    layer.dispose();
  });
});
