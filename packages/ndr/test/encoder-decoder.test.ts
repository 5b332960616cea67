import * as core from '@fwp/core';
import { Adam, dispose, init, RandomStream } from '@fwp/core';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMBEDDING_SCALINGS, EncoderDecoder, type EncoderDecoderOptions, sinusoidalPositions } from '../src/index.ts';
import { expectClose } from './expect-close.ts';

const inputs = () => ({
  tokens: tf.tensor2d([1, 3, 4, 2, 1, 4, 2, 0], [2, 4], 'int32'),
  lengths: tf.tensor1d([4, 3], 'int32'),
});
/** 3 → 5 5, 4 → 6. */
const targets = () => ({
  tokens: tf.tensor2d([1, 5, 5, 6, 2, 1, 6, 2, 0, 0], [2, 5], 'int32'),
  lengths: tf.tensor1d([5, 3], 'int32'),
});
const make = (options: Partial<EncoderDecoderOptions> = {}) =>
  new EncoderDecoder({
    inputVocabularySize: 5,
    outputVocabularySize: 7,
    size: 16,
    heads: 2,
    layers: 2,
    random: new RandomStream(1),
    ...options,
  });

const variants: Partial<EncoderDecoderOptions>[] = [
  ...EMBEDDING_SCALINGS.map((scaling) => ({ scaling })),
  { positions: 'relative' },
  { universal: true, scaling: 'positionDownscaling' },
  { universal: true, positions: 'relative' },
];

describe.each(await availableDevices(core))('encoder-decoders on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(variants)('%o learns; greedy decoding with kept keys agrees with the scores of the whole', (variant) => {
    const model = make(variant);
    const optimizer = new Adam(model, { learningRate: 0.01 });
    const [source, wanted] = [inputs(), targets()];
    let loss = 0;
    for (let step = 0; step < 60; step++) {
      const value = optimizer.minimize(() => model.loss(source, wanted));
      loss = value.dataSync()[0] as number;
      value.dispose();
    }
    expect(loss).toBeLessThan(0.5);
    const before = tf.memory().numTensors;
    const generated = model.generate(source, { length: 6 });
    expect(tf.memory().numTensors).toBe(before);
    model.eval();
    tf.tidy(() => {
      // Symbol by symbol, the whole target so far is read again.
      for (const row of [0, 1]) {
        const symbols: number[] = [];
        const one = {
          tokens: tf.slice(source.tokens, [row, 0], [1, 4]),
          lengths: tf.slice(source.lengths, [row], [1]) as tf.Tensor1D,
        };
        while (symbols.length < 6) {
          const scores = model.forward(one, tf.tensor2d([[1, ...symbols]], undefined, 'int32'));
          const [next] = tf.argMax(tf.slice(scores, [0, symbols.length, 0], [1, 1, 7]), 2).dataSync();
          if (next === 2) break;
          symbols.push(next as number);
        }
        expect(generated[row]).toEqual(symbols);
      }
    });
    expect(model.generate(source, { length: 3, forbidEnd: true }).map(({ length }) => length)).toEqual([3, 3]);
    tf.dispose([Object.values(source), Object.values(wanted)]);
    optimizer.dispose();
    model.dispose();
  });

  it('a universal one with one layer is one with one layer', () => {
    const [shared, own] = [make({ layers: 1, universal: true }), make({ layers: 1 })];
    shared.eval();
    own.eval();
    tf.tidy(() => {
      const scores = (model: EncoderDecoder) => model.forward(inputs(), targets().tokens).dataSync();
      const expected = scores(own);
      expectClose(scores(shared), expected, 5);
      expect(shared.parameterCount).toBe(own.parameterCount);
      expect(make({ layers: 4, universal: true }).parameterCount).toBe(own.parameterCount);
    });
    shared.dispose();
    own.dispose();
  });

  it('padding has no influence on scores and loss', () => {
    const model = make({ positions: 'relative' }).eval();
    tf.tidy(() => {
      const both = model.forward(inputs(), targets().tokens);
      const alone = model.forward(
        { tokens: tf.tensor2d([[1, 4, 2]], undefined, 'int32'), lengths: tf.tensor1d([3], 'int32') },
        tf.tensor2d([[1, 6, 2]], undefined, 'int32'),
      );
      const expected = tf.slice(both, [1, 0, 0], [1, 3, 7]).dataSync();
      expectClose(alone.dataSync(), expected, 4);
    });
    model.dispose();
  });

  it('positions begin with 0, 1, 0, 1, … and all have the same length', () => {
    tf.tidy(() => {
      const p = sinusoidalPositions([0, 1, 7, 1000], 8);
      const rows = p.arraySync();
      expect(rows[0]).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
      expect(rows[1]?.[0]).toBeCloseTo(Math.sin(1), 6);
      for (const norm of tf.sum(tf.square(p), 1).dataSync()) expect(norm).toBeCloseTo(4, 4);
    });
  });

  it('refuses wrong options', () => {
    expect(() => make({ scaling: 'up' as never })).toThrow('EncoderDecoder: scaling');
    expect(() => make({ layers: 0 })).toThrow('EncoderDecoder: layers');
    const model = make();
    tf.tidy(() => {
      const { lengths } = inputs();
      expect(() => model.generate({ tokens: tf.ones([2, 3]) as tf.Tensor2D, lengths }, { length: 2 })).toThrow(
        'inputs.tokens',
      );
    });
    model.dispose();
  });
});
