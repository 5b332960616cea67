/** The models, and state tracking with an Agg that is no network: exact for every length. */

import { type AffineElement, dispose, init, Module, prefixScan, RandomStream } from '@fwp/core';
import { wordProblem } from '@fwp/datasets';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddingConvolution } from '../src/embedding-convolution.ts';
import { LearnedPositions } from '../src/learned-positions.ts';
import { MODELS, makeModel } from '../src/models.ts';

const sizes = { size: 8, heads: 2, layers: 2, aggregatorLayers: 1, inferenceLayers: 1, chunkSize: 2, dropout: 0 };
const task = { vocabularySize: 7, targetCount: 6, maximumLength: 12 };

describe('models', () => {
  beforeAll(async () => {
    await init({ device: 'wasm', threads: 2 });
  });
  afterAll(dispose);

  const all = MODELS.flatMap((name) => [0, 3].map((convolution) => [name, convolution] as const));
  it.each(all)(
    '%s, convolution of %i: a stream has the logits of the whole, and nothing stays',
    (name, convolution) => {
      const { numTensors } = tf.memory();
      const model = makeModel(name, { ...sizes, convolution }, task, new RandomStream(1));
      tf.tidy(() => {
        const tokens = tf.tensor2d([[1, 5, 2, 6, 3, 3, 4, 1, 2, 6, 5]], [1, 11], 'int32');
        const expected = model.apply(tokens).dataSync();
        let state = model.initialState(1);
        const logits = tf.unstack(tokens, 1).flatMap((token) => {
          const result = model.step(token as tf.Tensor1D, state);
          state = result.state;
          return Array.from(result.logits.dataSync());
        });
        for (const [i, value] of logits.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
      });
      model.dispose();
      expect(tf.memory().numTensors).toBe(numTensors);
    },
  );

  it('a convolution of embeddings sees the elements just before, and goes on from its state', () => {
    const { numTensors } = tf.memory();
    const layer = new EmbeddingConvolution({ size: 1, width: 3, random: new RandomStream(1) });
    tf.tidy(() => {
      layer.convolution.weight.assign(tf.tensor2d([1, 10, 100], [3, 1]));
      const x = tf.tensor3d([1, 2, 3, 4], [1, 4, 1]);
      expect(Array.from(layer.apply(x).dataSync())).toEqual([1, 12, 123, 234]);
      const { state } = layer.forward(tf.slice(x, [0, 0, 0], [1, 2, 1]));
      const rest = layer.forward(tf.slice(x, [0, 2, 0], [1, 2, 1]), state).output;
      expect(Array.from(rest.dataSync())).toEqual([123, 234]);
    });
    layer.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('positions end where they were made to', () => {
    const positions = new LearnedPositions({ size: 4, maximumLength: 3, random: new RandomStream(1) });
    expect(positions).toBeInstanceOf(Module);
    expect(() => positions.apply(tf.zeros([1, 4, 4]))).toThrow(/there are 3 positions, but the sequence has 4/);
    positions.dispose();
  });

  it('S5 is tracked exactly by the tree of permutation matrices, in the order of the actions', () => {
    const batch = wordProblem({ group: 'S5', trainElements: [45, 45] }).batch(0, 2);
    const orders = permutationsOf(5);
    tf.tidy(() => {
      const chosen = Array.from(batch.inputs, (token) => orders[token - 1]!);
      const places = tf.tensor3d(chosen.flat(), [2, 45, 5], 'int32');
      const matrices = tf.cast(tf.oneHot(places, 5), 'float32');
      // new[j] = old[g[j]]: a later matrix stands on the left.
      const after = (earlier: AffineElement, later: AffineElement) => ({
        ...later,
        transition: tf.matMul(later.transition, earlier.transition),
      });
      const states = prefixScan(after, { transition: matrices, input: tf.zeros([2, 45]) }).transition;
      const reached = Array.from(tf.argMax(states, 3).dataSync());
      const names = Array.from({ length: 90 }, (_, i) =>
        orders.findIndex((order) => order.every((x, j) => x === reached[5 * i + j])),
      );
      expect(names).toEqual(Array.from(batch.targets));
      // The other way round it is another group element, sooner or later.
      const swapped = prefixScan((a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b), matrices as tf.Tensor);
      expect(Array.from(tf.argMax(swapped, 3).dataSync())).not.toEqual(reached);
    });
  });
});

/** All orders of items, in lexicographic order. */
function permutationsOf(items: number): number[][] {
  const extend = (order: number[]): number[][] =>
    order.length === items
      ? [order]
      : Array.from({ length: items }, (_, item) => item)
          .filter((item) => !order.includes(item))
          .flatMap((item) => extend([...order, item]));
  return extend([]);
}
