import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Dropout,
  dispose,
  Embedding,
  FEED_FORWARD_ACTIVATIONS,
  FeedForward,
  fanInUniform,
  heNormal,
  heUniform,
  type Initializer,
  init,
  LayerNorm,
  Linear,
  lecunNormal,
  type Module,
  normalInitializer,
  RandomStream,
  RmsNorm,
  randomNormal,
  randomUniform,
  Sequential,
  truncatedNormalInitializer,
  xavierNormal,
  xavierUniform,
} from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { linearReference } from '../reference/linear.ts';
import { layerNorm, rmsNorm, toRows } from '../reference/rows.ts';
import { expectWithin } from './comparison.ts';

/** Gives every parameter random values, so that none is left out by being 0 or 1. */
function randomize(module: Module, random: RandomStream): void {
  for (const variable of module.parameters()) {
    tf.tidy(() => variable.assign(randomUniform(random, variable.shape, { low: -1, high: 1 })));
  }
}

/** Leading dimensions and the last one. */
const shapeArbitrary = fc.tuple(
  fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  fc.integer({ min: 1, max: 20 }),
);

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('Linear maps the last dimension and equals the float64 reference', () => {
    const before = tf.memory().numTensors;
    fc.assert(
      fc.property(
        shapeArbitrary,
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
        ([leading, inputSize], outputSize, bias) => {
          const random = new RandomStream(1);
          const layer = new Linear({ inputSize, outputSize, bias, activation: 'silu', random });
          tf.tidy(() => {
            const x = randomNormal(random, [...leading, inputSize]);
            const y = layer.forward(x);
            expect(y.shape).toEqual([...leading, outputSize]);
            const expected = linearReference(
              x.dataSync(),
              layer.weight.dataSync(),
              layer.bias?.dataSync(),
              inputSize,
              outputSize,
              'silu',
            );
            expectWithin(y.dataSync(), expected, 3e-6);
          });
          expect(layer.parameters().length).toBe(bias ? 2 : 1);
          layer.dispose();
        },
      ),
      { numRuns: 40 },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('LayerNorm and RmsNorm equal the float64 reference, with and without residual', () => {
    fc.assert(
      fc.property(shapeArbitrary, ([leading, size]) => {
        const random = new RandomStream(2);
        const layer = new LayerNorm({ size, epsilon: 1e-3 });
        const rms = new RmsNorm({ size, epsilon: 1e-3 });
        randomize(layer, random);
        randomize(rms, random);
        tf.tidy(() => {
          const x = randomNormal(random, [...leading, size]);
          const residual = randomNormal(random, [...leading, size]);
          const sum = tf.add(x, residual).dataSync();
          const gains = (norm: LayerNorm | RmsNorm): number[] => Array.from(norm.gain.dataSync());
          const layerExpected = (values: ArrayLike<number>): number[] =>
            toRows(values, size).flatMap((row) =>
              layerNorm(row, gains(layer), Array.from(layer.bias.dataSync()), 1e-3),
            );
          const rmsExpected = (values: ArrayLike<number>): number[] =>
            toRows(values, size).flatMap((row) => rmsNorm(row, gains(rms), 1e-3));
          expectWithin(layer.forward(x).dataSync(), layerExpected(x.dataSync()), 1e-5);
          expectWithin(rms.forward(x).dataSync(), rmsExpected(x.dataSync()), 1e-5);
          const added = layer.addAndNormalize(x, residual);
          expectWithin(added.sum.dataSync(), sum, 0);
          expectWithin(added.output.dataSync(), layerExpected(sum), 1e-5);
          expectWithin(rms.addAndNormalize(x, residual).output.dataSync(), rmsExpected(sum), 1e-5);
        });
        layer.dispose();
        rms.dispose();
      }),
      { numRuns: 30 },
    );
  });

  it('normalisations begin as plain normalisations', () => {
    const layer = new LayerNorm({ size: 2 });
    const y = tf.tidy(() => layer.forward(tf.tensor2d([[1, 3]])).dataSync());
    expectWithin(y, [-1, 1], 1e-4);
    layer.dispose();
  });

  it('Embedding looks rows up and scores with them', () => {
    const random = new RandomStream(3);
    const layer = new Embedding({ vocabularySize: 5, size: 3, random });
    tf.tidy(() => {
      const ids = tf.tensor2d(
        [
          [4, 0],
          [4, 2],
        ],
        [2, 2],
        'int32',
      );
      const rows = layer.weight.arraySync() as number[][];
      const y = layer.forward(ids);
      expect(y.arraySync()).toEqual([
        [rows[4], rows[0]],
        [rows[4], rows[2]],
      ]);
      const logits = layer.logits(y);
      expect(logits.shape).toEqual([2, 2, 5]);
      const expected = [4, 0, 4, 2].flatMap((id) =>
        rows.map((row) => row.reduce((sum, w, i) => sum + w * rows[id]![i]!, 0)),
      );
      expectWithin(logits.dataSync(), expected, 1e-5);
      expect(() => layer.forward(tf.tensor1d([5], 'int32'))).toThrow(RangeError);
      const { grads } = tf.variableGrads(() => tf.sum(layer.forward(ids)), layer.parameters());
      expect(tf.sum(grads[layer.weight.name]!, 1).arraySync()).toEqual([3, 0, 3, 0, 6]);
    });
    layer.dispose();
  });

  it.each(FEED_FORWARD_ACTIVATIONS)('FeedForward with %s equals the float64 reference', (activation) => {
    const random = new RandomStream(4);
    const layer = new FeedForward({ size: 5, hiddenSize: 7, activation, random });
    randomize(layer, random);
    tf.tidy(() => {
      const x = randomNormal(random, [2, 3, 5]);
      const map = (name: 'input' | 'gate', inner: string): Float64Array => {
        const linear = layer[name] as Linear;
        return linearReference(x.dataSync(), linear.weight.dataSync(), linear.bias?.dataSync(), 5, 7, inner);
      };
      const gates: Record<string, string> = { reglu: 'relu', geglu: 'gelu', swiglu: 'silu' };
      const inner = gates[activation];
      const hidden =
        inner === undefined
          ? map('input', activation)
          : map('gate', inner).map((gate, i) => gate * map('input', 'none')[i]!);
      const expected = linearReference(
        hidden,
        layer.output.weight.dataSync(),
        layer.output.bias?.dataSync(),
        7,
        5,
        'none',
      );
      const y = layer.forward(x);
      expect(y.shape).toEqual([2, 3, 5]);
      expectWithin(y.dataSync(), expected, 1e-5);
    });
    layer.dispose();
  });

  it('Dropout draws anew while training and does exactly nothing in evaluation', () => {
    const layer = new Dropout({ rate: 0.5, random: new RandomStream(5) });
    tf.tidy(() => {
      const x = tf.ones([64]);
      const first = Array.from(layer.forward(x).dataSync());
      expect(Array.from(layer.forward(x).dataSync())).not.toEqual(first);
      const state = layer.namedRandomStreams().get('random')!.state;
      layer.eval();
      expect(layer.forward(x)).toBe(x);
      expect(layer.namedRandomStreams().get('random')!.state).toEqual(state);
      const again = new Dropout({ rate: 0.5, random: new RandomStream(5) });
      expect(Array.from(again.forward(x).dataSync())).toEqual(first);
    });
  });

  it('Dropout layers of one stream drop different elements', () => {
    const random = new RandomStream(5);
    const layers = [new Dropout({ rate: 0.5, random }), new Dropout({ rate: 0.5, random })];
    const [a, b] = layers.map((layer) => tf.tidy(() => Array.from(layer.forward(tf.ones([64])).dataSync())));
    expect(a).not.toEqual(b);
  });

  it('Sequential applies modules and functions in order', () => {
    const random = new RandomStream(6);
    const first = new Linear({ inputSize: 3, outputSize: 4, random });
    const model = new Sequential([first, tf.relu, new Linear({ inputSize: 4, outputSize: 2, random }), tf.square]);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const x = randomNormal(random, [5, 3]);
      const second = model.layers[2] as Linear;
      expect(model.forward(x).arraySync()).toEqual(tf.square(second.forward(tf.relu(first.forward(x)))).arraySync());
    });
    const x = tf.zeros([1, 3]);
    model.forward(x).dispose();
    x.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect([...model.namedParameters().keys()]).toEqual(['0.weight', '0.bias', '2.weight', '2.bias']);
    expect(() => new Sequential([{} as Linear])).toThrow('layer 0 must be a module or a function');
    model.dispose();
  });

  it.each<[string, Initializer, number, number]>([
    ['fanInUniform', fanInUniform(), 1 / Math.sqrt(3 * 100), 1 / Math.sqrt(100)],
    ['xavierUniform', xavierUniform(2), 2 * Math.sqrt(2 / 500), 2 * Math.sqrt(6 / 500)],
    ['xavierNormal', xavierNormal(), Math.sqrt(2 / 500), Number.POSITIVE_INFINITY],
    ['heUniform', heUniform(), Math.sqrt(2 / 100), Math.sqrt(6 / 100)],
    ['heNormal', heNormal(), Math.sqrt(2 / 100), Number.POSITIVE_INFINITY],
    ['lecunNormal', lecunNormal(), 0.1, Number.POSITIVE_INFINITY],
    ['normalInitializer', normalInitializer(0.3), 0.3, Number.POSITIVE_INFINITY],
    // The standard deviation of a normal distribution cut at two is 0.8796.
    ['truncatedNormalInitializer', truncatedNormalInitializer(0.3), 0.3 * 0.8796, 0.6],
  ])('%s has the spread that it says', (_, initializer, deviation, bound) => {
    const values = tf.tidy(() => Array.from(initializer([100, 400], new RandomStream(9)).dataSync()));
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const square = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(Math.abs(mean) / deviation).toBeLessThan(4 / Math.sqrt(values.length));
    expect(Math.abs(Math.sqrt(square) / deviation - 1)).toBeLessThan(0.02);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(bound);
  });

  it('layers say what is wrong with sizes and inputs', () => {
    const random = new RandomStream();
    expect(() => new Linear({ inputSize: 0, outputSize: 1, random })).toThrow(
      'Linear: inputSize must be a whole number',
    );
    expect(() => new Embedding({ vocabularySize: 2.5, size: 1, random })).toThrow('but is 2.5');
    expect(() => new LayerNorm({ size: 3, epsilon: -1 })).toThrow('epsilon must be a finite number of at least 0');
    expect(() => new Dropout({ rate: 1, random })).toThrow('Dropout: rate');
    expect(() => new Linear({ inputSize: 2, outputSize: 2, random, biasInitializer: xavierUniform() })).toThrow(
      'This initializer needs a matrix',
    );
    const layer = new Linear({ inputSize: 3, outputSize: 2, random });
    tf.tidy(() => {
      expect(() => layer.forward(tf.zeros([2, 4]))).toThrow(
        'Linear: x must have shape [..., 3], but has shape [2, 4]: dimension 1 is 4 instead of 3',
      );
      expect(() => layer.forward(tf.zeros([2, 3], 'int32'))).toThrow('Linear: x must be float32, but is int32');
    });
    layer.dispose();
  });
});
