/** What the layer does: training and streams agree, memory is logarithmic, and its parts are the user's own. */

import * as core from '@fwp/core';
import {
  AdamW,
  dispose,
  ElementwiseLstm,
  elementCount,
  init,
  Lstm,
  Module,
  MultiHeadAttention,
  RandomStream,
  randomNormal,
  rootLevels,
  type SequenceMixer,
} from '@fwp/core';
import { assertAllClose, availableDevices, inPieces, piece, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Aggregator,
  FeedForwardAggregator,
  PrefixScannableLayer,
  type PrefixScannableState,
  TransformerAggregator,
  TransformerPsm,
  TransformerStack,
} from '../src/index.ts';

const SIZE = 12;
const TOLERANCE = { rtol: 1e-5, atol: 1e-5 };

/** Adds, and notes what it was given. */
class CountingSum extends Module implements Aggregator {
  pairs = 0;
  smallest = Number.POSITIVE_INFINITY;
  combine(earlier: tf.Tensor3D, later: tf.Tensor3D): tf.Tensor3D {
    this.pairs += earlier.shape[0];
    this.smallest = Math.min(this.smallest, ...earlier.dataSync(), ...later.dataSync());
    return tf.add(earlier, later);
  }
}

class Doubling extends Module {
  forward(chunk: tf.Tensor3D): tf.Tensor3D {
    return tf.mul(chunk, 2);
  }
}

const psm = (chunkSize: number, options: { layers?: number; heads?: number } = {}) => {
  const { layers = 1, heads = 2 } = options;
  const blocks = { aggregatorLayers: layers, inferenceLayers: layers };
  return new TransformerPsm({ chunkSize, size: SIZE, heads, ...blocks, random: new RandomStream(1) });
};

/** A layer that reads with a recurrent net, to which nothing is ever absent: what stands before an element changes it. */
function recurrent(Inference: typeof Lstm | typeof ElementwiseLstm): PrefixScannableLayer {
  const random = new RandomStream(5);
  const aggregator = new FeedForwardAggregator({ size: SIZE, random });
  const inference = new Inference({ inputSize: SIZE, hiddenSize: 7, random }) as SequenceMixer;
  return new PrefixScannableLayer({ chunkSize: 3, size: SIZE, aggregator, inference, random });
}

const layers: Record<string, () => PrefixScannableLayer> = {
  'Transformers, chunks of 1': () => psm(1),
  'Transformers, chunks of 4': () => psm(4, { layers: 2 }),
  'Transformers and an encoder, chunks of 3': () => {
    const random = new RandomStream(2);
    return new TransformerPsm({ chunkSize: 3, size: SIZE, heads: 2, encoder: new Doubling(), random });
  },
  'feed-forward Agg, chunks of 2': () => {
    const random = new RandomStream(3);
    const aggregator = new FeedForwardAggregator({ size: SIZE, random });
    const inference = new TransformerStack({ size: SIZE, heads: 2, random });
    return new PrefixScannableLayer({ chunkSize: 2, size: SIZE, aggregator, inference, random });
  },
  'a sum and an attention, without positions': () => {
    const random = new RandomStream(4);
    const inference = new MultiHeadAttention({ size: SIZE, heads: 3, outputSize: 5, random });
    const aggregator = new CountingSum();
    return new PrefixScannableLayer({ chunkSize: 3, size: SIZE, aggregator, inference, positions: false, random });
  },
  'feed-forward Agg and an LSTM, chunks of 3': () => recurrent(Lstm),
  'feed-forward Agg and an e-LSTM, chunks of 3': () => recurrent(ElementwiseLstm),
};
const NAMES = Object.keys(layers);

function noise(shape: number[], seed: number): tf.Tensor3D {
  return randomNormal(new RandomStream(seed), shape) as tf.Tensor3D;
}

