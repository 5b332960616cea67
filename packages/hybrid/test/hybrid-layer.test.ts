/** What a sequence layer must do, for all blends. */

import * as core from '@fwp/core';
import { Adam, dispose, init, RandomStream, randomNormal } from '@fwp/core';
import { DeltaNet2024 } from '@fwp/deltanet';
import { assertAllClose, availableDevices, expectLearns, expectPiecesEqualWhole, inPieces, piece } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HybridLayer, type HybridLayerOptions } from '../src/index.ts';
import { cases, makeLayer, makeVividLayer, SIZE, stateValues } from './layers.ts';

const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };
const names = Object.keys(cases);

function noise(shape: number[], seed: number): tf.Tensor3D {
  return randomNormal(new RandomStream(seed), shape) as tf.Tensor3D;
}

describe.each(await availableDevices(core))('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(names)('%s: streams and pieces with carried state equal the whole', (name) => {
    tf.tidy(() => {
      const layer = makeVividLayer(name, new RandomStream(1));
      expectPiecesEqualWhole(layer, noise([2, 11, SIZE], 2), {
        lengths: [
          [4, 7],
          [1, 8, 2],
        ],
        // A state holds nothing at unused places that would matter; what the chunk under way does not use may differ.
        stateValues: ({ fastWeights }) => Array.from(fastWeights.dataSync()),
      });
      layer.dispose();
    });
  });
});

