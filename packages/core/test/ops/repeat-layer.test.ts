import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import {
  Dropout,
  dispose,
  init,
  Linear,
  Module,
  RandomStream,
  repeatLayer,
  valueAndGradients,
} from '../../src/index.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBits, expectWithin, noise } from './against-reference.ts';

/** h ← tanh(dropout(h W + b)) ∘ scale, with a parameter that nothing uses. */
class Layer extends Module {
  readonly linear: Linear;
  readonly dropout: Dropout;
  readonly scale: tf.Variable;
  readonly unused: tf.Variable;

  constructor(rate: number) {
    super();
    const random = new RandomStream(1);
    this.linear = this.addModule('linear', new Linear({ inputSize: 5, outputSize: 5, random }));
    this.dropout = this.addModule('dropout', new Dropout({ rate, random }));
    this.scale = this.addParameter('scale', tf.fill([5], 1.5));
    this.unused = this.addParameter('unused', tf.zeros([2]));
  }

  apply(h: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => tf.mul(tf.tanh(this.dropout.forward(this.linear.forward(h))), this.scale));
  }
}

const inputs = (): tf.Tensor2D => tf.tensor2d(noise(15, 2), [3, 5]);

/** Loss, and the gradients of x and all parameters by name. */
function measure(
  layer: Layer,
  run: (x: tf.Tensor2D) => tf.Tensor2D,
): { output: Float32Array; gradients: Float32Array[] } {
  const x = tf.tidy(() => tf.variable(inputs()));
  try {
    const { value, gradients } = valueAndGradients(
      () => tf.sum(tf.mul(run(x as tf.Tensor as tf.Tensor2D), tf.tensor2d(noise(15, 3), [3, 5]))) as tf.Scalar,
      [x, ...layer.parameters()],
    );
    const all = [x, layer.linear.weight, layer.linear.bias as tf.Variable, layer.scale];
    const result = all.map(({ name }) => (gradients[name] as tf.Tensor).dataSync() as Float32Array);
    const output = value.dataSync() as Float32Array;
    tf.dispose([value, gradients]);
    return { output, gradients: result };
  } finally {
    x.dispose();
  }
}

/** The loop as tfjs would do it. */
function plain(layer: Layer, x: tf.Tensor2D, times: number): tf.Tensor2D {
  let h = x;
  for (let l = 0; l < times; l++) h = layer.apply(h);
  return h;
}

const devices = [...(await availableDevices()), ...composedDevices];

describe.each(devices)('repeatLayer on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  it.each([
    [0, false],
    [1, false],
    [4, false],
    [1, true],
    [4, true],
  ])('applies a layer %i times (recompute: %s), with the gradients of the plain loop', (times, recompute) => {
    const wanted = new Layer(0.3);
    const layer = new Layer(0.3);
    // Without an application the parameters have no gradients.
    if (times === 0) {
      tf.tidy(() => {
        const output = repeatLayer(layer, inputs(), (h) => layer.apply(h), {
          times,
        });
        expect(output.dataSync()).toEqual(inputs().dataSync());
      });
    } else {
      const expected = measure(wanted, (x) => plain(wanted, x, times));
      const actual = measure(layer, (x) => repeatLayer(layer, x, (h) => layer.apply(h), { times, recompute }));
      expectWithin(actual.output, expected.output, 1e-6, 'output');
      for (const [i, gradient] of expected.gradients.entries()) {
        expectWithin(actual.gradients[i]!, gradient, 2e-6, `gradient ${i}`);
      }
      // Dropout has drawn as much as in the plain loop, so that a training run goes on with the same numbers.
      const state = (module: Module) => [...module.namedRandomStreams().values()].map((stream) => stream.state);
      expect(state(layer)).toEqual(state(wanted));
    }
    layer.dispose();
    wanted.dispose();
  });

  it('keeping and recomputing give the same bits', () => {
    const [a, b] = [new Layer(0.2), new Layer(0.2)];
    const kept = measure(a, (x) => repeatLayer(a, x, (h) => a.apply(h), { times: 5 }));
    const again = measure(b, (x) => repeatLayer(b, x, (h) => b.apply(h), { times: 5, recompute: true }));
    expectSameBits(again.gradients, kept.gradients);
    a.dispose();
    b.dispose();
  });

  it('computes outside of gradients, and tells the index', () => {
    const layer = new Layer(0);
    const seen: number[] = [];
    tf.tidy(() => {
      const output = repeatLayer(
        layer,
        inputs(),
        (h, index) => {
          seen.push(index);
          return layer.apply(h);
        },
        { times: 3 },
      );
      expectWithin(output.dataSync(), plain(layer, inputs(), 3).dataSync(), 1e-7, 'output');
    });
    expect(seen).toEqual([0, 1, 2]);
    layer.dispose();
  });

  it('can be differentiated twice', () => {
    const layer = new Layer(0);
    for (const recompute of [false, true]) {
      tf.tidy(() => {
        const loss = (run: (x: tf.Tensor2D) => tf.Tensor2D) => (x: tf.Tensor) =>
          tf.sum(tf.square(tf.grad((z: tf.Tensor) => tf.sum(run(z as tf.Tensor2D)))(x)));
        const expected = tf.grad(loss((x) => plain(layer, x, 3)))(inputs());
        const actual = tf.grad(
          loss((x) =>
            repeatLayer(layer, x, (h) => layer.apply(h), {
              times: 3,
              recompute,
            }),
          ),
        )(inputs());
        expectWithin(actual.dataSync(), expected.dataSync(), 1e-5, 'second derivative');
      });
    }
    layer.dispose();
  });

  it('leaves nothing behind, also when the layer fails', () => {
    const layer = new Layer(0.1);
    const bytes = () => engineBackend()?.memory().numBytesLive ?? 0;
    const before = { tensors: tf.memory().numTensors, bytes: bytes() };
    for (const recompute of [false, true]) {
      measure(layer, (x) => repeatLayer(layer, x, (h) => layer.apply(h), { times: 3, recompute }));
      expect(() =>
        measure(layer, (x) =>
          repeatLayer(layer, x, (h, i) => (i === 1 ? tf.slice(h, [0, 0], [1, 5]) : layer.apply(h)), {
            times: 3,
            recompute,
          }),
        ),
      ).toThrow('repeatLayer: the output of the layer');
      expect(layer.linear.weight).toBeInstanceOf(tf.Variable);
    }
    expect(tf.memory().numTensors).toBe(before.tensors);
    expect(bytes()).toBe(before.bytes);
    layer.dispose();
  });
});

