import * as core from '@fwp/core';
import { AdamW, dispose, init, RandomStream, softmaxCrossEntropy } from '@fwp/core';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adaptiveComputation, LstmClassifier, SequenceClassifier, selectEvaluation } from '../src/index.ts';
import { expectClose } from './expect-close.ts';

/** The class is the token behind the start, which all models can learn. */
const tokens = (): tf.Tensor2D => tf.tensor2d([1, 3, 4, 2, 1, 4, 5, 2, 1, 5, 2, 0, 1, 3, 2, 0], [4, 4], 'int32');
const lengths = (): tf.Tensor1D => tf.tensor1d([4, 4, 3, 3], 'int32');
const targets = (): tf.Tensor1D => tf.tensor1d([0, 1, 2, 0], 'int32');

const common = { vocabularySize: 6, classes: 3, size: 16 };
const classifiers = {
  router: () =>
    new SequenceClassifier({
      ...common,
      layers: 3,
      layer: { name: 'neuralDataRouter', dropout: 0.05 },
      random: new RandomStream(1),
    }),
  recomputing: () =>
    new SequenceClassifier({
      ...common,
      layers: 3,
      recompute: true,
      layer: { name: 'neuralDataRouter' },
      random: new RandomStream(1),
    }),
  universal: () =>
    new SequenceClassifier({
      ...common,
      layers: 2,
      readOut: 'first',
      layer: { name: 'universal' },
      random: new RandomStream(1),
    }),
  adaptive: () =>
    new SequenceClassifier({
      ...common,
      layers: 3,
      adaptive: {},
      layer: { name: 'relativeUniversal' },
      random: new RandomStream(1),
    }),
  lstm: () => new LstmClassifier({ ...common, bidirectional: false, random: new RandomStream(1) }),
  bidirectionalLstm: () => new LstmClassifier({ ...common, layers: 2, random: new RandomStream(1) }),
};

