import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CorruptFileError,
  dispose,
  init,
  Linear,
  loadCheckpoint,
  loadSafetensors,
  RandomStream,
  Sgd,
  saveCheckpoint,
  saveSafetensors,
} from '../../src/index.ts';
import { availableDevices } from '../devices.ts';
import { makeOptimizer, TinyModel, trainStep } from '../nn/tiny-model.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fwp-checkpoint-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('ten steps equal five, a checkpoint into fresh objects, and five more, bit for bit', async () => {
    const path = join(folder, 'resume', 'five.safetensors');
    const make = (seed: number) => {
      const model = new TinyModel(new RandomStream(seed));
      return { module: model, optimizer: makeOptimizer(model), random: { data: new RandomStream(seed + 1) } };
    };
    const train = (run: ReturnType<typeof make>, steps: number): number[] =>
      Array.from({ length: steps }, () => trainStep(run.module, run.optimizer, run.random.data));

    const straight = make(1);
    const expectedLosses = train(straight, 10);

    const before = tf.memory().numTensors;
    const first = make(1);
    const firstLosses = train(first, 5);
    await saveCheckpoint(path, first, { extra: { epoch: 3, note: 'ünï' } });
    first.optimizer.dispose();
    first.module.dispose();

    const second = make(77);
    const info = await loadCheckpoint(path, second);
    expect(info).toEqual({ step: 5, extra: { epoch: 3, note: 'ünï' } });
    expect(second.optimizer.stepCount).toBe(5);
    expect([...firstLosses, ...train(second, 5)]).toEqual(expectedLosses);
    for (const [name, variable] of second.module.namedParameters()) {
      expect(variable.dataSync(), name).toEqual(straight.module.namedParameters().get(name)?.dataSync());
    }
    second.optimizer.dispose();
    second.module.dispose();
    expect(tf.memory().numTensors).toBe(before);
    straight.optimizer.dispose();
    straight.module.dispose();
  });

  it('holds the parameters under their own names', async () => {
    const path = join(folder, 'names.safetensors');
    const module = new Linear({ inputSize: 2, outputSize: 2, random: new RandomStream() });
    const optimizer = new Sgd(module, { momentum: 0.9 });
    optimizer.minimize(() => tf.sum(module.forward(tf.ones([1, 2])))).dispose();
    await saveCheckpoint(path, { module, optimizer });
    const { tensors } = await loadSafetensors(path);
    expect(Object.keys(tensors).sort()).toEqual([
      'bias',
      'optimizer/velocity/bias',
      'optimizer/velocity/weight',
      'weight',
    ]);
    expect(tensors['weight']!.dataSync()).toEqual(module.weight.dataSync());
    tf.dispose(tensors);
    // A model alone can be taken from it.
    const other = new Linear({ inputSize: 2, outputSize: 2, random: new RandomStream(5) });
    await loadCheckpoint(path, { module: other });
    expect(other.weight.dataSync()).toEqual(module.weight.dataSync());
    module.dispose();
    other.dispose();
    optimizer.dispose();
  });

  it('says what does not fit and keeps nothing allocated', async () => {
    const path = join(folder, 'fit.safetensors');
    const random = new RandomStream();
    const module = new Linear({ inputSize: 2, outputSize: 2, random });
    await saveCheckpoint(path, { module, random: { data: random } }, { step: 3 });
    const narrow = new Linear({ inputSize: 2, outputSize: 1, bias: false, random });
    const optimizer = new Sgd(module);
    const before = tf.memory().numTensors;
    await expect(loadCheckpoint(path, { module: narrow })).rejects.toThrow(
      "'weight' is float32 [2, 2] instead of float32 [2, 1]; 'bias' is unexpected",
    );
    await expect(loadCheckpoint(path, { module, optimizer })).rejects.toThrow('has no optimizer state');
    await expect(loadCheckpoint(path, { module, random: { order: random } })).rejects.toThrow(
      "random streams do not fit: 'order' is missing; 'data' is unexpected",
    );
    // The module fits, the optimizer does not: the module stays as it is, too.
    const trained = join(folder, 'trained.safetensors');
    const adam = makeOptimizer(module);
    await saveCheckpoint(trained, { module, optimizer: adam });
    const other = new Linear({ inputSize: 2, outputSize: 2, random });
    const values = other.weight.dataSync();
    await expect(loadCheckpoint(trained, { module: other, optimizer: new Sgd(other) })).rejects.toThrow(
      "optimizer 'AdamW'",
    );
    expect(other.weight.dataSync()).toEqual(values);
    other.dispose();
    const model = new TinyModel(random);
    await expect(loadCheckpoint(path, { module: model })).rejects.toThrow("'dropout.random' is missing");
    model.dispose();

    const plain = join(folder, 'plain.safetensors');
    await saveSafetensors(plain, { weight: module.weight });
    await expect(loadCheckpoint(plain, { module })).rejects.toThrow('no checkpoint, as metadata');
    for (const text of ['{', 'null', '{"version":9}', '{"version":1}']) {
      await saveSafetensors(plain, {}, { 'fwp.checkpoint': text });
      await expect(loadCheckpoint(plain, {})).rejects.toThrow(CorruptFileError);
    }
    const bytes = await readFile(path);
    await writeFile(plain, bytes.subarray(0, bytes.length - 3));
    await expect(loadCheckpoint(plain, { module })).rejects.toThrow(/the file ends inside tensor "bias"/);
    expect(tf.memory().numTensors).toBe(before);
    module.dispose();
    narrow.dispose();
    optimizer.dispose();
  });

  it('refuses a step that is no count, and numbers that JSON would make null of', async () => {
    const path = join(folder, 'refused.safetensors');
    await expect(saveCheckpoint(path, {}, { step: Number.NaN })).rejects.toThrow('saveCheckpoint: step must be');
    await expect(saveCheckpoint(path, {}, { extra: { best: [1, Number.POSITIVE_INFINITY] } })).rejects.toThrow(
      'extra.best.1 is Infinity, which JSON cannot hold',
    );
    await expect(readFile(path)).rejects.toThrow('ENOENT');
  });
});