it('holds one gradient of the weights at a time, and recomputing holds one application', async () => {
  class Wide extends Module {
    readonly linear = this.addModule(
      'linear',
      new Linear({
        inputSize: 64,
        outputSize: 64,
        activation: 'tanh',
        random: new RandomStream(1),
      }),
    );
  }
  const peakBytes = async (rows: number, times: number, recompute: boolean): Promise<number> => {
    await init({ device: 'wasm', threads: 1 });
    const module = new Wide();
    tf.tidy(() => {
      const apply = (h: tf.Tensor2D) => module.linear.forward(h);
      const loss = () =>
        tf.sum(
          repeatLayer(module, tf.ones([rows, 64]) as tf.Tensor2D, apply, {
            times,
            recompute,
          }),
        );
      valueAndGradients(loss as () => tf.Scalar, module.parameters());
    });
    const { peakBytes } = engineBackend()!.engine.statistics();
    module.dispose();
    await dispose();
    return peakBytes;
  };
  const [weightBytes, rowBytes] = [64 * 64 * 4, 64 * 4];
  // Few rows: the weights' gradients would be all that counts.
  expect((await peakBytes(2, 20, false)) - (await peakBytes(2, 10, false))).toBeLessThan(2 * weightBytes);
  // Many rows: of each application recomputing keeps the input alone, and its gradient is gone.
  const grown = (await peakBytes(1000, 20, true)) - (await peakBytes(1000, 10, true));
  expect(grown).toBeLessThan(1.1 * 10 * 1000 * rowBytes);
});

it('a layer may give back its input, or a constant', async () => {
  await init({ device: 'wasm', threads: 1 });
  const module = new (class extends Module {})();
  const [x, constant] = [tf.tensor1d([1, 2]), tf.tensor1d([3, 4])] as const;
  const times = 3;
  const same = repeatLayer(module, x, (h) => h, { times });
  same.dispose();
  expect(Array.from(x.dataSync())).toEqual([1, 2]);
  const doubled = repeatLayer(module, x, (h, l) => (l === 1 ? h : tf.mul(h, 2)), { times });
  expect(Array.from(doubled.dataSync())).toEqual([4, 8]);
  const sum = repeatLayer(module, x, (h, l, [c]) => (l === 0 ? (c as typeof h) : tf.add(h, c as typeof h)), {
    times,
    constants: [constant],
  });
  expect([...sum.dataSync(), ...constant.dataSync()]).toEqual([9, 12, 3, 4]);
  tf.dispose([x, constant, doubled, sum]);
  await dispose();
});

it('a parameter that nobody can replace is an error', async () => {
  await init({ device: 'wasm', threads: 1 });
  class Hidden extends Module {
    readonly #weight = this.addParameter('weight', tf.ones([2]));
    apply(h: tf.Tensor1D): tf.Tensor1D {
      return tf.mul(h, this.#weight);
    }
  }
  const module = new Hidden();
  const run = () =>
    valueAndGradients(
      () => tf.sum(repeatLayer(module, tf.ones([2]) as tf.Tensor1D, (h) => module.apply(h), { times: 2 })) as tf.Scalar,
      module.parameters(),
    );
  expect(run).toThrow("Parameter 'weight' is no public property of its module");
  module.dispose();
  await dispose();
});