describe.each(await availableDevices(core))('classifiers on $name', ({ name, options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each(Object.entries(classifiers))('%s learns, and leaves nothing behind', (_name, make) => {
    const model = make();
    const optimizer = new AdamW(model, { learningRate: 0.02 });
    const train = (): number =>
      tf.tidy(() => {
        const loss = optimizer.minimize(
          () => softmaxCrossEntropy(model.forward(tokens(), lengths()), targets()) as tf.Scalar,
        );
        return loss.dataSync()[0] as unknown as tf.Scalar;
      }) as unknown as number;
    const first = train();
    const before = tf.memory().numTensors;
    for (let step = 0; step < 30; step++) train();
    expect(tf.memory().numTensors).toBe(before);
    expect(train()).toBeLessThan(0.5 * first);
    optimizer.dispose();
    model.dispose();
  });

  it.each(Object.entries(classifiers))('%s: padding has no influence', (_name, make) => {
    const model = make().eval();
    tf.tidy(() => {
      const padded = model.forward(tokens(), lengths());
      const alone = model.forward(tf.tensor2d([1, 5, 2], [1, 3], 'int32'));
      const row = tf.slice(padded, [2, 0], [1, 3]).dataSync();
      expectClose(alone.dataSync(), row, 4);
    });
    model.dispose();
  });

  it.skipIf(name === 'webgpu')('a sentence has at least one token, and at most as many as there are columns', () => {
    for (const make of [classifiers.router, classifiers.lstm]) {
      const model = make();
      for (const [wrong, place] of [
        [[5, 4, 3, 3], '0] is 4'],
        [[4, 4, 3, 0], '3] is -1'],
      ] as const) {
        const given = tf.tensor1d([...wrong], 'int32');
        expect(() => model.forward(tokens(), given)).toThrow(`: lengths − 1 at [${place}, but must be in [0, 4)`);
      }
      model.dispose();
    }
  });

  it('a trace ends with the columns that are read', () => {
    const model = classifiers.router().eval();
    tf.tidy(() => {
      const { columns, attention, gates } = model.trace(tokens(), lengths());
      expect([columns.length, attention.length, gates.length]).toEqual([4, 3, 3]);
      const last = tf.slice(columns.at(-1) as tf.Tensor3D, [0, 3, 0], [1, 1, 16]);
      const logits = model.classes.forward(tf.reshape(last, [1, 16])).dataSync();
      const expected = model.forward(tokens(), lengths()).dataSync();
      expectClose(logits, expected.slice(0, 3), 4);
      expect(model.training).toBe(false);
    });
    model.dispose();
  });

  it('a bidirectional LSTM reads the states behind all tokens of each direction', () => {
    const model = new LstmClassifier({ ...common, layers: 2, random: new RandomStream(1) }).eval();
    tf.tidy(() => {
      const x = model.embedding.forward(tokens()) as tf.Tensor3D;
      const [, , row] = tf.unstack(x) as tf.Tensor2D[];
      const sentence = tf.expandDims(tf.slice(row!, [0, 0], [3, 16])) as tf.Tensor3D;
      const states = model.lstm.apply(sentence);
      const read = tf.concat([tf.slice(states, [0, 2, 0], [1, 1, 8]), tf.slice(states, [0, 0, 8], [1, 1, 8])], 2);
      const expected = model.classes.forward(tf.reshape(read, [1, 16])).dataSync();
      const logits = tf.slice(model.forward(tokens(), lengths()), [2, 0], [1, 3]).dataSync();
      expectClose(logits, expected, 4);
    });
    model.dispose();
  });
});

describe('adaptive computation', () => {
  beforeAll(async () => {
    await init({ device: 'wasm', threads: 1 });
  });
  afterAll(dispose);

  /** One column in float64: halting logits b − c h for the first number; the layer adds 1. */
  function reference(x: number, [a, c]: [number, number], weighting: 'mean' | 'interpolated', maxSteps: number) {
    let [h, total, y] = [x, 0, 0];
    for (let step = 1; ; step++) {
      const p = 1 / (1 + Math.exp(-(a + c * h)));
      h = 0.5 * h + 1;
      const halts = step === maxSteps || total + p > 0.9;
      const weight = halts ? 1 - total : p;
      y = weighting === 'mean' ? y + weight * h : weight * h + (1 - weight) * y;
      if (halts) return { output: y, steps: step, time: step + weight };
      total += p;
    }
  }

  it.each(['mean', 'interpolated'] as const)(
    'weighting %s: as one column at a time, with exact gradients',
    (weighting) => {
      const xs = [0.3, -1.2, 2, 0.9];
      const run = (values: tf.Tensor, parameters: tf.Tensor) => {
        const [a, c] = tf.unstack(parameters) as [tf.Scalar, tf.Scalar];
        return adaptiveComputation(
          tf.reshape(values, [1, 4, 1]),
          (h) => tf.add(tf.mul(tf.squeeze(h, [2]), c), a) as tf.Tensor2D,
          (h) => tf.add(tf.mul(h, 0.5), 1) as tf.Tensor3D,
          { maxSteps: 5, threshold: 0.9, weighting },
        );
      };
      const weights: [number, number] = [-0.4, -0.5];
      tf.tidy(() => {
        const result = run(tf.tensor1d(xs), tf.tensor1d(weights));
        const expected = xs.map((x) => reference(x, weights, weighting, 5));
        expect(Array.from(result.steps.dataSync())).toEqual(expected.map(({ steps }) => steps));
        expectClose(
          result.output.dataSync(),
          expected.map(({ output }) => output),
          5,
        );
        const meanTime = expected.reduce((sum, { time }) => sum + time, 0) / 4;
        expect(result.ponderTime.dataSync()[0]).toBeCloseTo(meanTime, 5);
        const loss = (x: tf.Tensor, w: tf.Tensor) => {
          const { output, ponderTime } = run(x, w);
          return tf.add(tf.sum(tf.square(output)), ponderTime) as tf.Scalar;
        };
        const [dx, dw] = tf.grads(loss as never)([tf.tensor1d(xs), tf.tensor1d(weights)]) as [tf.Tensor, tf.Tensor];
        const exact = (x: number[], w: [number, number]) => {
          const all = x.map((value) => reference(value, w, weighting, 5));
          return all.reduce((sum, { output, time }) => sum + output ** 2 + time / 4, 0);
        };
        const step = 1e-6;
        xs.forEach((_, i) => {
          const moved = (by: number) =>
            exact(
              xs.map((x, j) => (i === j ? x + by : x)),
              weights,
            );
          expect(dx.dataSync()[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 3);
        });
        weights.forEach((_, i) => {
          const moved = (by: number) => exact(xs, weights.map((w, j) => (i === j ? w + by : w)) as [number, number]);
          expect(dw.dataSync()[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 3);
        });
      });
    },
  );

  it('padding takes no time, and a column that halts at once takes one step', () => {
    tf.tidy(() => {
      let applications = 0;
      const { steps, ponderTime } = adaptiveComputation(
        tf.ones([1, 3, 2]),
        () => tf.fill([1, 3], 50),
        (h) => {
          applications++;
          return h.clone();
        },
        { maxSteps: 9, paddingMask: tf.tensor2d([1, 1, 0], [1, 3], 'bool') },
      );
      expect(Array.from(steps.dataSync())).toEqual([1, 1, 0]);
      expect(ponderTime.dataSync()[0]).toBe(2);
      expect(applications).toBe(1);
    });
  });
});

it('selects evaluations by protocol', () => {
  const evaluations = [
    { iidLoss: 0.5, generalizationAccuracy: 0.1, step: 1 },
    { iidLoss: 0.1, generalizationAccuracy: 0.7, step: 2 },
    { iidLoss: 0.2, generalizationAccuracy: 0.7, step: 3 },
    { iidLoss: 0.3, generalizationAccuracy: 0.6, step: 4 },
  ];
  expect(selectEvaluation(evaluations, 'final').step).toBe(4);
  expect(selectEvaluation(evaluations, 'iidLoss').step).toBe(2);
  expect(selectEvaluation(evaluations, 'generalization').step).toBe(3);
  expect(() => selectEvaluation([], 'final')).toThrow('evaluations is empty');
});
