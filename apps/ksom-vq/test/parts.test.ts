/** The parts of the experiments: convergence, perturbation, vectors, pictures as tensors and as files. */

import { dispose, init, RandomStream } from '@fwp/core';
import { proceduralImages, takeImages } from '@fwp/datasets';
import * as tf from '@tensorflow/tfjs-core';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contactSheet } from '../src/contact-sheet.ts';
import { firstWithin, isEvaluated, lossAt } from '../src/convergence.ts';
import { standardized, symmetric } from '../src/image-tensors.ts';
import { perturbed } from '../src/perturbation.ts';
import { colourGrid, mapThroughPoints } from '../src/vector-pictures.ts';
import { createVectorSource, VECTOR_SOURCES } from '../src/vector-sources.ts';

beforeAll(() => init({ device: 'wasm', threads: 1 }));
afterAll(dispose);

describe('convergence', () => {
  const evaluations = [100, 200, 300, 400].map((step, i) => ({ step, loss: [2, 1.15, 1, 1.05][i] as number }));

  it('is the first step near the best loss of the run', () => {
    expect([firstWithin(evaluations, 0.1), firstWithin(evaluations, 0.2), firstWithin(evaluations, 2)]).toEqual([
      300, 200, 100,
    ]);
  });

  it('knows the last loss up to a step, and none from after it', () => {
    expect([lossAt(evaluations, 250), lossAt(evaluations, 300), lossAt(evaluations, 999)]).toEqual([1.15, 1, 1.05]);
    expect([lossAt(evaluations, 50), lossAt([], 50), firstWithin([], 0.1)]).toEqual(Array(3).fill(Number.NaN));
  });

  it.each([
    [{ steps: 300, evaluateEvery: 100, earlyStep: 200 }, [100, 200, 300]],
    [{ steps: 250, evaluateEvery: 100, earlyStep: 30 }, [30, 100, 200, 250]],
    [{ steps: 60, evaluateEvery: 1000, earlyStep: 30 }, [30, 60]],
    [{ steps: 60, evaluateEvery: 1000, earlyStep: 1000 }, [60]],
  ])('validates every so many steps, where early errors are measured, and at the end: %o', (times, expected) => {
    const steps = Array.from({ length: times.steps }, (_, i) => i + 1);
    expect(steps.filter((step) => isEvaluated(step, times))).toEqual(expected);
  });
});

describe('perturbation', () => {
  it.each([[[4, 3]], [[12]], [[1, 12]], [[3, 2, 2]]])('moves every index by one step on a grid of %j', (gridShape) => {
    const indices = Int32Array.from({ length: 1200 }, (_, i) => i % 12);
    const moved = perturbed(indices, gridShape, new RandomStream(1));
    const strides = gridShape.map((_, axis) => gridShape.slice(0, axis).reduce((a, b) => a * b, 1));
    moved.forEach((to, i) => {
      const from = indices[i] as number;
      const steps = gridShape.map((size, axis) => {
        const place = (code: number) => Math.floor(code / (strides[axis] as number)) % size;
        return Math.abs(place(to) - place(from));
      });
      expect(steps.reduce((a, b) => a + b)).toBe(1);
    });
  });

  it('leaves the only code of a grid where it is', () => {
    expect([...perturbed([0, 0], [1, 1], new RandomStream(1))]).toEqual([0, 0]);
  });
});

describe('vectors', () => {
  it.each(VECTOR_SOURCES)(
    '%s are about as large as the cube, the same for the same seed, and free what they hold',
    (name) => {
      const before = tf.memory().numTensors;
      const draw = (seed: number) => {
        const source = createVectorSource(name, 1, new RandomStream(1));
        const drawn = source.draw(500, new RandomStream(seed));
        const values = drawn.dataSync();
        expect(drawn.shape).toEqual([500, 3]);
        drawn.dispose();
        source.dispose();
        return values;
      };
      const values = draw(2);
      expect(Math.max(...values.map(Math.abs))).toBeLessThan(2);
      expect(Math.max(...values.map(Math.abs))).toBeGreaterThan(0.8);
      expect(draw(2)).toEqual(values);
      expect(draw(3)).not.toEqual(values);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it('are drawn as pictures', () => {
    const codebook = [-1, -1, -1, 1, 1, 1, 1, -1, 5, 0, 0, 0];
    const picture = colourGrid('title', codebook, [2, 2]);
    expect(picture).toContain('fill="rgb(0,0,0)"');
    expect(picture).toContain('fill="rgb(255,0,255)"');
    expect(picture.match(/<rect x/g)).toHaveLength(4);
    const map = mapThroughPoints('title', codebook, [0, 0, 0], 3, [2, 2]);
    expect(map.match(/<circle/g)).toHaveLength(5);
    expect(map.match(/M[\d.]+ [\d.]+L/g)).toHaveLength(4);
  });
});

describe('pictures', () => {
  const batch = takeImages(proceduralImages({ size: 8 }).train, [0, 1]);

  it.each([
    ['symmetric', symmetric(3)],
    ['standardized', standardized({ mean: [100, 120, 90], standardDeviation: [60, 50, 0] })],
  ])('become tensors and bytes again: %s', async (_name, scale) => {
    const tensor = scale.toTensor(batch);
    expect(tensor.shape).toEqual([2, 8, 8, 3]);
    expect(await scale.toBytes(tensor)).toEqual(batch.pixels);
    tensor.dispose();
  });

  it('make a sheet that can be read', () => {
    const { width, height, channels, data } = decode(contactSheet(batch, 2));
    // Enlarged six times, with a margin of 2 pixels around each.
    expect([width, height, channels]).toEqual([2 * 50 + 2, 52, 3]);
    const pixel = (x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    expect(pixel(0, 0)).toEqual([255, 255, 255]);
    expect(pixel(2, 2)).toEqual([...batch.pixels.subarray(0, 3)]);
    expect(pixel(2 + 50 + 6, 2)).toEqual([...batch.pixels.subarray(8 * 8 * 3 + 3, 8 * 8 * 3 + 6)]);
  });
});
