/** The quantiser against the paper's equations in float64, and the numbers of its worked examples. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '@fwp/core';
import { dispose, init, loadSafetensors, RandomStream, saveSafetensors } from '@fwp/core';
import { availableDevices } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KohonenQuantizer, type KohonenQuantizerOptions, NEIGHBORHOODS } from '../src/index.ts';
import { trainingStep, winners } from './reference.ts';

const WORKED_CODES = [
  [0, 0],
  [1, 0],
  [2, 0],
  [3, 0],
];
const WORKED_VECTORS = [
  [0.1, 0.2],
  [2.9, -0.1],
  [3.2, 0.3],
];

/** A quantiser that begins with the given codes. */
function quantizer(codes: number[][], options: Partial<KohonenQuantizerOptions> = {}): KohonenQuantizer {
  const size = codes[0]?.length as number;
  const initializer = () => tf.tensor2d(codes);
  return new KohonenQuantizer({ codes: codes.length, size, random: new RandomStream(1), initializer, ...options });
}

/** Trains on a batch and frees what comes out. */
function train(map: KohonenQuantizer, vectors: number[][]): void {
  tf.tidy(() => {
    map.forward(tf.tensor2d(vectors));
  });
}

/** A buffer or parameter as nested arrays. */
function valuesOf(map: KohonenQuantizer, name: string): unknown {
  const all = new Map([...map.namedParameters(), ...map.namedBuffers()]);
  return all.get(name)?.arraySync();
}

