/** The model: its equation, streams, and bad input; and that recurrence makes the difference on parity. */

import { Adam, dispose, init, Lstm, RandomStream, softmaxCrossEntropy, TransformerBlock } from '@fwp/core';
import { assertAllClose, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMixer, type MixerName, SequenceTagger, scoreTagging, taggingLoss } from '../src/index.ts';

function makeTagger(mixer: MixerName, seed = 1): SequenceTagger {
  const random = new RandomStream(seed);
  const size = 16;
  const layer = createMixer(mixer, { size, heads: 2, random });
  const block = new TransformerBlock({ size, mixer: layer, random });
  return new SequenceTagger({ vocabularySize: 3, targetCount: 2, size, blocks: [block], random });
}

/** Bits, 1 or 2, and whether the number of twos so far is even. */
function parity(batch: number, length: number, seed: number): { tokens: tf.Tensor2D; targets: tf.Tensor2D } {
  const random = new RandomStream(seed);
  const bits = Array.from(random.uniform(batch * length), (x) => (x < 0.5 ? 1 : 2));
  let even = 1;
  const targets = bits.map((bit, i) => {
    if (i % length === 0) even = 1;
    if (bit === 2) even = 1 - even;
    return even;
  });
  return {
    tokens: tf.tensor2d(bits, [batch, length], 'int32'),
    targets: tf.tensor2d(targets, [batch, length], 'int32'),
  };
}

describe('SequenceTagger', () => {
  beforeAll(async () => {
    await init(wasm.options);
  });
  afterAll(dispose);

  it('gives the same symbol by symbol', () => {
    tf.tidy(() => {
      const random = new RandomStream(3);
      const lstm = new Lstm({ inputSize: 16, hiddenSize: 5, random });
      for (const model of [
        makeTagger('deltaRnn'),
        makeTagger('recurrentDeltaNet'),
        new SequenceTagger({ vocabularySize: 3, targetCount: 2, size: 16, blocks: [lstm], finalNorm: true, random }),
      ]) {
        const { tokens } = parity(2, 6, 4);
        const whole = model.apply(tokens);
        expect(whole.shape).toEqual([2, 6, 2]);
        let state = model.initialState(2);
        const logits = tf.unstack(tokens, 1).map((column) => {
          const step = model.step(column as tf.Tensor1D, state);
          state = step.state;
          return step.logits;
        });
        assertAllClose(tf.stack(logits, 1).dataSync(), whole.dataSync(), { rtol: 1e-4, atol: 1e-5 });
        model.dispose();
      }
    });
  });

  // Numeric check 9 of the paper's card: one layer of the Recurrent Delta Net learns parity, and keeps it when words get longer.
  it('learns parity with a Recurrent Delta Net, for words longer than those of the training', () => {
    const model = makeTagger('recurrentDeltaNet');
    const optimizer = new Adam(model, { learningRate: 3e-3 });
    const accuracy = () =>
      tf.tidy(() => {
        const { tokens, targets } = parity(50, 80, 999);
        const right = tf.equal(tf.argMax(model.apply(tokens), -1), targets);
        return tf.mean(tf.cast(tf.all(right, 1), 'float32')).dataSync()[0]!;
      });
    let steps = 0;
    while (steps < 1500 && accuracy() < 1) {
      for (let i = 0; i < 50; i++, steps++) {
        const { tokens, targets } = parity(32, 20, steps);
        const loss = optimizer.minimize(() => softmaxCrossEntropy(model.apply(tokens), targets) as tf.Scalar);
        tf.dispose([tokens, targets, loss]);
      }
    }
    expect(accuracy()).toBe(1);
    optimizer.dispose();
    model.dispose();
  }, 60_000);

  it('scores are summed over batches; a blank label makes a sequence wrong, but is none of the labels', async () => {
    // A tagger whose logits are the rows of a table: symbol 1 gets label 0, symbol 2 label 1.
    const random = new RandomStream(1);
    const model = new SequenceTagger({ vocabularySize: 3, targetCount: 2, size: 2, blocks: [], random });
    model.embedding.weight.assign(tf.tensor2d([0, 0, 1, 0, 0, 1], [3, 2]));
    model.scores.weight.assign(tf.tensor2d([9, 0, 0, 9], [2, 2]));
    const batch = (targets: number[]) => ({
      ...{ batchSize: 2, length: 3, inputs: Int32Array.of(1, 2, 1, 2, 2, 0), targets: Int32Array.from(targets) },
      mask: Float32Array.of(1, 1, 1, 1, 1, 0),
    });
    const right = batch([0, 1, 0, 1, 1, 0]);
    const wrong = batch([1, 1, 0, 1, 0, 1]);
    expect(await scoreTagging(model, [right])).toMatchObject({
      sequences: 2,
      rightSequences: 2,
      labels: 5,
      rightLabels: 5,
    });
    expect(await scoreTagging(model, [right, wrong])).toMatchObject({
      sequences: 4,
      rightSequences: 2,
      labels: 10,
      rightLabels: 8,
    });
    const scored = await scoreTagging(model, [right, wrong], { blank: 0 });
    expect(scored).toMatchObject({ sequences: 4, rightSequences: 2, labels: 6, rightLabels: 5 });
    const none = { sequences: 0, rightSequences: 0, labels: 0, rightLabels: 0, crossEntropy: 0 };
    expect(await scoreTagging(model, [])).toEqual({ ...none, markedLabels: 0, rightMarkedLabels: 0 });
    // Of the marked labels the last one is masked, and in the second batch the first one is wrong.
    const marks = () => Float32Array.of(1, 0, 1, 0, 0, 1);
    expect(await scoreTagging(model, [right, wrong], { marks })).toMatchObject({
      markedLabels: 4,
      rightMarkedLabels: 3,
    });
    expect(await scoreTagging(model, [right, wrong])).toMatchObject({ markedLabels: 0, rightMarkedLabels: 0 });
    const [ofRight, ofWrong] = [right, wrong].map((labels) => {
      return 5 * (tf.tidy(() => taggingLoss(model, labels).dataSync()[0]) as number);
    }) as [number, number];
    expect(ofWrong).toBeGreaterThan(10);
    expect((await scoreTagging(model, [right, wrong])).crossEntropy).toBeCloseTo(ofRight + ofWrong, 4);
    model.dispose();
  });

  it('says what is wrong with options and inputs', () => {
    const { numTensors } = tf.memory();
    expect(
      () => new SequenceTagger({ vocabularySize: 3, targetCount: 0, size: 4, blocks: [], random: new RandomStream(1) }),
    ).toThrow(/SequenceTagger: targetCount/);
    const model = makeTagger('deltaRnn');
    tf.tidy(() => {
      expect(() => model.apply(tf.zeros([2, 3]))).toThrow(/SequenceTagger: tokens must be int32/);
      expect(() => model.apply(tf.zeros([2], 'int32') as never)).toThrow(/1 dimension instead of 2/);
      expect(() => model.step(tf.zeros([2], 'int32'), [])).toThrow(/state is that of 0 blocks instead of 1/);
    });
    model.dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
