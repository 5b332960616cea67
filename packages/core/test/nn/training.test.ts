import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import {
  Dropout,
  dispose,
  init,
  LayerNorm,
  Linear,
  Lstm,
  type Module,
  RandomStream,
  randomNormal,
  type SequenceMixer,
  TransformerBlock,
} from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { expectWithin } from './comparison.ts';
import { makeOptimizer, TinyModel, trainStep } from './tiny-model.ts';

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('1,000 training steps learn, and leave tensors and heap as they were', () => {
    const before = tf.memory().numTensors;
    const model = new TinyModel(new RandomStream(1));
    const optimizer = makeOptimizer(model);
    const data = new RandomStream(2);
    const first = trainStep(model, optimizer, data);
    trainStep(model, optimizer, data);
    const { numTensors, numDataBuffers } = tf.memory();
    const { liveBytes, liveBlocks } = engineBackend()!.engine.statistics();
    let last = 0;
    for (let i = 0; i < 998; i++) last = trainStep(model, optimizer, data);
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers });
    expect(engineBackend()!.engine.statistics()).toMatchObject({ liveBytes, liveBlocks });
    expect(first).toBeGreaterThan(1.7);
    expect(last).toBeLessThan(0.8);
    optimizer.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('evaluation is repeatable although training is random', () => {
    const model = new TinyModel(new RandomStream(1), 0.5);
    const ids = tf.tensor2d([[1, 2, 3, 4]], [1, 4], 'int32');
    const run = (): number[] => tf.tidy(() => Array.from(model.forward(ids).dataSync()));
    expect(run()).not.toEqual(run());
    model.eval();
    expect(run()).toEqual(run());
    model.dispose();
    ids.dispose();
  });

  it.each(['pre', 'post'] as const)(
    'a %s-norm block is what its equation says, at once and step by step',
    (placement) => {
      const random = new RandomStream(3);
      const before = tf.memory().numTensors;
      for (const normalization of ['layer', 'rms'] as const) {
        const block = new TransformerBlock({
          size: 6,
          mixer: { heads: 2, positions: 'none' },
          feedForward: { activation: 'gelu' },
          placement,
          normalization,
          random,
        });
        tf.tidy(() => {
          const x = randomNormal(random, [2, 5, 6]) as tf.Tensor3D;
          const { norm1, norm2, mixer, feedForward } = block;
          const expected =
            placement === 'pre'
              ? tf.tidy(() => {
                  const u = tf.add(x, mixer.apply(norm1.forward(x)));
                  return tf.add(u, feedForward.forward(norm2.forward(u)));
                })
              : tf.tidy(() => {
                  const u = norm1.forward(tf.add(x, mixer.apply(x)));
                  return norm2.forward(tf.add(u, feedForward.forward(u)));
                });
          expectWithin(block.apply(x).dataSync(), expected.dataSync(), 1e-5);
          expectWithin(block.forward(x).output.dataSync(), expected.dataSync(), 1e-5);
          for (const count of [1, 3, 5]) {
            const last = tf.slice(expected, [0, 5 - count, 0]);
            expectWithin(block.applyToLast(x, count).dataSync(), last.dataSync(), 1e-5);
          }
          expect(() => block.applyToLast(x, 6)).toThrow('count must be at most the length of x, 5, but is 6');
          let state = block.initialState(2);
          const steps = tf.unstack(x, 1).map((element) => {
            const result = block.step(element as tf.Tensor2D, state);
            state = result.state;
            return result.output;
          });
          expectWithin(tf.stack(steps, 1).dataSync(), expected.dataSync(), 1e-5);
        });
        block.dispose();
      }
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it('a block takes any mixer and feed-forward part of its size', () => {
    const random = new RandomStream(4);
    const mixer = new Lstm({ inputSize: 4, hiddenSize: 4, random });
    const feedForward = new Linear({ inputSize: 4, outputSize: 4, random });
    const block = new TransformerBlock({ size: 4, mixer, feedForward, random });
    expect([...block.namedParameters().keys()]).toContain('mixer.layers.0.inputWeight');
    tf.tidy(() => {
      const x = randomNormal(random, [2, 3, 4]) as tf.Tensor3D;
      const state = (block as SequenceMixer).initialState(2);
      const { output } = block.step(tf.squeeze(tf.slice(x, [0, 0, 0], [2, 1, 4]), [1]), state);
      expectWithin(output.dataSync(), tf.slice(block.apply(x), [0, 0, 0], [2, 1, 4]).dataSync(), 1e-5);
    });
    block.dispose();
    const wide = new Lstm({ inputSize: 4, hiddenSize: 5, random });
    expect(() => new TransformerBlock({ size: 4, mixer: wide, random })).toThrow(
      "the mixer's outputs must have size 4",
    );
  });

  it('streaming keeps nothing but the state', () => {
    const random = new RandomStream(5);
    const block = new TransformerBlock({ size: 4, mixer: { heads: 2 }, random });
    const x = randomNormal(random, [2, 4]) as tf.Tensor2D;
    let state = block.initialState(2);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 20; i++) {
      const result = block.step(x, state);
      tf.dispose([result.output, state]);
      state = result.state;
    }
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([state, x]);
    block.dispose();
  });

  it('layers that are disposed leave nothing', () => {
    const before = tf.memory().numTensors;
    const random = new RandomStream();
    const modules: Module[] = [new TinyModel(random), new LayerNorm({ size: 3 }), new Dropout({ rate: 0.1, random })];
    for (const module of modules) module.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

it.each(await availableDevices())(
  'training on $name gives the same bits for every number of threads',
  async ({ options }) => {
    await expectSameBitsForAllThreads(options, () => {
      const model = new TinyModel(new RandomStream(1));
      const optimizer = makeOptimizer(model);
      const data = new RandomStream(2);
      const losses = Array.from({ length: 5 }, () => trainStep(model, optimizer, data));
      return [losses, ...model.parameters().map((variable) => variable.dataSync())];
    });
    await dispose();
  },
);