describe.each(await availableDevices(core))('layers on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(NAMES)('%s: streams and pieces with carried state equal training, for all lengths', (name) => {
    const layer = layers[name]!();
    for (const length of [1, 2, 3, 4, 5, 8, 13, 31]) {
      tf.tidy(() => {
        const x = noise([2, length, SIZE], length);
        const expected = layer.apply(x);
        expect(expected.shape).toEqual([2, length, layer.outputSize]);
        const close = (y: tf.Tensor, what: string) =>
          assertAllClose(y.dataSync(), expected.dataSync(), { ...TOLERANCE, name: `${what}, length ${length}` });
        const whole = layer.forward(x);
        close(whole.output, 'forward');
        const streamed = inPieces(layer, x, 'steps');
        close(streamed.output, 'stream');
        const cuts = [0, Math.floor(length / 3), Math.floor(length / 2), length];
        const pieces = inPieces(
          layer,
          x,
          cuts.slice(1).map((end, i) => end - cuts[i]!),
        );
        close(pieces.output, 'pieces');
        for (const other of [streamed.state, pieces.state]) {
          expect(other.roots.map(({ level }) => level)).toEqual(whole.state.roots.map(({ level }) => level));
          const tensors = ({ roots, chunk, inference }: PrefixScannableState) =>
            [
              chunk,
              ...roots.flatMap(({ value, fold }) => [value, fold]),
              ...tf.tensor_util.getTensorsInContainer(inference),
            ].flatMap((tensor) => Array.from(tensor.dataSync()));
          assertAllClose(tensors(other), tensors(whole.state), { ...TOLERANCE, name: 'state' });
        }
      });
    }
    layer.dispose();
  });

  it('a stream has a root for each bit of the number of chunks', () => {
    const layer = psm(2);
    let state = layer.initialState(1);
    for (let t = 1; t <= 150; t++) {
      const before = state;
      state = tf.tidy(() => layer.step(noise([1, SIZE], t) as unknown as tf.Tensor2D, before).state as never);
      tf.dispose(before);
      const chunks = Math.floor(t / 2);
      expect(elementCount(state.roots)).toBe(chunks);
      expect(state.roots.map(({ level }) => level)).toEqual(rootLevels(chunks));
      expect(state.chunk.shape).toEqual([1, t % 2, SIZE]);
    }
    tf.dispose(state);
    layer.dispose();
  });
});

