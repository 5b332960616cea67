import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Adam,
  constantInitializer,
  Dropout,
  dispose,
  init,
  Linear,
  Lstm,
  Module,
  RandomStream,
  Sequential,
  TransformerBlock,
} from '../../src/index.ts';
import { availableDevices } from '../devices.ts';

/** A module of every kind of part. */
class Model extends Module {
  readonly scale: tf.Variable;
  readonly layers: readonly Linear[];
  readonly shared: Linear;
  readonly dropout: Dropout;

  constructor(random: RandomStream) {
    super();
    this.scale = this.addParameter('scale', tf.scalar(2));
    this.addBuffer('count', tf.scalar(0, 'int32'));
    this.layers = this.addModules(
      'layers',
      [0, 1].map(() => new Linear({ inputSize: 3, outputSize: 3, random })),
    );
    this.shared = this.addModule('shared', this.layers[0] as Linear);
    this.dropout = this.addModule('dropout', new Dropout({ rate: 0.5, random }));
  }
}

/** For wrong uses of the protected methods. */
class Open extends Module {
  add(name: string, tensor: tf.Tensor): tf.Variable {
    return this.addParameter(name, tensor);
  }
  part(name: string, module: Module): Module {
    return this.addModule(name, module);
  }
}

describe.each(await availableDevices())('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it('names everything by path, and shared parts once', () => {
    const model = new Model(new RandomStream());
    expect([...model.namedParameters().keys()]).toEqual([
      'scale',
      'layers.0.weight',
      'layers.0.bias',
      'layers.1.weight',
      'layers.1.bias',
    ]);
    expect([...model.namedBuffers().keys()]).toEqual(['count']);
    expect([...model.namedRandomStreams().keys()]).toEqual(['dropout.random']);
    expect([...model.namedModules().keys()]).toEqual(['', 'layers', 'layers.0', 'layers.1', 'shared', 'dropout']);
    expect(model.parameterCount).toBe(1 + 2 * 12);
    expect(model.parameters()[1]).toBe(model.shared.weight);
    model.dispose();
  });

  it('two models of a kind live side by side, with different weights from one stream', () => {
    const random = new RandomStream(1);
    const [a, b] = [new Model(random), new Model(random)];
    const again = new Model(new RandomStream(1));
    expect(a.layers[0]?.weight.dataSync()).not.toEqual(b.layers[0]?.weight.dataSync());
    expect(a.layers[0]?.weight.dataSync()).not.toEqual(a.layers[1]?.weight.dataSync());
    expect(a.layers[0]?.weight.dataSync()).toEqual(again.layers[0]?.weight.dataSync());
    for (const model of [a, b, again]) model.dispose();
  });

  it('train and eval reach every part', () => {
    const model = new Model(new RandomStream());
    expect(model.dropout.training).toBe(true);
    expect(model.eval()).toBe(model);
    expect(model.dropout.training).toBe(false);
    model.train();
    expect(model.dropout.training).toBe(true);
    model.dispose();
  });

  it('a state goes from one model to another bit for bit, and does not change when the model is trained', () => {
    const before = tf.memory().numTensors;
    const model = new Model(new RandomStream(1));
    const other = new Model(new RandomStream(2));
    const state = model.stateDict();
    expect(Object.keys(state)).toContain('count');
    const saved = Object.fromEntries(Object.entries(state).map(([name, x]) => [name, Array.from(x.dataSync())]));
    other.loadStateDict(state);
    const optimizer = new Adam(model, { learningRate: 0.1 });
    optimizer.minimize(() => tf.sum(tf.square(model.layers[0]!.forward(tf.ones([1, 3]))))).dispose();
    for (const [name, values] of Object.entries(saved)) {
      expect(Array.from(state[name]!.dataSync())).toEqual(values);
    }
    tf.dispose(state);
    for (const [name, variable] of other.namedParameters())
      expect(Array.from(variable.dataSync())).toEqual(saved[name]);
    expect(Array.from(model.layers[0]!.weight.dataSync())).not.toEqual(saved['layers.0.weight']);
    optimizer.dispose();
    model.dispose();
    other.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('lists all names and shapes that do not fit a state, and changes nothing then', () => {
    const model = new Model(new RandomStream());
    tf.tidy(() => {
      const { 'layers.1.bias': _bias, ...state } = model.stateDict();
      const wrong = { ...state, scale: tf.scalar(9), 'layers.0.weight': tf.zeros([3, 4]), extra: tf.zeros([1]) };
      expect(() => model.loadStateDict(wrong)).toThrow(
        "The state does not fit the module: 'layers.0.weight' is float32 [3, 4] instead of float32 [3, 3]; " +
          "'layers.1.bias' is missing; 'extra' is unexpected.",
      );
      expect(model.scale.dataSync()[0]).toBe(2);
      model.loadStateDict({ scale: tf.scalar(7), other: tf.zeros([1]) }, { strict: false });
      expect(model.scale.dataSync()[0]).toBe(7);
      expect(() => model.loadStateDict({ count: tf.scalar(1) }, { strict: false })).toThrow(
        "'count' is float32 [] instead of int32 []",
      );
    });
    model.dispose();
  });

  it('refuses names that would clash, and what is no parameter, and keeps nothing of it', () => {
    const before = tf.memory().numTensors;
    const module = new Open();
    module.add('w', tf.scalar(1));
    expect(() => module.add('w', tf.scalar(1))).toThrow("has something called 'w' already");
    expect(() => module.add('a.b', tf.scalar(1))).toThrow("The name 'a.b' must consist of letters");
    expect(() => module.add('i', tf.scalar(1, 'int32'))).toThrow("Parameter 'i' must be float32, but is int32");
    expect(() => module.part('w', new Open())).toThrow('already');
    expect(() => module.part('p', {} as Module)).toThrow("Module 'p' must be a Module");
    module.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('optimizers name parameters by path, and say when two modules have no common parent', () => {
    const random = new RandomStream();
    const [a, b] = [
      new Linear({ inputSize: 1, outputSize: 1, random }),
      new Linear({ inputSize: 1, outputSize: 1, random }),
    ];
    expect(() => new Adam([...a.parameters(), ...b.parameters()])).toThrow("Two parameters are called 'weight'");
    const model = new Sequential([a, tf.relu, b]);
    const optimizer = new Adam(model.parameters());
    expect(Object.keys(optimizer.stateDict().values.updates)).toEqual(['0.weight', '0.bias', '2.weight', '2.bias']);
    optimizer.dispose();
    model.dispose();
  });

  it('a composite that fails half way frees what it has made', () => {
    const random = new RandomStream();
    const before = tf.memory().numTensors;
    let calls = 0;
    const failing = (shape: number[]): tf.Tensor => {
      if (calls++ === 2) throw new Error('no more');
      return tf.zeros(shape);
    };
    expect(() => new Lstm({ inputSize: 2, hiddenSize: 3, layers: 2, random, weightInitializer: failing })).toThrow(
      'no more',
    );
    expect(
      () =>
        new TransformerBlock({
          size: 4,
          mixer: { heads: 2, weightInitializer: constantInitializer(0) },
          feedForward: { activation: 'swish' as 'relu' },
          random,
        }),
    ).toThrow("activation must be 'relu'");
    expect(tf.memory().numTensors).toBe(before);
  });
});
