/** The few-shot learner, its stem, and its bootstrapped loss. */

import { Adam, dispose, init, RandomStream, randomNormal, softmaxCrossEntropy } from '@fwp/core';
import { assertAllClose, wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bootstrapLoss,
  ConvolutionalStem,
  FewShotModel,
  type FewShotState,
  SrDelta,
  SrwmBlock,
  StaticSrwm,
  stateMatchingLoss,
} from '../src/index.ts';

const TOLERANCE = { rtol: 1e-4, atol: 2e-5 };
const [SIZE, WAYS, FEATURES] = [16, 3, 5];

beforeAll(async () => {
  await init(wasm.options);
});
afterAll(dispose);

function makeModel(seed = 1, still = false): FewShotModel {
  const random = new RandomStream(seed);
  const mixer = () => (still ? new StaticSrwm({ size: SIZE, heads: 2, random }) : { heads: 2, queryScale: 1 });
  const blocks = [0, 1].map(() => new SrwmBlock({ size: SIZE, mixer: mixer(), hiddenSize: 32, random }));
  return new FewShotModel({ shape: [FEATURES], ways: WAYS, size: SIZE, blocks, random });
}

function noise(shape: number[], seed: number): tf.Tensor {
  return randomNormal(new RandomStream(seed), shape);
}

function labels(batch: number, length: number): tf.Tensor2D {
  return tf.tensor2d(
    Array.from({ length: batch * length }, (_, i) => i % WAYS),
    [batch, length],
    'int32',
  );
}

const unknown = (batch: number) => tf.fill([batch, 1], WAYS, 'int32');
const weightsOf = (state: FewShotState) => state.map((block) => (block as { fastWeights: tf.Tensor }).fastWeights);

describe('FewShotModel', () => {
  it('goes on from a state, and several sequences can go on from the same', () => {
    tf.tidy(() => {
      const model = makeModel();
      const [support, future, query] = [
        noise([2, 6, FEATURES], 2),
        noise([2, 4, FEATURES], 3),
        noise([2, 1, FEATURES], 4),
      ];
      const whole = model.forward(
        tf.concat([support, future, query], 1),
        tf.concat([labels(2, 6), labels(2, 4), unknown(2)], 1),
      );
      const read = model.forward(support, labels(2, 6));
      const before = weightsOf(read.state).map((weights) => weights.dataSync().slice());
      // A query in between leaves no trace.
      model.forward(query, unknown(2), read.state);
      const more = model.forward(future, labels(2, 4), read.state);
      const answer = model.forward(query, unknown(2), more.state);
      assertAllClose(answer.logits.dataSync(), tf.slice(whole.logits, [0, 10, 0]).dataSync(), TOLERANCE);
      weightsOf(read.state).forEach((weights, i) => {
        expect(weights.dataSync()).toEqual(before[i]);
      });
      const applied = model.apply(support, labels(2, 6));
      assertAllClose(applied.dataSync(), read.logits.dataSync(), TOLERANCE);
      model.dispose();
    });
  });

  it('starts at chance', () => {
    tf.tidy(() => {
      const model = makeModel();
      const { logits } = model.forward(noise([64, 7, FEATURES], 2), tf.concat([labels(64, 6), unknown(64)], 1));
      const loss = softmaxCrossEntropy(tf.slice(logits, [0, 6, 0]), labels(64, 1)).dataSync()[0]!;
      expect(Math.abs(loss - Math.log(WAYS))).toBeLessThan(0.4);
      model.dispose();
    });
  });

  it('says what is wrong, and leaves nothing allocated', () => {
    const random = new RandomStream(1);
    const before = tf.memory().numTensors;
    expect(() => new FewShotModel({ shape: [28, 28, 1], ways: 5, size: 8, blocks: [], random })).toThrow(/need a stem/);
    expect(() => new FewShotModel({ shape: [4], ways: 0, size: 8, blocks: [], random })).toThrow(/ways/);
    expect(tf.memory().numTensors).toBe(before);
    const model = makeModel();
    tf.tidy(() => {
      const [x, y] = [noise([2, 3, FEATURES], 1), labels(2, 3)];
      expect(() => model.apply(noise([2, 3, 4], 1), y)).toThrow(/examples .* 4 instead of 5/);
      expect(() => model.apply(x, labels(2, 2))).toThrow(/labels .* 2 instead of 3/);
      expect(() => model.apply(x, tf.zeros([2, 3]))).toThrow(/labels must be int32/);
      expect(() => model.forward(x, y, [])).toThrow(/0 blocks instead of 2/);
      for (const label of [WAYS + 1, -1]) {
        const wrong = tf.concat([labels(2, 2), tf.fill([2, 1], label, 'int32')], 1);
        const message = `labels[0, 2] is ${label}, but must be in [0, ${WAYS + 1})`;
        expect(() => model.apply(x, wrong)).toThrow(message);
        expect(() => model.forward(x, wrong)).toThrow(message);
      }
    });
    model.dispose();
  });
});

