/** The language model: causal, memory as good as a longer context, states that are carried and reset, checkpoints, sizes. */

import * as core from '@fwp/core';
import { assertAllClose, availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DenseBlock,
  FeedForwardBlock,
  type FeedForwardResult,
  preNormScale,
  RelativeAttention,
  TransformerXl,
  type TransformerXlOptions,
  type TransformerXlState,
} from '../src/index.ts';

const VOCABULARY = 11;
const SIZE = 12;

function makeModel(options: Partial<TransformerXlOptions> = {}, seed = 1): TransformerXl {
  const random = new core.RandomStream(seed);
  const { layers = 2 } = options;
  const initialScale = preNormScale(layers);
  return new TransformerXl({
    vocabularySize: VOCABULARY,
    size: SIZE,
    layers,
    attention: () => new RelativeAttention({ size: SIZE, heads: 3, initialScale, random }),
    feedForward: () => new DenseBlock({ size: SIZE, hiddenSize: 20, initialScale, random }),
    random,
    ...options,
  });
}

/** A model whose learned biases, scales and gains aren't what they are at first, so that none of them can be forgotten. */
function makeTrainedModel(options: Partial<TransformerXlOptions> = {}): TransformerXl {
  const model = makeModel(options);
  const random = new core.RandomStream(9);
  for (const variable of model.parameters()) {
    tf.tidy(() => variable.assign(tf.add(variable, tf.mul(0.3, core.randomNormal(random, variable.shape)))));
  }
  return model;
}

const tokensOf = (length: number, seed = 3): tf.Tensor2D => {
  const values = new core.RandomStream(seed).uniform(2 * length).map((u) => Math.floor(u * VOCABULARY));
  return tf.tensor2d(Int32Array.from(values), [2, length], 'int32');
};

const part = (tokens: tf.Tensor2D, begin: number, end: number): tf.Tensor2D =>
  tf.slice(tokens, [0, begin], [2, end - begin]);

/** A block that says what its regularisation is. */
class RegularizedBlock extends FeedForwardBlock {
  readonly size = SIZE;
  readonly multiplyAdds = 5;
  readonly weight: tf.Variable;
  readonly #factor: number;

  constructor(factor: number) {
    super();
    this.#factor = factor;
    this.weight = this.addParameter('weight', tf.scalar(2));
  }

