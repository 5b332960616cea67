import { dispose, dpfp, init, linearAttention, RandomStream, randomNormal } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMemory, type StoredPairs } from '../src/associative-memory.ts';

const KEY_SIZE = 4;
const COUNT = 5;
const LENGTH = 7;
const ASKED = 3;
const random = new RandomStream(3);

beforeAll(() => init({ device: 'wasm', threads: 1 }));
afterAll(dispose);

it('the sum rule weighs values as the matrix of linear attention does', () => {
  const { keys, values, queries, beta } = draw();
  const recalled = createMemory('dpfp-2', KEY_SIZE, random).recall({ keys, values, queries, beta });
  const map = (x: tf.Tensor3D) => tf.expandDims(dpfp(x, { nu: 2 }), 1) as tf.Tensor4D;
  const padding = (before: number, behind: number): [number, number][] => [
    [0, 0],
    [0, 0],
    [before, behind],
    [0, 0],
  ];
  const { output } = linearAttention(
    tf.pad(map(queries), padding(LENGTH, 0)),
    tf.pad(map(keys), padding(0, ASKED)),
    tf.pad(tf.expandDims(values, 1), padding(0, ASKED)) as tf.Tensor4D,
    { normalize: true },
  );
  expectClose(recalled, tf.slice(output, [0, 0, LENGTH, 0]).arraySync()[0]?.[0] as number[][]);
});

it('the delta rule takes out what a key held before it writes', () => {
  const pairs = draw();
  const recalled = createMemory('linear delta', KEY_SIZE, random).recall(pairs);
  const phi = (x: number[]) => {
    const features = x.map((e) => (e > 0 ? e + 1 : Math.exp(e)));
    const sum = features.reduce((a, b) => a + b, 1e-6);
    return features.map((e) => e / sum);
  };
  const { keys, values, queries, beta } = asArrays(pairs);
  const w = values[0]?.map(() => new Array<number>(KEY_SIZE).fill(0)) as number[][];
  keys.map(phi).forEach((k, t) => {
    w.forEach((row, i) => {
      const error = (values[t]?.[i] as number) - dot(row, k);
      w[i] = row.map((x, j) => x + (beta[t] as number) * error * (k[j] as number));
    });
  });
  const wanted = queries.map(phi).map((q) => w.map((row) => dot(row, q)));
  expectClose(recalled, wanted);
});

it('the fast weight memory keeps the norm of its matrix at most 1', () => {
  const pairs = draw();
  const recalled = createMemory('tanh fwm', KEY_SIZE, random).recall(pairs);
  const { keys, values, queries, beta } = asArrays(pairs);
  let w = values[0]?.map(() => new Array<number>(KEY_SIZE).fill(0)) as number[][];
  keys
    .map((k) => k.map(Math.tanh))
    .forEach((k, t) => {
      const b = beta[t] as number;
      w = w.map((row, i) => {
        const old = dot(row, k);
        const added = b * (values[t]?.[i] as number) + (1 - b) * old - old;
        return row.map((x, j) => x + added * (k[j] as number));
      });
      const scale = t === 0 ? 1 : Math.max(1, Math.hypot(...w.flat()));
      w = w.map((row) => row.map((x) => x / scale));
    });
  const wanted = queries.map((q) => {
    const read = w.map((row) => dot(row, q.map(Math.tanh)));
    const mean = read.reduce((a, b) => a + b) / read.length;
    const variance = read.reduce((a, b) => a + (b - mean) ** 2, 0) / read.length;
    return read.map((x) => (x - mean) / Math.sqrt(variance + 1e-5));
  });
  expectClose(recalled, wanted);
});

it('FAVOR+ draws a new projection each time', () => {
  const pairs = draw();
  const memory = createMemory('favor-8', KEY_SIZE, random.split('favor'));
  expect(memory.recall(pairs).arraySync()).not.toEqual(memory.recall(pairs).arraySync());
});

it.each(['hopfield', 'dpfp', 'dpfp-0', 'linear plus', 'linear softmax'])('there is no memory %j', (name) => {
  expect(() => createMemory(name, KEY_SIZE, random)).toThrow(`memory '${name}': expected`);
});

function draw(): StoredPairs {
  const normal = (...shape: number[]) => randomNormal(random, shape);
  return {
    keys: normal(1, LENGTH, KEY_SIZE) as tf.Tensor3D,
    values: tf.oneHot(tf.tensor2d(random.integers(LENGTH, 0, COUNT), [1, LENGTH], 'int32'), COUNT, 1, 0, 'float32'),
    queries: normal(1, ASKED, KEY_SIZE) as tf.Tensor3D,
    beta: tf.sigmoid(normal(1, LENGTH)) as tf.Tensor2D,
  } as StoredPairs;
}

function asArrays({ keys, values, queries, beta }: StoredPairs) {
  const first = (x: tf.Tensor3D) => x.arraySync()[0] as number[][];
  return { keys: first(keys), values: first(values), queries: first(queries), beta: beta.arraySync()[0] as number[] };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
}

function expectClose(actual: tf.Tensor3D, wanted: readonly number[][]): void {
  const rows = actual.arraySync()[0] as number[][];
  rows.flat().forEach((x, i) => {
    expect(x).toBeCloseTo(wanted.flat()[i] as number, 4);
  });
}