describe('bootstrapLoss', () => {
  // Numeric check 2 of the card.
  it('is the divergence from what is known later, and moves only what is known now', () => {
    tf.tidy(() => {
      const later = tf.log(tf.tensor2d([0.7, 0.2, 0.1], [1, 3]));
      const targets = tf.tensor1d([0], 'int32');
      const { bootstrap } = bootstrapLoss(tf.zeros([1, 3]), later, targets);
      expect(bootstrap.dataSync()[0]).toBeCloseTo(Math.log(3) - 0.8018, 3);

      const [now, then] = [noise([4, 3], 1), noise([4, 3], 2)];
      const only = { main: 0, bootstrap: 1, future: 0 };
      const loss = (a: tf.Tensor, b: tf.Tensor) => bootstrapLoss(a, b, tf.tensor1d([0, 1, 2, 0], 'int32'), only).loss;
      const [dNow, dThen] = tf.grads(loss as (...x: tf.Tensor[]) => tf.Scalar)([now, then]);
      const expected = tf.div(tf.sub(tf.softmax(now), tf.softmax(then)), 4);
      assertAllClose(dNow!.dataSync(), expected.dataSync(), TOLERANCE);
      expect(dThen!.dataSync()).toEqual(new Float32Array(12));
    });
  });

  // Numeric check 3.
  it('without its further terms is plain few-shot training, bit for bit', () => {
    tf.tidy(() => {
      const model = makeModel();
      const [support, future, query] = [
        noise([2, 3, FEATURES], 2),
        noise([2, 3, FEATURES], 3),
        noise([2, 1, FEATURES], 4),
      ];
      const targets = tf.tensor1d([0, 1], 'int32');
      const answer = (state: FewShotState) => tf.reshape(model.forward(query, unknown(2), state).logits, [2, WAYS]);
      const plain = tf.variableGrads(
        () => softmaxCrossEntropy(answer(model.forward(support, labels(2, 3)).state), targets) as tf.Scalar,
        model.parameters(),
      );
      const full = tf.variableGrads(() => {
        const { state } = model.forward(support, labels(2, 3));
        const later = model.forward(future, labels(2, 3), state).state;
        return bootstrapLoss(answer(state), answer(later), targets, { main: 1, bootstrap: 0, future: 0 }).loss;
      }, model.parameters());
      for (const [name, gradient] of Object.entries(plain.grads)) {
        expect(full.grads[name]!.dataSync(), name).toEqual(gradient.dataSync());
      }
      model.dispose();
    });
  });

  // Numeric checks 1 and 6.
  it('is 0 where nothing was learned in between', () => {
    tf.tidy(() => {
      const [model, still] = [makeModel(), makeModel(1, true)];
      const [support, query] = [noise([2, 3, FEATURES], 2), noise([2, 1, FEATURES], 4)];
      const targets = tf.tensor1d([0, 1], 'int32');
      const { state } = model.forward(support, labels(2, 3));
      // A future set without examples.
      const none = model.forward(tf.zeros([2, 0, FEATURES]), tf.zeros([2, 0], 'int32'), state).state;
      const gradients = tf.variableGrads(() => {
        const now = tf.reshape(model.forward(query, unknown(2), model.forward(support, labels(2, 3)).state).logits, [
          2,
          WAYS,
        ]);
        return bootstrapLoss(now, now, targets, { main: 0, bootstrap: 1, future: 0 }).loss;
      }, model.parameters());
      expect(gradients.value.dataSync()[0]).toBe(0);
      for (const gradient of Object.values(gradients.grads)) expect(tf.max(tf.abs(gradient)).dataSync()[0]).toBe(0);
      expect(stateMatchingLoss(weightsOf(state), weightsOf(none)).dataSync()[0]).toBe(0);

      const answer = (given?: FewShotState) => still.forward(query, unknown(2), given).logits.dataSync();
      expect(answer(still.forward(support, labels(2, 3)).state)).toEqual(answer());
      model.dispose();
      still.dispose();
    });
  });

  it('can match fast weights instead', () => {
    tf.tidy(() => {
      const states = [noise([2, 1, 2, 10], 1)];
      const later = [noise([2, 1, 2, 10], 2)];
      const squares = tf.square(tf.sub(states[0]!, later[0]!));
      const mean = (from: number, columns: number) =>
        tf.mean(tf.slice(squares, [0, 0, 0, from], [2, 1, 2, columns])).dataSync()[0]!;
      const expected = mean(0, 2) + mean(2, 2) + mean(4, 2) + mean(6, 4);
      expect(stateMatchingLoss(states, later).dataSync()[0]).toBeCloseTo(expected, 5);
      const gradient = tf.grad((x: tf.Tensor) => stateMatchingLoss(states, [x]))(later[0]!);
      expect(tf.max(tf.abs(gradient)).dataSync()[0]).toBe(0);
      expect(() => stateMatchingLoss(states, [])).toThrow(/1 and 0/);
      const other = new SrDelta({ size: 4, heads: 2, random: new RandomStream(1) });
      const ofSrDelta = [other.initialState(2).fastWeights];
      expect(() => stateMatchingLoss(ofSrDelta, ofSrDelta)).toThrow(/17 columns instead of 10. States of SrDelta/);
      other.dispose();
      expect(() => bootstrapLoss(tf.zeros([2, 3]), tf.zeros([2, 4]), tf.zeros([2], 'int32'))).toThrow(/futureLogits/);
      expect(() =>
        bootstrapLoss(tf.zeros([2, 3]), tf.zeros([2, 3]), tf.zeros([2], 'int32'), { bootstrap: -1 }),
      ).toThrow(/bootstrapLoss: bootstrap/);
    });
  });
});