describe('hybrid layers', () => {
  beforeAll(async () => {
    await init({ device: 'wasm' });
  });
  afterAll(dispose);

  it.each(names)('%s: the gradient of a sequence is that of its pieces with the state carried over', (name) => {
    tf.tidy(() => {
      const layer = makeVividLayer(name, new RandomStream(1));
      const x = noise([2, 9, SIZE], 3);
      const direction = noise([2, 9, SIZE], 4);
      const gradientOf = (apply: (x: tf.Tensor3D) => tf.Tensor) =>
        tf
          .grad((x) => tf.sum(tf.mul(apply(x as tf.Tensor3D), direction)))(x)
          .dataSync();
      const whole = gradientOf((x) => layer.apply(x));
      const pieces = gradientOf((x) => inPieces(layer, x, [2, 5, 2]).output);
      assertAllClose(pieces, whole, { rtol: 1e-3, atol: 1e-4 });
      layer.dispose();
    });
  });

  it.each(names)('%s: padding at the end has no influence, not even on what follows', (name) => {
    tf.tidy(() => {
      const layer = makeVividLayer(name, new RandomStream(1));
      const x = noise([2, 7, SIZE], 3);
      const mask = tf.tensor2d([1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0], [2, 7], 'bool');
      const spoiled = tf.where(tf.expandDims(mask, 2), x, tf.fill(x.shape, Number.NaN)) as tf.Tensor3D;
      const padded = layer.forward(spoiled, undefined, { paddingMask: mask });
      const after = noise([2, 3, SIZE], 5);
      const later = layer.forward(after, padded.state).output;
      for (const [row, length] of [5, 4].entries()) {
        const of = (y: tf.Tensor3D, count: number) => tf.slice(y, [row, 0, 0], [1, count, SIZE]) as tf.Tensor3D;
        const exact = layer.forward(of(x, length));
        assertAllClose(of(padded.output, length).dataSync(), exact.output.dataSync(), TOLERANCE);
        // In chunks, padding counts as elements: what follows belongs to another chunk.
        if (layer.blend === 'delayedChunk') continue;
        const exactLater = layer.forward(of(after, 3), exact.state).output;
        assertAllClose(of(later, 3).dataSync(), exactLater.dataSync(), TOLERANCE);
      }
      layer.dispose();
    });
  });

  it.each(names)('%s: however few elements padding leaves, a sequence gives what it gives alone', (name) => {
    tf.tidy(() => {
      // None; fewer than a state holds; as many; more. The default window, 64, is longer than the passage.
      const lengths = [0, 1, 3, 4, 7, 12];
      const [batch, longest] = [lengths.length, 12];
      const x = noise([batch, longest, SIZE], 3);
      const after = noise([batch, 3, SIZE], 5);
      const bits = lengths.map((length) => Array.from({ length: longest }, (_, t) => Number(t < length)));
      const paddingMask = tf.tensor2d(bits, [batch, longest], 'bool');
      const spoiled = tf.where(tf.expandDims(paddingMask, 2), x, tf.fill(x.shape, Number.NaN)) as tf.Tensor3D;
      for (const window of [1, 5, 12, 13, undefined]) {
        const layer = makeVividLayer(name, new RandomStream(1), { window });
        const padded = layer.forward(spoiled, undefined, { paddingMask });
        const later = layer.forward(after, padded.state).output;
        for (const [row, length] of lengths.entries()) {
          const of = (y: tf.Tensor3D, count: number) => tf.slice(y, [row, 0, 0], [1, count, SIZE]) as tf.Tensor3D;
          const close = (actual: tf.Tensor3D, expected: tf.Tensor3D, what: string) =>
            assertAllClose(of(actual, expected.shape[1]).dataSync(), expected.dataSync(), {
              ...TOLERANCE,
              name: `${what}, window ${window}, ${length} elements`,
            });
          const exact = layer.forward(of(x, length));
          close(padded.output, exact.output, 'output');
          if (layer.blend !== 'delayedChunk') close(later, layer.forward(of(after, 3), exact.state).output, 'later');
        }
        layer.dispose();
      }
    });
  });

  it.each(names)('%s: padding at the beginning has no influence', (name) => {
    tf.tidy(() => {
      const layer = makeVividLayer(name, new RandomStream(1));
      // As many as a chunk has, so that chunks begin at the same elements.
      const count = layer.window;
      const x = noise([1, 4 + count, SIZE], 4);
      const paddingMask = tf.tensor2d([...new Array(count).fill(0), 1, 1, 1, 1], [1, 4 + count], 'bool');
      const padded = piece(layer.apply(x, { paddingMask }), count, 4);
      assertAllClose(padded.dataSync(), layer.apply(piece(x, count, 4)).dataSync(), TOLERANCE);
      layer.dispose();
    });
  });

  it.each(names)('%s: learns, with a gradient for every parameter', (name) => {
    const layer = makeLayer(name, new RandomStream(7));
    const optimizer = new Adam(layer, { learningRate: 0.02 });
    tf.tidy(() => expectLearns(layer, optimizer, noise([4, 6, SIZE], 8)));
    optimizer.dispose();
    layer.dispose();
  });

  it.each(names)('%s: keeps nothing but its state, which does not grow', (name) => {
    const none = tf.memory().numTensors;
    const layer = makeLayer(name, new RandomStream(1));
    const element = randomNormal(new RandomStream(1), [2, SIZE]) as tf.Tensor2D;
    let state = layer.initialState(2);
    const measured = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const { output, state: next } = layer.step(element, state);
      tf.dispose([output, state]);
      state = next;
      const { numTensors, numBytes } = tf.memory();
      measured.add(`${numTensors} tensors, ${numBytes} bytes`);
    }
    expect([...measured]).toHaveLength(1);
    tf.dispose([element, state]);
    layer.dispose();
    expect(tf.memory().numTensors).toBe(none);
  });

  it('any sizes, and none', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 5 }),
        (name, batch, length) => {
          tf.tidy(() => {
            const layer = makeLayer(name, new RandomStream(1));
            const { output, state } = layer.forward(tf.zeros([batch, length, SIZE]));
            expect(output.shape).toEqual([batch, length, SIZE]);
            expect(stateValues(state).every(Number.isFinite)).toBe(true);
            // The state can be given back.
            layer.forward(tf.zeros([batch, length, SIZE]), state);
            layer.dispose();
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  /** x whose first element is 1, so that a matrix with a large first row saturates a gate. */
  function gated(mixing: number) {
    // The DeltaNet's ε.
    const layer = new HybridLayer({ size: SIZE, heads: 2, window: 3, epsilon: 1e-5, random: new RandomStream(1) });
    const x = tf.concat([tf.ones([2, 7, 1]), noise([2, 7, SIZE - 1], 2)], 2) as tf.Tensor3D;
    const row = tf.concat([tf.fill([1, SIZE], mixing), tf.zeros([SIZE - 1, SIZE])]) as tf.Tensor2D;
    layer.mixer.weights?.loadStateDict({ weight: row });
    return { layer, x };
  }

  it('a gate of 1 leaves a DeltaNet', () => {
    tf.tidy(() => {
      const { layer, x } = gated(200);
      const deltaNet = new DeltaNet2024({
        ...{ size: SIZE, heads: 2, convolution: 0, negativeEigenvalues: true, random: new RandomStream(9) },
      });
      const weights = layer.stateDict();
      deltaNet.loadStateDict({
        'queryKeyValue.projection.weight': weights['queryKeyValue.projection.weight']!,
        'beta.weight': weights['beta.weight']!,
        'output.norm.gain': weights['output.norm.gain']!,
        'output.projection.weight': weights['output.projection.weight']!,
      });
      assertAllClose(layer.apply(x).dataSync(), deltaNet.apply(x).dataSync(), TOLERANCE);
      layer.dispose();
      deltaNet.dispose();
    });
  });

  it('a gate of 0 leaves attention over the window', () => {
    tf.tidy(() => {
      const { layer, x } = gated(-200);
      const { q, k, v } = layer.queryKeyValue.forward(x, undefined, undefined);
      const heads = core.attention(core.applyRotaryPositions(q), core.applyRotaryPositions(k), v, {
        layout: 'BTHD',
        causal: true,
        window: 3,
      });
      const expected = layer.output.forward(tf.transpose(heads, [0, 2, 1, 3]), x);
      assertAllClose(layer.apply(x).dataSync(), expected.dataSync(), TOLERANCE);
      layer.dispose();
    });
  });

  it('normalises what heads read with the ε of the paper’s configurations, or another', () => {
    tf.tidy(() => {
      const x = noise([1, 5, SIZE], 2);
      for (const epsilon of [undefined, 0.1]) {
        const layer = makeLayer('synchronous', new RandomStream(1), { epsilon });
        const read = noise([1, 2, 5, SIZE / 2], 3) as tf.Tensor as tf.Tensor4D;
        const small = tf.mul<tf.Tensor4D>(read, 1e-3);
        const scale = tf.sqrt(tf.add(tf.mean(tf.square(small), -1, true), epsilon ?? 1e-6));
        const expected = layer.output.projection.forward(
          tf.reshape(tf.transpose(tf.div(small, scale), [0, 2, 1, 3]), [1, 5, SIZE]),
        );
        assertAllClose(layer.output.forward(small, x).dataSync(), expected.dataSync(), TOLERANCE);
        layer.dispose();
      }
    });
  });

  it('has as many parameters as its equations say', () => {
    const count = (options: Partial<HybridLayerOptions>) => {
      const layer = new HybridLayer({ size: 12, heads: 3, random: new RandomStream(), ...options });
      const { parameterCount } = layer;
      layer.dispose();
      return parameterCount;
    };
    const [d, h] = [12, 3];
    const shared = d * 3 * d + d / h + d * d;
    expect(count({})).toBe(shared + d * h + d * d);
    expect(count({ mixer: 'sum' })).toBe(shared + d * h);
    expect(count({ mixer: 'scalar' })).toBe(shared + d * h + d * 2 * h);
    expect(count({ mixer: 'sum', rule: 'linearAttention' })).toBe(shared);
    expect(count({ mixer: 'sum', convolution: 4, outputGate: true })).toBe(shared + d * h + 4 * 3 * d + d * d);
  });

  it('says what is wrong', () => {
    const before = tf.memory().numTensors;
    const make = (options: object) => () =>
      new HybridLayer({ size: 8, heads: 2, random: new RandomStream(), ...options } as HybridLayerOptions);
    expect(make({ heads: 3 })).toThrow(
      'HybridLayer: keys of 8 elements cannot be divided among 3 heads; give headSize',
    );
    expect(make({ window: 0 })).toThrow('HybridLayer: window must be a whole number of at least 1');
    expect(make({ blend: 'early' })).toThrow("HybridLayer: blend must be 'synchronous' or 'delayedStream'");
    expect(make({ mixer: 'max' })).toThrow("HybridLayer: mixer must be 'sum' or 'scalar' or 'vector'");
    expect(make({ rule: 'oja' })).toThrow("HybridLayer: rule must be 'deltaRule' or 'linearAttention'");
    expect(make({ rule: 'linearAttention', blend: 'delayedChunk' })).toThrow("needs blend 'synchronous'");
    expect(make({ headSize: 3 })).toThrow('even headSize, but it is 3; choose another, or rotary: false');
    expect(make({ convolution: -1 })).toThrow('HybridLayer: convolution');
    expect(make({ epsilon: -1 })).toThrow('HybridLayer: epsilon must be a finite number of at least 0');
    expect(make({ weightInitializer: () => tf.tensor1d([1], 'int32') })).toThrow('must be float32');
    expect(tf.memory().numTensors).toBe(before);
    tf.tidy(() => {
      const layer = make({ window: 4 })();
      expect(() => layer.apply(tf.zeros([2, 3, 5]))).toThrow('HybridLayer: x must have shape [batch, length, 8]');
      expect(() => layer.step(tf.zeros([2, 8]), layer.initialState(3))).toThrow(
        'HybridLayer: state.fastWeights must have shape [2, 2, 4, 4], but has shape [3, 2, 4, 4]',
      );
      const other = make({ window: 3 })();
      expect(() => layer.step(tf.zeros([2, 8]), other.initialState(2))).toThrow('HybridLayer: state.keys');
      layer.dispose();
      other.dispose();
    });
  });
});
