import { AdamW, dispose, init, RandomStream, softmaxCrossEntropy } from '@fwp/core';
import { DeltaNet2024 } from '@fwp/deltanet';
import { assertAllClose } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BLENDS, HybridLanguageModel, type HybridLanguageModelOptions, type HybridLayer } from '../src/index.ts';

const VOCABULARY = 11;

function makeModel(options: Partial<HybridLanguageModelOptions> = {}): HybridLanguageModel {
  return new HybridLanguageModel({
    ...{ vocabularySize: VOCABULARY, size: 16, layers: 2, mixer: { heads: 2, window: 4 }, random: new RandomStream(1) },
    ...options,
  });
}

function tokens(length: number): tf.Tensor2D {
  return tf.tensor2d(
    new RandomStream(3).uniform(2 * length).map((x) => Math.floor(x * VOCABULARY)),
    [2, length],
    'int32',
  );
}

describe('HybridLanguageModel', () => {
  beforeAll(async () => {
    await init({ device: 'wasm' });
  });
  afterAll(dispose);

  it.each(BLENDS)('%s: logits of a stream are those of the whole', (blend) => {
    tf.tidy(() => {
      const model = makeModel({ mixer: { heads: 2, window: 4, blend, convolution: 3 }, initializerRange: 0.5 });
      const text = tokens(19);
      const whole = model.apply(text);
      let state = model.initialState(2);
      const steps = tf.unstack(text, 1).map((token) => {
        const { logits, state: next } = model.step(token as tf.Tensor1D, state);
        state = next;
        return logits;
      });
      assertAllClose(tf.stack(steps, 1).dataSync(), whole.dataSync(), { rtol: 1e-5, atol: 1e-5 });
      model.dispose();
    });
  });

  it('padding behind short texts has no influence', () => {
    tf.tidy(() => {
      // The default window is longer than any of them.
      const model = makeModel({ mixer: { heads: 2 }, initializerRange: 0.5 });
      const text = tokens(9);
      const lengths = [4, 7];
      const bits = lengths.map((length) => Array.from({ length: 9 }, (_, t) => Number(t < length)));
      const padded = model.apply(text, { paddingMask: tf.tensor2d(bits, [2, 9], 'bool') });
      for (const [row, length] of lengths.entries()) {
        const exact = model.apply(tf.slice(text, [row, 0], [1, length]));
        const ours = tf.slice(padded, [row, 0, 0], [1, length, VOCABULARY]);
        assertAllClose(ours.dataSync(), exact.dataSync(), { rtol: 1e-5, atol: 1e-5 });
      }
      model.dispose();
    });
  });

  it('has one ε for all normalisations, 1e-6 as in the paper’s configurations', () => {
    tf.tidy(() => {
      for (const epsilon of [undefined, 0.1]) {
        const model = makeModel({ epsilon });
        const [block] = model.blocks;
        const norms = [block!.norm1, block!.norm2, model.norm!, (block!.mixer as HybridLayer).output.norm];
        for (const norm of norms) {
          const size = norm.namedParameters().get('gain')!.shape[0]!;
          const x = tf.fill([1, size], 1e-3);
          const expected = 1e-3 / Math.sqrt(1e-6 + (epsilon ?? 1e-6));
          assertAllClose(norm.forward(x).dataSync(), new Array(size).fill(expected), { rtol: 1e-4, atol: 0 });
        }
        model.dispose();
      }
    });
  });

  it('learns a text by heart', () => {
    const model = makeModel();
    const text = tokens(24);
    const [inputs, targets] = [tf.slice(text, [0, 0], [2, 23]), tf.slice(text, [0, 1], [2, 23])];
    const optimizer = new AdamW(model, { learningRate: 0.01 });
    const losses = Array.from({ length: 80 }, () =>
      tf.tidy(
        () => optimizer.minimize(() => softmaxCrossEntropy(model.apply(inputs), targets) as tf.Scalar).dataSync()[0]!,
      ),
    );
    expect(losses[0]).toBeCloseTo(Math.log(VOCABULARY), 1);
    expect(losses.at(-1)).toBeLessThan(0.3);
    tf.dispose([text, inputs, targets]);
    optimizer.dispose();
    model.dispose();
  });

  it('begins with the values that the paper’s code has', () => {
    const model = makeModel({ size: 64, layers: 8 });
    const weights = new Map([...model.namedParameters()].map(([path, variable]) => [path, variable.dataSync()]));
    const deviation = (values: ArrayLike<number>) =>
      Math.sqrt(Array.from(values, (x) => x * x).reduce((a, b) => a + b) / values.length);
    const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs));
    let into = 0;
    for (const [path, values] of weights) {
      const inputs = { 'mixer.output.projection': 64, 'feedForward.output': 192 }[
        path.replace(/^blocks\.\d+\.|\.weight$/g, '')
      ];
      if (inputs !== undefined) {
        into++;
        const bound = 1 / Math.sqrt(inputs * 2 * 8);
        expect(largest(values)).toBeLessThanOrEqual(bound);
        expect(largest(values)).toBeGreaterThan(0.95 * bound);
      } else if (path.endsWith('gain')) {
        expect(Array.from(values)).toEqual(new Array(values.length).fill(1));
      } else if (values.length > 1000) {
        expect(deviation(values)).toBeGreaterThan(0.018);
        expect(deviation(values)).toBeLessThan(0.022);
      }
    }
    expect(into).toBe(16);
    model.dispose();
  });

  it('takes other layers, to be compared', () => {
    const before = tf.memory().numTensors;
    const random = new RandomStream(1);
    const model = makeModel({ mixer: () => new DeltaNet2024({ size: 16, heads: 2, random }) });
    const text = tokens(5);
    const logits = model.apply(text);
    expect(logits.shape).toEqual([2, 5, VOCABULARY]);
    tf.dispose([text, logits]);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('says what is wrong, and keeps nothing', () => {
    const before = tf.memory().numTensors;
    expect(() => makeModel({ layers: -1 })).toThrow('layers must be a whole number');
    expect(() => makeModel({ epsilon: Number.NaN })).toThrow('epsilon must be a finite number');
    expect(() => makeModel({ mixer: { heads: 3 } })).toThrow('HybridLayer: keys of 16 elements');
    expect(() => makeModel({ initializerRange: -1 })).toThrow('standardDeviation');
    expect(tf.memory().numTensors).toBe(before);
  });
});
