import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineBackend } from '../../src/device/device.ts';
import { dispose, init } from '../../src/index.ts';
import { GradientAccumulator } from '../../src/optim/accumulate.ts';
import { Adam, AdamW } from '../../src/optim/adam.ts';
import { clipByGlobalNorm, globalNorm } from '../../src/optim/clip.ts';
import { isVector, type Optimizer } from '../../src/optim/optimizer.ts';
import { RmsProp } from '../../src/optim/rms-prop.ts';
import { Sgd } from '../../src/optim/sgd.ts';
import { availableDevices, composedDevices } from '../devices.ts';
import { expectSameBitsForAllThreads } from '../engine-properties.ts';
import { referenceAdam, referenceRmsProp, referenceSgd } from '../reference/optimizers.ts';

/** Numbers in (-1, 1) that look random. */
function numbers(count: number, seed: number): number[] {
  let state = seed * 2654435761 + 12345;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.fround(state / 2 ** 31 - 1);
  });
}

function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  let worst = 0;
  expected.forEach((value, i) => {
    worst = Math.max(worst, Math.abs((actual[i] as number) - value) / (1 + Math.abs(value)));
  });
  return worst;
}

/** Sizes with full vectors, tails, several chunks, and nothing at all. */
const SIZES = [1, 7, 16, 33, 0, 100, 33_003];

/** Makes `steps` updates of variables of all sizes and returns their values. */
function train(makeOptimizer: (variables: tf.Variable[]) => Optimizer, steps: number): Float32Array[] {
  const variables = SIZES.map((size, i) => tf.tidy(() => tf.variable(tf.tensor1d(numbers(size, i + 1), 'float32'))));
  const optimizer = makeOptimizer(variables);
  for (let step = 0; step < steps; step++) {
    tf.tidy(() => optimizer.step(SIZES.map((size, i) => tf.tensor1d(gradientAt(step, i, size), 'float32'))));
  }
  optimizer.dispose();
  const values = variables.map((variable) => variable.dataSync() as Float32Array);
  tf.dispose(variables);
  return values;
}

/** Of very different magnitudes, and zero at some places. */
function gradientAt(step: number, index: number, size: number): number[] {
  const key = `${step} ${index}`;
  const known = gradientCache.get(key);
  if (known !== undefined) return known;
  const made = numbers(size, 100 + step * 10 + index).map((x, i) =>
    i % 5 === 4 ? 0 : Math.fround(x * 10 ** ((i % 7) - 4)),
  );
  gradientCache.set(key, made);
  return made;
}
const gradientCache = new Map<string, number[]>();

const STEPS = 50;
const gradients = (i: number): number[][] =>
  Array.from({ length: STEPS }, (_, step) => gradientAt(step, i, SIZES[i] as number));

const devices = [...(await availableDevices()), ...composedDevices];

