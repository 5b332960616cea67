/** Grids, neighbourhoods and their schedules, the classical map, order and usage. */

import { dispose, init, RandomStream } from '@fwp/core';
import { wasm } from '@fwp/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  gridCoordinates,
  gridDistances,
  gridEdges,
  gridShapeOf,
  KohonenQuantizer,
  Neighborhood,
  neighborRatio,
  OnlineSom,
  perplexityOf,
} from '../src/index.ts';

beforeAll(() => init(wasm.options));
afterAll(dispose);

describe('grids', () => {
  it.each([
    [512, 2, [32, 16]],
    [1024, 2, [32, 32]],
    [256, 2, [16, 16]],
    [128, 2, [16, 8]],
    [7, 2, [7, 1]],
    [12, 1, [12]],
    [64, 3, [4, 4, 4]],
    [125, 3, [5, 5, 5]],
  ])('%i codes on %i axes are %j', (codes, axes, shape) => {
    expect(gridShapeOf(codes, axes)).toEqual(shape);
  });

  it('count along the first axis first', () => {
    expect(gridCoordinates(17, [16, 16])).toEqual([1, 1]);
    expect(gridCoordinates(5, [2, 2, 2])).toEqual([1, 0, 1]);
    expect([...gridDistances([2, 2])].slice(0, 4)).toEqual([0, 1, 1, Math.fround(Math.SQRT2)]);
    expect(gridEdges([3, 2])).toEqual([
      [0, 1],
      [0, 3],
      [1, 2],
      [1, 4],
      [2, 5],
      [3, 4],
      [4, 5],
    ]);
  });

  it('refuse what is no grid', () => {
    expect(() => gridShapeOf(0, 2)).toThrow(/codes must be a whole number/);
    expect(() => gridShapeOf(9, 5)).toThrow(/axes must be from 1 to 4/);
  });
});

describe('neighbourhoods', () => {
  it('have the weights of the paper', () => {
    const hard = new Neighborhood({ gridShape: [4] });
    expect([0, 10, 100, 1000].map((t) => hard.weight(1, t))).toEqual([1, 1 / 2, 1 / 11, 1 / 101]);
    expect([hard.weight(0, 1000), hard.weight(1.5, 0)]).toEqual([1, 0]);
    const gaussian = new Neighborhood({ gridShape: [4], kind: 'gaussian' });
    expect(gaussian.weight(1, 0)).toBeCloseTo(0.904837, 6);
    expect(gaussian.weight(1, 100)).toBeCloseTo(0.332871, 6);
  });

  it('the hard one in one dimension at t = 10', () => {
    const matrix = tf.tidy(() => new Neighborhood({ gridShape: [4] }).matrix(10).arraySync());
    expect(matrix).toEqual([
      [1, 0.5, 0, 0],
      [0.5, 1, 0.5, 0],
      [0, 0.5, 1, 0.5],
      [0, 0, 0.5, 1],
    ]);
  });

  it.each(['none', 'hard', 'gaussian'] as const)(
    'apply is the product with the matrix, which is symmetric: %s',
    (kind) => {
      for (const gridShape of [[6], [4, 3], [3, 2, 2]]) {
        const neighborhood = new Neighborhood({ gridShape, kind, width: 2 });
        const cells = gridShape.reduce((product, size) => product * size, 1);
        tf.tidy(() => {
          const x = tf.tensor2d(new RandomStream(1).normal(cells * 5), [cells, 5]);
          for (const step of [0, 3, 100, 1e6]) {
            const h = neighborhood.matrix(step);
            const difference = tf.max(tf.abs(tf.sub(neighborhood.apply(x, step), tf.matMul(h, x)))).dataSync()[0];
            expect(difference).toBeLessThan(1e-5);
            expect(h.arraySync()).toEqual(tf.transpose(h).arraySync());
          }
        });
      }
    },
  );

  it('refuse bad settings', () => {
    expect(() => new Neighborhood({ gridShape: [4], shrinkage: -1 })).toThrow(/shrinkage must be a finite number/);
    expect(() => new Neighborhood({ gridShape: [4], width: 0 })).toThrow(/width must be a finite number/);
  });
});

describe('the classical map', () => {
  it('makes the step of its equation', () => {
    const initializer = () =>
      tf.tensor2d([
        [0, 0],
        [1, 0],
        [2, 0],
      ]);
    const map = new OnlineSom({
      ...{ gridShape: [3], size: 2, neighborhood: 'hard', shrinkage: 1, learningRate: 0.5 },
      ...{ random: new RandomStream(1), initializer },
    });
    tf.tidy(() =>
      map.learn(
        tf.tensor2d([
          [0, 1],
          [2, 1],
        ]),
      ),
    );
    // First vector: winner 0, and 0 and 1 move half way. Second: winner 2, whose neighbour 1 has the weight ½.
    expect(map.codebook.arraySync()).toEqual([
      [0, 0.5],
      [0.5 + 0.25 * 1.5, 0.5 + 0.25 * 0.5],
      [2, 0.5],
    ]);
    expect(map.step).toBe(2);
    expect(tf.tidy(() => map.encode(tf.tensor2d([[2, 1]])).arraySync())).toEqual([2]);
  });

  it('orders a line', () => {
    const random = new RandomStream(2);
    const map = new OnlineSom({ gridShape: [10], size: 1, width: 3, shrinkage: 0.01, random, learningRate: 0.2 });
    tf.tidy(() => map.learn(tf.tensor2d(random.uniform(600), [600, 1])));
    const codes = [...map.codebook.dataSync()];
    const ordered = codes.toSorted((a, b) => a - b);
    expect([ordered, ordered.toReversed()]).toContainEqual(codes);
  });
});

describe('a map of a square', () => {
  it.each([
    ['hard', 0.1, 0.5],
    ['none', 0.9, 1.1],
  ] as const)('with neighbourhood %s has a neighbour ratio between %d and %d', (neighborhood, least, most) => {
    const random = new RandomStream(3);
    const map = new KohonenQuantizer({ codes: 256, size: 2, neighborhood, random });
    for (let step = 0; step < 300; step++) {
      tf.tidy(() => {
        map.forward(tf.tensor2d(random.uniform(4096, { low: -1 }), [2048, 2]));
      });
    }
    const ratio = neighborRatio(map.codebook, map.gridShape);
    expect(ratio).toBeGreaterThan(least);
    expect(ratio).toBeLessThan(most);
  });
});

it('perplexity is the number of codes that are used evenly', () => {
  tf.tidy(() => {
    expect(perplexityOf(tf.tensor1d([4, 4, 4, 0])).dataSync()[0]).toBeCloseTo(3, 5);
  });
});
