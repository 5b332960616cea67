import { dispose, init, RandomStream } from '@fwp/core';
import { fewShot, gaussianClasses, strokeCharacters } from '@fwp/datasets';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { classSettings, keepClasses, openClasses } from '../src/classes.ts';
import { accuracyOf, episodeLoss, evaluate, toTensors } from '../src/episodes.ts';
import { LEARNERS, learnerSettings, makeLearner, makeOptimizer } from '../src/learner.ts';

beforeAll(() => init({ device: 'wasm', threads: 1 }));
afterAll(dispose);

const settings = z.object(learnerSettings).parse({ size: 16, heads: 2, lstmSize: 12 });
const task = fewShot({ classes: gaussianClasses({ size: 4 }), ways: 3, shots: 1 });

describe.each(LEARNERS)('%s', (name) => {
  it('starts at chance, trains, and leaves nothing behind', () => {
    const model = makeLearner(name, settings, { shape: [4], ways: 3 }, new RandomStream(1));
    const optimizer = makeOptimizer(model, settings);
    const loss = (index: number) =>
      tf.tidy(() => {
        const tensors = toTensors(task.batch(index, 8), [4]);
        return optimizer.minimize(() => episodeLoss(model, tensors)).dataSync()[0] as number;
      });
    // Chance is ln 3; outputs of an untrained model are not exactly uniform.
    expect(Math.abs(loss(0) - Math.log(3))).toBeLessThan(0.5);
    const used = tf.memory().numTensors;
    for (let i = 1; i < 4; i++) loss(i);
    expect(tf.memory().numTensors).toBe(used);
    optimizer.dispose();
    model.dispose();
  });
});

it('the follow-up and the paper differ in the size of the initial queries', () => {
  const deviation = (queryScale: number) => {
    const model = makeLearner('srwm', { ...settings, queryScale }, { shape: [4], ways: 3 }, new RandomStream(1));
    const weights = model.namedParameters().get('blocks.0.mixer.weights') as tf.Variable;
    const found = tf.tidy(() => tf.moments(tf.slice(weights, [0, 0, 8], [2, 8, 8])).variance.dataSync()[0] as number);
    model.dispose();
    return Math.sqrt(found);
  };
  expect(deviation(0.01) / deviation(1)).toBeCloseTo(0.01, 5);
});

it('the warm-up ends at 1 / √(size · steps)', () => {
  const model = makeLearner('lstm', settings, { shape: [4], ways: 3 }, new RandomStream(1));
  const optimizer = makeOptimizer(model, { ...settings, warmupSteps: 100 });
  expect(optimizer.learningRate).toBeCloseTo(1 / Math.sqrt(1600), 6);
  optimizer.dispose();
  model.dispose();
});

it('scores count what the mask says, place by place', async () => {
  const model = makeLearner('lstm', settings, { shape: [4], ways: 3 }, new RandomStream(1));
  const score = await evaluate(model, task, 'test', { batches: 3, batchSize: 8 });
  expect(score.asked[3]).toBe(24);
  expect(score.asked.slice(0, 3).every((count) => count === undefined)).toBe(true);
  expect(accuracyOf({ right: [1, 2, 3], asked: [2, 2, 4] }, 1)).toBeCloseTo(5 / 6, 10);
  expect(await evaluate(model, task, 'test', { batches: 3, batchSize: 8 })).toEqual(score);
  model.dispose();
});

describe('classes', () => {
  const config = z.object(classSettings).parse({ imageSize: 16, trainClasses: 6 });

  it('kept examples are those of the source', () => {
    const { train } = strokeCharacters({ size: 16, classes: 4 });
    const kept = keepClasses(strokeCharacters({ size: 16, classes: 4 })).train;
    const [once, again, direct] = [new Float32Array(256), new Float32Array(256), new Float32Array(256)];
    kept.read(3, 2, once);
    kept.read(3, 2, again);
    train.read(3, 2, direct);
    expect(once).toEqual(direct);
    expect(again).toEqual(direct);
  });

  it('of characters, those for training are turned as well', async () => {
    const { train, test } = await openClasses('strokes', config, 1);
    expect([train.classCount, test.classCount]).toEqual([24, 423]);
    const upright = await openClasses('strokes', { ...config, rotations: false }, 1);
    expect(upright.train.classCount).toBe(6);
  });

  it('say what to fetch where files are missing', async () => {
    process.env['FWP_DATA_DIR'] = '/nowhere';
    await expect(openClasses('omniglot', config, 1)).rejects.toThrow(/Omniglot is not on this machine/);
    await expect(openClasses('mini-imagenet', config, 1)).rejects.toThrow(/Mini-ImageNet is not on this machine/);
    delete process.env['FWP_DATA_DIR'];
  });
});