describe.each(devices)('on $name', ({ options }) => {
  beforeAll(async () => {
    await init(options);
  });
  afterAll(dispose);

  const adamSettings = { learningRate: 0.01, beta1: 0.8, beta2: 0.99, epsilon: 1e-6 };
  const adamOptions = { learningRate: 0.01, betas: [0.8, 0.99] as const, epsilon: 1e-6 };

  it('Adam follows the float64 reference for 50 updates', () => {
    const values = train((variables) => new Adam(variables, { ...adamOptions, weightDecay: 0.1 }), STEPS);
    values.forEach((actual, i) => {
      const settings = { ...adamSettings, weightDecay: 0.1, decoupled: false };
      expect(relativeError(actual, referenceAdam(numbers(SIZES[i]!, i + 1), gradients(i), settings))).toBeLessThan(
        3e-6,
      );
    });
  });

  it('AdamW follows the float64 reference for 50 updates', () => {
    const values = train((variables) => new AdamW(variables, { ...adamOptions, weightDecay: 0.1 }), STEPS);
    values.forEach((actual, i) => {
      const settings = { ...adamSettings, weightDecay: 0.1, decoupled: true };
      expect(relativeError(actual, referenceAdam(numbers(SIZES[i]!, i + 1), gradients(i), settings))).toBeLessThan(
        3e-6,
      );
    });
  });

  it.each([
    { momentum: 0, nesterov: false },
    { momentum: 0.9, nesterov: false },
    { momentum: 0.9, nesterov: true },
  ])('Sgd follows the float64 reference for 50 updates: %o', (settings) => {
    const all = { learningRate: 0.01, weightDecay: 0.05, ...settings };
    const values = train((variables) => new Sgd(variables, all), STEPS);
    values.forEach((actual, i) => {
      // Gradients reach 100, so that a few digits cancel.
      expect(relativeError(actual, referenceSgd(numbers(SIZES[i]!, i + 1), gradients(i), all))).toBeLessThan(2e-5);
    });
  });

  it('RmsProp follows the float64 reference for 50 updates', () => {
    const settings = { learningRate: 0.01, alpha: 0.9, epsilon: 0.01, weightDecay: 0.1 };
    const values = train((variables) => new RmsProp(variables, settings), STEPS);
    values.forEach((actual, i) => {
      expect(relativeError(actual, referenceRmsProp(numbers(SIZES[i]!, i + 1), gradients(i), settings))).toBeLessThan(
        3e-6,
      );
    });
  });

  it('the defaults are those of the papers', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([0.5, -2])));
    const optimizer = new AdamW(new Map([['p', p]]));
    for (let i = 0; i < 3; i++) tf.tidy(() => optimizer.step([tf.tensor1d([0.25, -1])]));
    const settings = {
      learningRate: 0.001,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0.01,
      decoupled: true,
    };
    const expected = referenceAdam(
      [0.5, -2],
      Array.from({ length: 3 }, () => [0.25, -1]),
      settings,
    );
    expect(relativeError(p.dataSync(), expected)).toBeLessThan(1e-7);
    optimizer.dispose();
    p.dispose();
  });

  it('groups change weight decay and learning rate of the parameters that match', () => {
    const make = (values: tf.Tensor): tf.Variable => tf.variable(values);
    const [weight, bias, frozen] = tf.tidy(() => [
      make(tf.ones([2, 2])),
      make(tf.ones([2])),
      make(tf.ones([1, 1])),
    ]) as [tf.Variable, tf.Variable, tf.Variable];
    const optimizer = new AdamW(
      { weight, bias, frozen },
      {
        learningRate: 0.1,
        weightDecay: 0.5,
        groups: [
          { match: isVector, weightDecay: 0 },
          { match: (name) => name === 'frozen', learningRateFactor: 0 },
        ],
      },
    );
    tf.tidy(() => optimizer.step([tf.zeros([2, 2]), tf.zeros([2]), tf.ones([1, 1])]));
    expect(weight.dataSync()[0]).toBeCloseTo(0.95, 6);
    expect(bias.dataSync()[0]).toBe(1);
    expect(frozen.dataSync()[0]).toBe(1);
    optimizer.dispose();
    tf.dispose([weight, bias, frozen]);
  });

  it('a parameter without a gradient stays as it is, and its bias correction waits for it', () => {
    const a = tf.tidy(() => tf.variable(tf.tensor1d([1])));
    const b = tf.tidy(() => tf.variable(tf.tensor1d([1])));
    const optimizer = new Adam([a, b], { learningRate: 0.1 });
    for (let i = 0; i < 5; i++) tf.tidy(() => optimizer.step({ [a.name]: tf.tensor1d([1]) }));
    expect(b.dataSync()[0]).toBe(1);
    tf.tidy(() => optimizer.step([null, tf.tensor1d([1])]));
    expect(b.dataSync()[0]).toBeCloseTo(0.9, 5);
    optimizer.dispose();
    tf.dispose([a, b]);
  });

  it('a schedule multiplies the learning rate, from step 0 on', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([0])));
    const optimizer = new Sgd([p], { learningRate: 1, schedule: (step) => [1, 10, 100][step] as number });
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) {
      seen.push(optimizer.currentLearningRate);
      tf.tidy(() => optimizer.step([tf.tensor1d([-1])]));
    }
    expect(seen).toEqual([1, 10, 100]);
    expect(p.dataSync()[0]).toBe(111);
    expect(optimizer.stepCount).toBe(3);
    optimizer.dispose();
    p.dispose();
  });

  it('clones and reshapes of a parameter keep the old value', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3, 4])));
    const clone = p.clone();
    const reshaped = tf.reshape(p, [2, 2]);
    const optimizer = new Adam([p], { learningRate: 0.5 });
    const before = tf.memory().numTensors;
    tf.tidy(() => optimizer.step([tf.tensor1d([1, 1, 1, 1])]));
    expect(Array.from(p.dataSync())).toEqual([0.5, 1.5, 2.5, 3.5].map((x) => expect.closeTo(x, 5)));
    expect(Array.from(clone.dataSync())).toEqual([1, 2, 3, 4]);
    expect(Array.from(reshaped.dataSync())).toEqual([1, 2, 3, 4]);
    const moments = optimizer.stateDict();
    const saved = Object.values(moments.tensors).map((moment) => Array.from(moment.dataSync()));
    tf.tidy(() => optimizer.step([tf.tensor1d([5, 5, 5, 5])]));
    expect(Object.values(moments.tensors).map((moment) => Array.from(moment.dataSync()))).toEqual(saved);
    tf.dispose(moments.tensors);
    // The two moments have come.
    expect(tf.memory().numTensors).toBe(before + 2);
    optimizer.dispose();
    tf.dispose([p, clone, reshaped]);
  });

  it('a tape that holds the parameter differentiates at the old value', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([3])));
    const optimizer = new Sgd([p], { learningRate: 1 });
    const gradient = tf.tidy(() =>
      tf.grad((x) => {
        const y = tf.mul(tf.mul(p, p), x);
        optimizer.step([tf.tensor1d([1])]);
        return y;
      })(tf.tensor1d([1])),
    );
    expect(gradient.dataSync()[0]).toBe(9);
    expect(p.dataSync()[0]).toBe(2);
    tf.dispose([p, gradient]);
    optimizer.dispose();
  });

  it('minimize finds the minimum, returns the loss and keeps nothing', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([4, -3])));
    const optimizer = new Adam([p], { learningRate: 0.1, clipNorm: 1 });
    const loss = (): tf.Scalar => tf.sum(tf.square(tf.sub(p, tf.tensor1d([1, 2]))));
    const first = tf.tidy(() => optimizer.minimize(loss).dataSync()[0] as number);
    expect(first).toBeCloseTo(34, 4);
    expect(optimizer.gradientNorm).toBeCloseTo(Math.sqrt(136), 4);
    const tensors = tf.memory().numTensors;
    const bytes = engineBackend()?.engine.statistics().liveBytes;
    for (let i = 0; i < 300; i++) optimizer.minimize(loss).dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    expect(engineBackend()?.engine.statistics().liveBytes).toBe(bytes);
    expect(relativeError(p.dataSync(), [1, 2])).toBeLessThan(1e-2);
    optimizer.dispose();
    p.dispose();
    expect(tf.memory().numTensors).toBe(tensors - 3);
  });

  it('onUpdate is told gradients by name before they are clipped, and the loss where it is known', () => {
    const model = tf.tidy(() => ({
      a: tf.variable(tf.tensor1d([3, 0]), true, 'observed-a'),
      b: tf.variable(tf.scalar(1), true, 'observed-b'),
      unused: tf.variable(tf.scalar(1), true, 'observed-unused'),
    }));
    const optimizer = new Sgd(model, { learningRate: 0.1, clipNorm: 0.5 });
    const seen: unknown[] = [];
    optimizer.onUpdate = ({ gradients, scale, loss }) => {
      const values = [...gradients].map(([name, gradient]) => [name, [...gradient.dataSync()]]);
      seen.push({
        gradients: Object.fromEntries(values),
        scale,
        loss: loss?.dataSync()[0],
        before: [...model.a.dataSync()],
      });
    };
    const loss = (): tf.Scalar => tf.add(tf.sum(tf.square(model.a)), model.b);
    optimizer.minimize(loss).dispose();
    optimizer.minimize((i) => tf.mul(loss(), i + 1), { microBatches: 2 }).dispose();
    tf.tidy(() => optimizer.step({ [model.b.name]: tf.scalar(7) }, { scale: 0.5 }));
    const [after] = [...model.a.dataSync()];
    expect(seen[0]).toEqual({ gradients: { a: [6, 0], b: [1] }, scale: 1, loss: 10, before: [3, 0] });
    expect(seen[1]).toMatchObject({ gradients: { b: [3] }, scale: 0.5 });
    expect(seen[2]).toEqual({ gradients: { b: [7] }, scale: 0.5, loss: undefined, before: [after, 0] });
    optimizer.onUpdate = undefined;
    optimizer.minimize(loss).dispose();
    expect(seen).toHaveLength(3);
    optimizer.dispose();
    tf.dispose(model);
  });

  it('micro-batches give the update of the large batch', () => {
    const x = tf.tensor2d(numbers(8 * 3, 5), [8, 3]);
    const y = tf.tensor2d(numbers(8, 6), [8, 1]);
    const run = (microBatches: number): number[] => {
      const w = tf.tidy(() => tf.variable(tf.tensor2d([0.1, -0.2, 0.3], [3, 1])));
      const optimizer = new Sgd([w], { learningRate: 0.1, momentum: 0.9, clipNorm: 0.5 });
      const size = 8 / microBatches;
      const losses: number[] = [];
      for (let step = 0; step < 4; step++) {
        const loss = optimizer.minimize(
          (i) => {
            const rows = tf.slice(x, [i * size, 0], [size, 3]);
            return tf.mean(tf.square(tf.sub(tf.matMul(rows, w), tf.slice(y, [i * size, 0], [size, 1]))));
          },
          { microBatches },
        );
        losses.push(loss.dataSync()[0] as number);
        loss.dispose();
      }
      const result = [...losses, ...w.dataSync()];
      optimizer.dispose();
      w.dispose();
      return result;
    };
    const before = tf.memory().numTensors;
    const whole = run(1);
    expect(relativeError(run(4), whole)).toBeLessThan(1e-6);
    expect(relativeError(run(8), whole)).toBeLessThan(1e-6);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([x, y]);
  });

  it('the accumulator weighs its gradients', () => {
    const before = tf.memory().numTensors;
    const accumulator = new GradientAccumulator();
    tf.tidy(() => accumulator.add({ a: tf.tensor1d([1, 2]) }, 3));
    tf.tidy(() => accumulator.add({ a: tf.tensor1d([5, 6]) }, 1));
    const mean = accumulator.mean();
    expect(Array.from((mean['a'] as tf.Tensor).dataSync())).toEqual([2, 3]);
    expect(() => tf.tidy(() => accumulator.add({ a: tf.zeros([3]) }))).toThrow("'a' has shape [3], but [2] before");
    accumulator.reset();
    tf.dispose(mean);
    expect(() => accumulator.mean()).toThrow('add gradients before');
    expect(tf.memory().numTensors).toBe(before);
  });

  it('clipByGlobalNorm scales all gradients alike, down to the norm and never up', () => {
    const before = tf.memory().numTensors;
    const gradients = { a: tf.tensor2d([3, 0, 0, 0], [2, 2]), b: tf.tensor1d([0, 4]) };
    const clipped = clipByGlobalNorm(gradients, 1);
    expect(clipped.norm).toBeCloseTo(5, 6);
    expect(globalNorm(Object.values(clipped.gradients))).toBeCloseTo(1, 6);
    expect(clipped.gradients['a']?.dataSync()[0]).toBeCloseTo(0.6, 6);
    expect(clipped.gradients['b']?.dataSync()[1]).toBeCloseTo(0.8, 6);
    const untouched = clipByGlobalNorm(gradients, 6);
    expect(Array.from(untouched.gradients['b']?.dataSync() ?? [])).toEqual([0, 4]);
    expect(globalNorm([])).toBe(0);
    tf.dispose([gradients, clipped.gradients, untouched.gradients]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('training goes on bit for bit from a state', () => {
    const make = (): tf.Variable => tf.tidy(() => tf.variable(tf.tensor1d([1, -2, 0.5])));
    const update = (optimizer: Optimizer, i: number): void =>
      tf.tidy(() => optimizer.step([tf.tensor1d(numbers(3, i + 9))]));
    for (const makeOptimizer of [
      (p: tf.Variable) => new AdamW({ p }, { learningRate: 0.1 }),
      (p: tf.Variable) => new Sgd({ p }, { learningRate: 0.1, momentum: 0.9 }),
    ]) {
      const p = make();
      const optimizer = makeOptimizer(p);
      for (let i = 0; i < 5; i++) update(optimizer, i);
      const state = optimizer.stateDict();
      const q = tf.tidy(() => tf.variable(p.clone()));
      const resumed = makeOptimizer(q);
      resumed.loadStateDict({ ...state, values: JSON.parse(JSON.stringify(state.values)) });
      tf.dispose(state.tensors);
      for (let i = 5; i < 10; i++) {
        update(optimizer, i);
        update(resumed, i);
      }
      expect(q.dataSync()).toEqual(p.dataSync());
      expect(resumed.stepCount).toBe(10);
      optimizer.dispose();
      resumed.dispose();
      tf.dispose([p, q]);
    }
  });

  it('refuses a state that does not fit and changes nothing', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    const q = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3])));
    const source = new Adam({ p });
    tf.tidy(() => source.step([tf.tensor1d([1, 1])]));
    const state = source.stateDict();
    const before = tf.memory().numTensors;
    expect(() => new AdamW({ p }).loadStateDict(state)).toThrow("that of optimizer 'Adam', but this is 'AdamW'");
    expect(() => new Adam({ r: p }).loadStateDict(state)).toThrow(
      "parameter 'r' is missing; parameter 'p' is unexpected; tensor 'firstMoment/p' is unexpected",
    );
    expect(() => new Adam({ p: q }).loadStateDict(state)).toThrow("'firstMoment/p' has shape [2] instead of [3]");
    const { 'secondMoment/p': second, ...tensors } = state.tensors;
    expect(() => new Adam({ p }).loadStateDict({ ...state, tensors })).toThrow("tensor 'secondMoment/p' is missing");
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([state.tensors, p, q]);
    source.dispose();
  });

  it('refuses bad gradients and options with a sentence, and allocates nothing', () => {
    const p = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    const optimizer = new AdamW({ weight: p });
    const gradient = tf.tensor1d([1, 2, 3]);
    const before = tf.memory().numTensors;
    expect(() => optimizer.step([gradient])).toThrow(
      "gradient of parameter 'weight' must be float32 of shape [2], but is float32 of shape [3]",
    );
    expect(() => optimizer.step([])).toThrow('Expected 1 gradients, one per parameter, but got 0');
    expect(() => optimizer.step({ weight: gradient })).toThrow('Name them by tfjs variable');
    expect(() => optimizer.minimize(() => p as unknown as tf.Scalar)).toThrow('The loss must have shape []');
    expect(() => optimizer.minimize(() => tf.scalar(1))).toThrow('Cannot find a connection');
    expect(() =>
      optimizer.minimize(() => {
        tf.sum(tf.square(p));
        throw new Error('no data');
      }),
    ).toThrow('no data');
    expect(tf.memory().numTensors).toBe(before);
    expect(optimizer.stepCount).toBe(0);
    expect(() => new AdamW([])).toThrow('at least one parameter');
    expect(() => new AdamW([gradient as unknown as tf.Variable])).toThrow('must be a tf.Variable');
    expect(() => new Sgd([p], { learningRate: -1 })).toThrow('learningRate must be a finite number of at least 0');
    expect(() => new Sgd([p], { nesterov: true })).toThrow('nesterov needs a momentum');
    expect(() => new Adam([p], { betas: [0.9, 1] })).toThrow('betas[1] must be');
    gradient.dispose();
    expect(() => optimizer.step([gradient])).toThrow('was disposed');
    optimizer.dispose();
    expect(() => optimizer.step([null])).toThrow('optimizer was disposed');
    p.dispose();
  });
});

describe.each(await availableDevices())('on $name', ({ options }) => {
  it('every number of threads gives the same bits', async () => {
    await expectSameBitsForAllThreads(options, () => train((variables) => new AdamW(variables, { clipNorm: 0.1 }), 3));
    await dispose();
  });

  it('the norm neither overflows nor vanishes', async () => {
    await init(options);
    for (const magnitude of [1e-25, 1e30]) {
      const x = tf.fill([100_003], Math.fround(magnitude));
      expect(globalNorm([x, x]) / (Math.fround(magnitude) * Math.sqrt(200_006))).toBeCloseTo(1, 12);
      x.dispose();
    }
    await dispose();
  });
});