describe('PrefixScannableLayer', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it('with one chunk is a causal Transformer, whatever the length of a chunk', () => {
    tf.tidy(() => {
      for (const [chunkSize, length] of [
        [8, 8],
        [8, 5],
      ] as const) {
        const layer = psm(chunkSize, { layers: 2 });
        const x = noise([2, length, SIZE], 3);
        const placed = tf.add(x, tf.slice(layer.chunkPositions!, [0, 0], [length, SIZE])) as tf.Tensor3D;
        assertAllClose(layer.apply(x).dataSync(), layer.inference.apply(placed).dataSync(), TOLERANCE);
        layer.dispose();
      }
    });
  });

  it('is causal, and an element reaches its own chunk through Inf only', () => {
    tf.tidy(() => {
      const layer = psm(4);
      const x = noise([1, 16, SIZE], 4);
      const before = tf.unstack(layer.apply(x), 1).map((y) => Array.from(y.dataSync()));
      const at = 6;
      const place = tf.tensor1d(Array.from({ length: 16 }, (_, t) => (t === at ? 1 : 0)));
      const changed = tf.add(x, tf.mul(tf.reshape(place, [1, 16, 1]), noise([1, 1, SIZE], 5))) as tf.Tensor3D;
      const after = tf.unstack(layer.apply(changed), 1).map((y) => Array.from(y.dataSync()));
      const moved = before.map((y, t) => Math.max(...y.map((value, i) => Math.abs(value - after[t]![i]!))));
      expect(moved.slice(0, at)).toEqual(new Array(at).fill(0));
      for (const distance of moved.slice(at)) expect(distance).toBeGreaterThan(1e-5);
      // Without prefixes, the second chunk is what Inf makes of it: Agg has no part in it beyond the first chunk.
      const gradients = tf.variableGrads(
        () => tf.sum(tf.square(piece(layer.apply(x), 4, 4))) as tf.Scalar,
        layer.aggregator.parameters(),
      ).grads;
      for (const gradient of Object.values(gradients)) expect(Math.max(...tf.abs(gradient).dataSync())).toBe(0);
      layer.dispose();
    });
  });

  it('never gives Agg a dummy, padding or an unfinished chunk', () => {
    const aggregator = new CountingSum();
    const random = new RandomStream(5);
    const inference = new TransformerStack({ size: 2, random });
    const layer = new PrefixScannableLayer({ chunkSize: 2, size: 2, aggregator, inference, positions: false, random });
    tf.tidy(() => {
      layer.apply(tf.ones([3, 13, 2]));
      // Prefixes of up to six whole chunks: 3 + 1 nodes of the up-sweep, and those of 3, 5 and 6 chunks.
      expect(aggregator.pairs).toBe(3 * (3 + 1 + 3));
      expect(aggregator.smallest).toBe(1);
      const { state } = layer.forward(tf.ones([3, 13, 2]));
      expect(state.roots.map(({ value }) => value.dataSync()[0])).toEqual([4, 2]);
      expect(state.roots.map(({ fold }) => fold.dataSync()[0])).toEqual([4, 6]);
    });
    layer.dispose();
  });

  it('merges into the right half of what its blocks make of both chunks', () => {
    const [chunkSize, random] = [3, new RandomStream(6)];
    const aggregator = new TransformerAggregator({ chunkSize, size: SIZE, heads: 2, layers: 2, random });
    tf.tidy(() => {
      const [earlier, later] = [noise([4, chunkSize, SIZE], 1), noise([4, chunkSize, SIZE], 2)];
      let both = tf.add(tf.concat([earlier, later], 1), aggregator.positions) as tf.Tensor3D;
      for (const block of aggregator.blocks) both = block.apply(both);
      const expected = aggregator.norm.forward(tf.slice(both, [0, chunkSize, 0]));
      assertAllClose(aggregator.combine(earlier, later).dataSync(), expected.dataSync(), TOLERANCE);
    });
    aggregator.dispose();
  });

  it.each([{ Inference: Lstm }, { Inference: ElementwiseLstm }])(
    'reads three chunks with $Inference.name',
    ({ Inference }) => {
      const layer = recurrent(Inference);
      tf.tidy(() => {
        const x = noise([2, 9, SIZE], 7);
        const whole = layer.apply(x);
        expect(whole.shape).toEqual([2, 9, 7]);
        assertAllClose(inPieces(layer, x, 'steps').output.dataSync(), whole.dataSync(), TOLERANCE);
        // The first chunk is what Inf makes of it alone, as if it had never heard of prefixes.
        const first = tf.add(piece(x, 0, 3), layer.chunkPositions!) as tf.Tensor3D;
        assertAllClose(piece(whole, 0, 3).dataSync(), layer.inference.apply(first).dataSync(), TOLERANCE);
      });
      layer.dispose();
    },
  );

  it.each(['Transformers', 'an LSTM'])('%s: padding has no influence at the end, and is refused elsewhere', (name) => {
    tf.tidy(() => {
      const layer = name === 'an LSTM' ? recurrent(Lstm) : psm(2);
      const x = noise([2, 7, SIZE], 3);
      const mask = tf.tensor2d([1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1], [2, 7], 'bool');
      const spoiled = tf.where(tf.expandDims(mask, 2), x, tf.fill(x.shape, Number.NaN)) as tf.Tensor3D;
      const first = (y: tf.Tensor3D) => tf.slice(y, [0, 0, 0], [1, 5, layer.outputSize]);
      const exact = () => layer.apply(tf.slice(x, [0, 0, 0], [1, 5, SIZE]));
      const padded = () => first(layer.apply(spoiled, { paddingMask: mask }));
      assertAllClose(padded().dataSync(), exact().dataSync(), { ...TOLERANCE, name: 'output' });
      const gradients = (run: () => tf.Tensor) =>
        tf.variableGrads(() => tf.sum(tf.square(run())) as tf.Scalar, layer.parameters()).grads;
      const actual = gradients(padded);
      for (const [key, gradient] of Object.entries(gradients(exact))) {
        assertAllClose(actual[key]!.dataSync(), gradient.dataSync(), { rtol: 1e-3, atol: 1e-4, name: key });
      }
      const inside = tf.tensor2d([1, 0, 1], [1, 3], 'bool');
      expect(() => layer.apply(noise([1, 3, SIZE], 1), { paddingMask: inside })).toThrow(
        /only stand at the end of a sequence, but sequence 0 has an element behind padding, at 2/,
      );
      expect(() => layer.forward(x, undefined, { paddingMask: mask })).toThrow(
        /forward\(\) takes no paddingMask, as a state/,
      );
      layer.dispose();
    });
  });

  it.each(NAMES.slice(0, 4))('%s learns, and leaves nothing behind', (name) => {
    const layer = layers[name]!();
    const optimizer = new AdamW(layer, { learningRate: 0.01 });
    const x = noise([4, 9, SIZE], 8);
    // Each element is to become the first one.
    const wanted = tf.tidy(() => tf.tile(piece(x, 0, 1), [1, 9, 1]));
    const step = () => {
      const loss = optimizer.minimize(() => tf.mean(tf.square(tf.sub(layer.apply(x), wanted))) as tf.Scalar);
      const [value] = loss.dataSync();
      loss.dispose();
      return value!;
    };
    const before = step();
    const { numTensors } = tf.memory();
    let after = before;
    for (let i = 0; i < 60; i++) after = step();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(after).toBeLessThan(0.5 * before);
    const streamed = layer.forward(x);
    const more = layer.step(
      tf.tidy(() => tf.squeeze(piece(x, 0, 1), [1]) as tf.Tensor2D),
      streamed.state,
    );
    tf.dispose([streamed as never, more as never]);
    tf.dispose([x, wanted]);
    optimizer.dispose();
    layer.dispose();
  });

  it('says what is wrong', () => {
    const random = new RandomStream(1);
    expect(() => new TransformerPsm({ chunkSize: 0, size: 4, random })).toThrow(/chunkSize must be a whole number/);
    expect(() => new TransformerPsm({ chunkSize: 2, size: 4, heads: 3, random })).toThrow(/divided among 3 heads/);
    expect(() => new TransformerPsm({ chunkSize: 2, size: 4, aggregatorLayers: 0, random })).toThrow(/layers/);
    expect(() => new FeedForwardAggregator({ size: 0, random })).toThrow(/FeedForwardAggregator: size/);
    const aggregator = new TransformerAggregator({ chunkSize: 3, size: SIZE, random });
    const inference = new TransformerStack({ size: SIZE, random });
    expect(() => new PrefixScannableLayer({ chunkSize: 2, size: SIZE, aggregator, inference, random })).toThrow(
      /must be for chunks of 2 elements, but its chunkSize is 3/,
    );
    for (const part of [aggregator, inference]) part.dispose();
    const layer = psm(2);
    tf.tidy(() => {
      expect(() => layer.apply(tf.zeros([2, 5, 11]))).toThrow(/PrefixScannableLayer: x .* 11 instead of 12/);
      const state = layer.initialState(3);
      expect(() => layer.forward(tf.zeros([2, 5, SIZE]), state)).toThrow(/state.chunk .* 3 instead of 2/);
      const full = { ...layer.initialState(2), chunk: tf.zeros([2, 2, SIZE]) as tf.Tensor3D };
      expect(() => layer.step(tf.zeros([2, SIZE]), full)).toThrow(
        /state.chunk has 2 elements, but a chunk is complete/,
      );
      expect(layer.apply(tf.zeros([2, 0, SIZE])).shape).toEqual([2, 0, SIZE]);
      expect(layer.forward(tf.zeros([2, 0, SIZE])).output.shape).toEqual([2, 0, SIZE]);
    });
    layer.dispose();
  });
});