  apply<T extends tf.Tensor>(inputs: T): FeedForwardResult<T> {
    const regularization = tf.mul<tf.Scalar>(this.weight, this.#factor);
    return { outputs: tf.mul<T>(inputs, this.weight), regularization, selections: [] };
  }
}

describe.each(await availableDevices(core))('TransformerXl on $name', ({ options }) => {
  beforeAll(async () => {
    await core.init(options);
  });
  afterAll(() => core.dispose());

  it('predicts a token from those before it alone', () => {
    const model = makeTrainedModel();
    const tokens = tokensOf(7);
    const changed = tf.concat([part(tokens, 0, 5), part(tokensOf(7, 8), 5, 7)], 1) as tf.Tensor2D;
    const [a, b] = [tokens, changed].map((t) => model.forward(t).logits);
    const first = (logits: tf.Tensor3D | undefined) =>
      tf.slice(logits as tf.Tensor3D, [0, 0, 0], [2, 5, VOCABULARY]).dataSync();
    expect(first(a)).toEqual(first(b));
    expect(a?.dataSync()).not.toEqual(b?.dataSync());
  });

  it('segment by segment with a long memory it computes what it does on the whole, with its gradient', () => {
    const model = makeTrainedModel({ memoryLength: 20 });
    const tokens = tokensOf(12);
    const whole = model.forward(tokens).logits;
    let state: TransformerXlState | undefined;
    const pieces = [0, 3, 4, 9].map((begin, i) => {
      const result = model.forward(part(tokens, begin, [3, 4, 9, 12][i] as number), state);
      state = result.state;
      return result.logits;
    });
    assertAllClose(tf.concat(pieces, 1).dataSync(), whole.dataSync());
    expect(state?.memories.map(({ shape }) => shape)).toEqual([
      [2, 12, SIZE],
      [2, 12, SIZE],
    ]);
  });

  it('a memory of the last elements equals attention to no more than these', () => {
    const model = makeTrainedModel({ layers: 1, memoryLength: 3 });
    const tokens = tokensOf(10);
    const first = model.forward(part(tokens, 0, 6));
    expect(first.state.memories[0]?.shape).toEqual([2, 3, SIZE]);
    const second = model.forward(part(tokens, 6, 10), first.state);
    // The memory of one layer is embeddings: the same as if the text began with them.
    const short = model.forward(part(tokens, 3, 10)).logits;
    assertAllClose(second.logits.dataSync(), tf.slice(short, [0, 3, 0], [2, 4, VOCABULARY]).dataSync());
    expect(second.state.memories[0]?.shape).toEqual([2, 3, SIZE]);
  });

  it('the memory can be longer or shorter in evaluation, or nothing', () => {
    const model = makeTrainedModel({ memoryLength: 2 });
    const tokens = tokensOf(9);
    const before = model.forward(part(tokens, 0, 5), undefined, { memoryLength: 5 });
    const after = model.forward(part(tokens, 5, 9), before.state, { memoryLength: 5 });
    const whole = tf.slice(model.forward(tokens).logits, [0, 5, 0], [2, 4, VOCABULARY]);
    assertAllClose(after.logits.dataSync(), whole.dataSync());
    const forgotten = model.forward(part(tokens, 5, 9), before.state, { memoryLength: 0 });
    expect(forgotten.logits.dataSync()).toEqual(model.forward(part(tokens, 5, 9)).logits.dataSync());
    expect(forgotten.state.memories[0]?.shape).toEqual([2, 0, SIZE]);
  });

  it('nothing is learned through the memory', () => {
    const model = makeTrainedModel({ memoryLength: 6, layers: 1 });
    const tokens = tokensOf(8);
    const { weight } = model.embedding;
    // Symbol 0 is in the first segment only; its vector matters for the second one, which does not change it.
    const notZero = tf.maximum(part(tokens, 4, 8), tf.scalar(1, 'int32'));
    const marked = tf.concat([tf.zeros([2, 4], 'int32'), notZero], 1) as tf.Tensor2D;
    const gradientOf = (loss: () => tf.Scalar) => {
      const { gradients } = core.valueAndGradients(loss, [weight]);
      return tf.slice(gradients[weight.name] as tf.Tensor, [0, 0], [1, SIZE]).dataSync();
    };
    const second = gradientOf(() => {
      const { state } = model.forward(part(marked, 0, 4));
      return tf.sum(tf.square(model.forward(part(marked, 4, 8), state).logits)) as tf.Scalar;
    });
    expect(second.every((value) => value === 0)).toBe(true);
    const whole = gradientOf(
      () => tf.sum(tf.square(tf.slice(model.forward(marked).logits, [0, 4, 0], [2, 4, -1]))) as tf.Scalar,
    );
    expect(whole.some((value) => value !== 0)).toBe(true);
  });

  it('adds up what balances the experts, with its gradient', () => {
    const blocks = [
      new RegularizedBlock(3),
      new DenseBlock({ size: SIZE, hiddenSize: 4, random: new core.RandomStream(1) }),
    ];
    const more = new RegularizedBlock(-5);
    const model = makeModel({ layers: 3, feedForward: (layer) => [...blocks, more][layer] as FeedForwardBlock });
    const { regularization, selections } = model.forward(tokensOf(3));
    expect(regularization?.dataSync()[0]).toBe(-4);
    expect(selections.length).toBe(3);
    const weight = (blocks[0] as RegularizedBlock).weight;
    const { gradients } = core.valueAndGradients(
      () => model.forward(tokensOf(3)).regularization as tf.Scalar,
      [weight],
    );
    expect(gradients[weight.name]?.dataSync()[0]).toBe(3);
    expect(makeModel().forward(tokensOf(3)).regularization).toBeUndefined();
    expect(model.feedForwardMultiplyAdds).toBe(5 + 2 * SIZE * 4 + 5);
  });

  it('all that it computes is in its state dictionary', () => {
    const [model, other] = [makeTrainedModel({ tieWeights: true }), makeModel({ tieWeights: true }, 2)];
    other.loadStateDict(model.stateDict());
    expect(other.forward(tokensOf(5)).logits.dataSync()).toEqual(model.forward(tokensOf(5)).logits.dataSync());
    expect(model.scores).toBeUndefined();
  });

  it('drops out while training only', () => {
    const model = makeModel({ dropout: 0.5 });
    const logits = () => model.forward(tokensOf(5)).logits.dataSync();
    expect(logits()).not.toEqual(logits());
    model.eval();
    expect(logits()).toEqual(logits());
  });

  it('learns, and nothing stays allocated', () => {
    const model = makeModel({ memoryLength: 4 });
    const optimizer = new core.Adam(model, { learningRate: 1e-2 });
    const tokens = tokensOf(9);
    const losses: number[] = [];
    const counts: number[] = [];
    let state: TransformerXlState | undefined;
    for (let step = 0; step < 12; step++) {
      const [inputs, targets] = [part(tokens, 0, 8), part(tokens, 1, 9)];
      const before = state;
      const loss = optimizer.minimize(() => {
        const result = model.forward(inputs, before);
        for (const memory of result.state.memories) tf.keep(memory);
        state = result.state;
        return core.softmaxCrossEntropy(result.logits, targets) as tf.Scalar;
      });
      losses.push(loss.dataSync()[0] as number);
      tf.dispose([inputs, targets, loss]);
      if (before !== undefined) tf.dispose(before);
      counts.push(tf.memory().numTensors);
    }
    expect(losses.at(-1)).toBeLessThan(0.7 * (losses[0] as number));
    expect(counts.at(-1)).toBe(counts[2]);
  });

  it('refuses what does not fit', () => {
    const model = makeModel({ memoryLength: 2 });
    expect(() => model.forward(tf.zeros([2, 3]))).toThrow('TransformerXl: tokens must');
    expect(() => model.forward(tokensOf(3), { memories: [] })).toThrow('state.memories has 0 memories for 2 layers');
    const { state } = model.forward(tokensOf(3));
    expect(() => model.forward(tf.zeros([1, 3], 'int32'), state)).toThrow('TransformerXl: state.memories[0]');
    expect(() => model.forward(tokensOf(3), undefined, { memoryLength: -1 })).toThrow('TransformerXl: memoryLength');
    const { numTensors } = tf.memory();
    const random = new core.RandomStream(1);
    const wide = () => new DenseBlock({ size: SIZE + 1, hiddenSize: 3, random });
    expect(() => makeModel({ feedForward: wide })).toThrow('the feedForward block must have size 12');
    expect(() => new RelativeAttention({ size: 10, heads: 3, random })).toThrow('give headSize to choose it freely');
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('number of parameters', () => {
  beforeAll(async () => {
    await core.init({ device: 'wasm' });
  });
  afterAll(() => core.dispose());

  interface Sizes {
    vocabulary: number;
    size: number;
    layers: number;
    heads: number;
    headSize: number;
    hiddenSize: number;
  }

  const count = ({ vocabulary, size, layers, heads, headSize, hiddenSize }: Sizes): number => {
    const width = heads * headSize;
    const attention = 5 * size * width + 2 * width + 1;
    const feedForward = 2 * size * hiddenSize + hiddenSize + size;
    return layers * (attention + feedForward + 4 * size) + 2 * size + 2 * vocabulary * size + vocabulary;
  };

  it('is that of the dense models of the paper', () => {
    const sizes = { vocabulary: VOCABULARY, size: SIZE, layers: 2, heads: 3, headSize: 4, hiddenSize: 20 };
    expect(makeModel().parameterCount).toBe(count(sizes));
    // 47 M with 8000 pieces on WikiText-103, and 262 M.
    const small = { vocabulary: 8000, size: 412, layers: 16, heads: 10, headSize: 41, hiddenSize: 2053 };
    const large = { vocabulary: 8000, size: 1024, layers: 18, heads: 16, headSize: 64, hiddenSize: 4110 };
    expect(count(small) / 1e6).toBeCloseTo(47.26, 2);
    expect(count(large) / 1e6).toBeCloseTo(262.48, 2);
  });
});