function expectClose(actual: unknown, expected: readonly (number | readonly number[])[], tolerance: number): void {
  const [a, b] = [(actual as number[][]).flat(), (expected as number[][]).flat()];
  expect(a.length).toBe(b.length);
  a.forEach((x, i) => {
    const wanted = b[i] as number;
    expect(Math.abs(x - wanted), `element ${i}: ${x}, expected ${wanted}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(wanted)),
    );
  });
}

describe.each(await availableDevices(core))('KohonenQuantizer on $name', ({ options }) => {
  beforeAll(() => init(options));
  afterAll(dispose);

  it('makes the worked step of EMA-VQ', () => {
    const map = quantizer(WORKED_CODES, { neighborhood: 'none' });
    train(map, WORKED_VECTORS);
    expectClose(
      valuesOf(map, 'codebook'),
      [
        [0.001, 0.002],
        [1, 0],
        [2, 0],
        [3.00099, 0.00198],
      ],
      2e-5,
    );
    expectClose(valuesOf(map, 'counts'), [1, 0.99, 0.99, 1.01], 1e-5);
    expect(map.step).toBe(1);
  });

  it('makes the worked step of the hard neighbourhood in one dimension at t = 10', () => {
    const map = quantizer(WORKED_CODES, { gridAxes: 1 });
    map.step = 10;
    train(map, WORKED_VECTORS);
    const expected = [
      [0.001, 0.002],
      [0.995477, 0.001005],
      [2.0105, 0.001],
      [3.00099, 0.00198],
    ];
    expectClose(valuesOf(map, 'codebook'), expected, 2e-5);
    expectClose(valuesOf(map, 'counts'), [1, 0.995, 1, 1.01], 1e-5);
  });

  it.each(NEIGHBORHOODS)('follows the equations of the paper over many steps: %s', (neighborhood) => {
    const random = new RandomStream(7);
    const draw = (rows: number) => Array.from({ length: rows }, () => Array.from(random.normal(3)));
    const codes = draw(12);
    const map = quantizer(codes, { neighborhood, decay: 0.9, width: 2 });
    let state = { codebook: codes, sums: codes, counts: codes.map(() => 1) };
    for (let step = 0; step < 20; step++) {
      const vectors = draw(30);
      const matrix = tf.tidy(() => map.neighborhood.matrix(step).arraySync());
      const indices = tf.tidy(() => map.forward(tf.tensor2d(vectors)).indices.arraySync());
      expect(indices).toEqual(winners(vectors, state.codebook));
      state = trainingStep(state, vectors, matrix, { decay: 0.9, epsilon: 1e-5 });
      expectClose(valuesOf(map, 'codebook'), state.codebook, 2e-5);
      // The next step starts from the same numbers, so that ties can't fall differently.
      state = {
        codebook: valuesOf(map, 'codebook') as number[][],
        sums: valuesOf(map, 'sums') as number[][],
        counts: valuesOf(map, 'counts') as number[],
      };
    }
  });

  it.each(['hard', 'gaussian'] as const)('is EMA-VQ when the neighbourhood has shrunk: %s', (neighborhood) => {
    const [map, plain] = [quantizer(WORKED_CODES, { neighborhood }), quantizer(WORKED_CODES, { neighborhood: 'none' })];
    map.step = 2 ** 30;
    for (const each of [map, plain, map, plain]) train(each, WORKED_VECTORS);
    expectClose(valuesOf(map, 'codebook'), valuesOf(plain, 'codebook') as number[][], 1e-6);
    expectClose(valuesOf(map, 'counts'), valuesOf(plain, 'counts') as number[], 1e-6);
  });

  it('gives every code of a 2 × 2 grid the same sum at t = 0', () => {
    const map = quantizer(
      [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
      ],
      { decay: 0 },
    );
    train(map, [
      [0.2, 0.1],
      [0.9, 0.8],
    ]);
    const same = [0, 1, 2, 3].map(() => [0.55, 0.45]);
    expectClose(valuesOf(map, 'codebook'), same, 1e-5);
  });

  it.each([
    { initialCount: 0, scales: { 1: 99_000, 100: 577, 690: 0.97, 1000: 0.043 } },
    { initialCount: 1, scales: { 100: 0.998, 500: 0.869, 690: 0.494, 1000: 0.041 } },
  ])('a dead code takes the way of the closed form with an initial count of $initialCount', (given) => {
    // All vectors stay nearer to the other code; how many they are does not matter.
    const map = quantizer([[1], [-1]], { neighborhood: 'none', initialCount: given.initialCount });
    const vectors = tf.fill([64, 1], -1);
    for (const [at, scale] of Object.entries(given.scales)) {
      while (map.step < Number(at)) tf.tidy(() => void map.forward(vectors));
      const [dead] = map.codebook.dataSync();
      expect(Math.abs((dead as number) / scale - 1), `step ${at}: ${dead}`).toBeLessThan(0.02);
    }
    vectors.dispose();
  });

  it('leaves codes that nothing moved as they are with keepUnused', () => {
    const map = quantizer(WORKED_CODES, { neighborhood: 'none', keepUnused: true, initialCount: 0 });
    train(map, WORKED_VECTORS);
    const codebook = valuesOf(map, 'codebook') as number[][];
    expect(codebook.slice(1, 3)).toEqual([
      [1, 0],
      [2, 0],
    ]);
    // c = 0.02 and m = 0.99 w + 0.01 Σ z: with c₀ = 0, used codes are thrown out here too.
    expectClose(codebook[3] as number[], [(0.99 * 3 + 0.061) / 0.02, 0.002 / 0.02], 1e-4);
    expect((valuesOf(map, 'counts') as number[]).slice(1, 3)).toEqual([0, 0]);
  });

  it('passes gradients straight through, and that of the commitment', () => {
    const map = quantizer(WORKED_CODES).eval();
    tf.tidy(() => {
      const z = tf.tensor2d(WORKED_VECTORS);
      const weights = tf.tensor2d([
        [1, -2],
        [3, 4],
        [-5, 6],
      ]);
      const gradient = tf.grad((x: tf.Tensor) => {
        const { output, loss } = map.forward(x);
        return tf.add(tf.sum(tf.mul(output, weights)), loss);
      })(z);
      const q = tf.tensor2d([
        [0, 0],
        [3, 0],
        [3, 0],
      ]);
      const expected = tf.add(weights, tf.mul((2 * 0.25) / 6, tf.sub(z, q))).arraySync() as number[][];
      expectClose(gradient.arraySync(), expected, 1e-6);
      expect(map.forward(z).output.arraySync()).toEqual(q.arraySync());
    });
  });

  it('trains codes by gradient, and pulls neighbours towards winners', () => {
    const [lambda, step] = [0.7, 10];
    const map = quantizer(WORKED_CODES, { learning: 'gradient', gridAxes: 1, neighborCost: lambda, commitment: 0.25 });
    map.step = step;
    const codes = WORKED_CODES;
    const chosen = winners(WORKED_VECTORS, codes);
    const h = (i: number, j: number) => (i === j ? 1 : Math.abs(i - j) === 1 ? 1 / (1 + 0.1 * step) : 0);
    const square = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + (x - (b[i] as number)) ** 2, 0);
    const fit = WORKED_VECTORS.reduce((sum, z, n) => sum + square(z, codes[chosen[n] as number] as number[]), 0) / 6;
    const near = chosen.flatMap((k) => codes.map((w, j) => h(k, j) * square(w, codes[k] as number[])));
    const expected = 1.25 * fit + (lambda / 3) * near.reduce((sum, x) => sum + x, 0);
    tf.tidy(() => {
      const z = tf.tensor2d(WORKED_VECTORS);
      const { value, grads } = tf.variableGrads(() => map.forward(z).loss);
      expect(value.dataSync()[0]).toBeCloseTo(expected, 5);
      const gradient = Object.values(grads)[0]?.arraySync() as number[][];
      const wanted = codes.map((w, j) =>
        w.map((x, i) => {
          const errors = chosen.map((k, n) => (k === j ? (2 * (x - (WORKED_VECTORS[n]?.[i] as number))) / 6 : 0));
          const pulls = chosen.map((k) => ((2 * lambda) / 3) * h(k, j) * (x - (codes[k]?.[i] as number)));
          return [...errors, ...pulls].reduce((sum, part) => sum + part, 0);
        }),
      );
      expectClose(gradient, wanted, 1e-5);
    });
    expect(map.step).toBe(step + 1);
    expect([...map.namedParameters().keys()]).toEqual(['codebook']);
  });

  it('does not move in evaluation mode, and does while training', () => {
    const map = quantizer(WORKED_CODES).eval();
    train(map, WORKED_VECTORS);
    expect([valuesOf(map, 'codebook'), map.step]).toEqual([WORKED_CODES, 0]);
    map.train();
    train(map, WORKED_VECTORS);
    expect(valuesOf(map, 'codebook')).not.toEqual(WORKED_CODES);
  });

  it('encodes and decodes any shape', () => {
    const map = quantizer(WORKED_CODES).eval();
    tf.tidy(() => {
      const z = tf.tensor4d([WORKED_VECTORS.map((row) => [row])]);
      const indices = map.encode(z);
      expect(indices.arraySync()).toEqual([[[0], [3], [3]]]);
      expect(map.decode(indices).shape).toEqual(z.shape);
      expect(map.forward(z).output.arraySync()).toEqual(map.decode(indices).arraySync());
    });
  });

  it('tells perplexity', () => {
    const map = quantizer(WORKED_CODES).eval();
    tf.tidy(() => {
      const { perplexity } = map.forward(
        tf.tensor2d([
          [0, 0],
          [1, 0],
          [2, 0],
          [2, 0.1],
        ]),
      );
      const entropy = -(2 * 0.25 * Math.log(0.25) + 0.5 * Math.log(0.5));
      expect(perplexity.dataSync()[0]).toBeCloseTo(Math.exp(entropy), 4);
    });
  });

  it('goes on from a checkpoint with the same bits', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ksom-'));
    try {
      const [first, second] = [quantizer(WORKED_CODES), quantizer(WORKED_CODES.map(() => [9, 9]))];
      train(first, WORKED_VECTORS);
      const state = first.stateDict();
      await saveSafetensors(join(folder, 'map.safetensors'), state);
      const { tensors } = await loadSafetensors(join(folder, 'map.safetensors'));
      second.loadStateDict(tensors);
      for (const map of [first, second]) train(map, WORKED_VECTORS);
      expect(second.step).toBe(2);
      expect(valuesOf(second, 'codebook')).toEqual(valuesOf(first, 'codebook'));
      tf.dispose([state, tensors]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('leaves nothing allocated', () => {
    const map = quantizer(WORKED_CODES);
    train(map, WORKED_VECTORS);
    const before = tf.memory();
    for (let i = 0; i < 20; i++) train(map, WORKED_VECTORS);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
  });

  // One of the four codes is far from all vectors, as with any number of codes some may be.
  const far = [...WORKED_CODES.slice(0, 3), [100, 0]];
  const near = WORKED_VECTORS.slice(0, 1);

  it.each([
    { epsilon: 0, initialCount: 0 },
    { epsilon: 0, initialCount: 0, smoothing: 'divisor' },
    { smoothing: 'none', initialCount: 0 },
    { epsilon: 0, decay: 0 },
    { decay: 1, initialCount: 0 },
    { decay: 1, initialCount: 0, keepUnused: true },
  ] as const)('refuses what would divide codes by counts of 0, unless they are parameters: %o', (options) => {
    expect(() => quantizer(far, options)).toThrow(/initialCount \d.*would (be|stay) 0.*Give/);
    const map = quantizer(far, { ...options, learning: 'gradient' });
    train(map, near);
    expect(map.codebook.dataSync().every(Number.isFinite)).toBe(true);
  });

  it.each([
    { epsilon: 0 },
    { smoothing: 'none' },
    { decay: 1 },
    { decay: 0 },
    { initialCount: 0 },
    { initialCount: 0, decay: 0 },
    { epsilon: 0, initialCount: 0, keepUnused: true },
  ] as const)('has finite codes at every other border: %o', (options) => {
    const map = quantizer(far, { neighborhood: 'none', ...options });
    for (let step = 0; step < 3; step++) train(map, near);
    expect(map.codebook.dataSync().every(Number.isFinite)).toBe(true);
  });

  it('says what is wrong with its arguments', () => {
    const random = new RandomStream(1);
    expect(() => new KohonenQuantizer({ codes: 6, gridShape: [2, 2], random })).toThrow(
      /gridShape is \[2, 2\], 4 cells, but there are 6 codes/,
    );
    expect(() => new KohonenQuantizer({ neighborhood: 'soft' as never, random })).toThrow(
      /kind must be 'none' or 'hard'/,
    );
    expect(() => new KohonenQuantizer({ decay: 1.5, random })).toThrow(/decay must be a finite number from 0 to 1/);
    for (const options of [{}, { learning: 'gradient' as const }, { keepUnused: true }]) {
      expect(() => new KohonenQuantizer({ smoothing: 'foo' as never, ...options, random })).toThrow(
        /smoothing must be 'none' or 'stored' or 'divisor', but is 'foo'/,
      );
    }
    const map = quantizer(WORKED_CODES);
    tf.tidy(() => {
      expect(() => map.forward(tf.zeros([3, 3]))).toThrow(/vectors must have shape \[..., 2\]/);
      expect(() => map.forward(tf.zeros([0, 2]))).toThrow(/at least one vector/);
    });
  });
});