describe('ConvolutionalStem', () => {
  it('makes vectors of pictures, each from its own picture alone', () => {
    tf.tidy(() => {
      const stem = new ConvolutionalStem({ shape: [28, 28, 1], filters: 6, random: new RandomStream(1) });
      expect(stem.outputSize).toBe(6);
      const pictures = noise([2, 3, 28, 28, 1], 2);
      const vectors = stem.forward<tf.Tensor3D>(pictures);
      expect(vectors.shape).toEqual([2, 3, 6]);
      const alone = stem.forward(tf.slice(pictures, [1, 2], [1, 1]));
      assertAllClose(alone.dataSync(), tf.slice(vectors, [1, 2], [1, 1]).dataSync(), TOLERANCE);
      stem.dispose();
    });
  });

  it('with batch normalisation follows means for evaluation', () => {
    tf.tidy(() => {
      const stem = new ConvolutionalStem({
        shape: [8, 8, 2],
        filters: 4,
        layers: 2,
        normalization: 'batch',
        random: new RandomStream(1),
      });
      const pictures = tf.add(noise([5, 8, 8, 2], 2), 1);
      const first = stem.forward(pictures);
      for (let i = 0; i < 100; i++) tf.tidy(() => stem.forward(pictures));
      stem.eval();
      // Variances are unbiased in evaluation only: 1 of 320 and of 80.
      assertAllClose(stem.forward(pictures).dataSync(), first.dataSync(), { rtol: 0.02, atol: 0.02 });
      expect(stem.namedBuffers().size).toBe(4);
      stem.dispose();
    });
  });

  it('trains, and leaves nothing behind', () => {
    const stem = new ConvolutionalStem({ shape: [16, 16, 1], filters: 4, dropout: 0.1, random: new RandomStream(1) });
    const optimizer = new Adam(stem, { learningRate: 0.01 });
    const pictures = noise([6, 16, 16, 1], 2);
    const step = () =>
      tf.tidy(
        () =>
          optimizer.minimize(() => tf.mean(tf.square(tf.sub(stem.forward(pictures), 0.5))) as tf.Scalar).dataSync()[0]!,
      );
    const first = step();
    const used = tf.memory().numTensors;
    let last = first;
    for (let i = 0; i < 20; i++) last = step();
    expect(last).toBeLessThan(first);
    expect(tf.memory().numTensors).toBe(used);
    expect(() => new ConvolutionalStem({ shape: [15, 28, 1], random: new RandomStream(1) })).toThrow(
      /at least 16 rows/,
    );
    for (const shape of [
      [28.5, 28, 1],
      [28, Number.NaN, 1],
      [28, 28, 1.5],
    ]) {
      expect(() => new ConvolutionalStem({ shape, random: new RandomStream(1) })).toThrow(
        /ConvolutionalStem: shape\[[012]\] must be a whole number of at least 1/,
      );
    }
    expect(() => stem.forward(tf.zeros([1, 8, 8, 1]))).toThrow(/ConvolutionalStem: x/);
    pictures.dispose();
    optimizer.dispose();
    stem.dispose();
  });
});
