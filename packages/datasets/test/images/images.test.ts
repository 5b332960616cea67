/** Sets of pictures, their batches, and the pictures that are made up. */

import { describe, expect, it } from 'vitest';
import {
  channelStatistics,
  type ImageSet,
  imageSubset,
  proceduralImages,
  shuffledImages,
  takeImages,
} from '../../src/index.ts';
import { digest } from '../digest.ts';

/** Grey pictures of 2 × 2 pixels: picture n is n, n + 1, n + 2, n + 3. */
const counting: ImageSet = {
  ...{ name: 'counting', height: 2, width: 2, channels: 1, count: 10 },
  labels: Uint8Array.from({ length: 10 }, (_, i) => i % 3),
  read: (index, into) => into.set([index, index + 1, index + 2, index + 3]),
};

describe('sets of pictures', () => {
  it('give the pictures that are asked for', () => {
    const { pixels, indices, batchSize } = takeImages(counting, [7, 0]);
    expect([...pixels]).toEqual([7, 8, 9, 10, 0, 1, 2, 3]);
    expect([[...indices], batchSize]).toEqual([[7, 0], 2]);
    expect(() => takeImages(counting, [10])).toThrow(/counting: number of a picture must be an integer from 0 to 9/);
  });

  it('give each picture once in an epoch, in another order each time and for each seed', () => {
    const batch = shuffledImages(counting, { batchSize: 5, seed: 1 });
    const epoch = (number: number) => [2 * number, 2 * number + 1].flatMap((index) => [...batch(index).indices]);
    for (const number of [0, 1])
      expect(epoch(number).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(epoch(0)).not.toEqual(epoch(1));
    expect([...shuffledImages(counting, { batchSize: 5, seed: 2 })(0).indices]).not.toEqual([...batch(0).indices]);
    expect([...batch(0).indices]).toEqual(epoch(0).slice(0, 5));
    expect(() => shuffledImages(counting, { batchSize: 11 })).toThrow(/batchSize must be an integer from 1 to 10/);
  });

  it('tell mean and standard deviation', () => {
    const { mean, standardDeviation } = channelStatistics(counting, 2);
    expect(mean).toEqual([2]);
    expect(standardDeviation[0]).toBeCloseTo(Math.sqrt(1.5), 12);
  });

  it('have subsets', () => {
    const subset = imageSubset(counting, 'part', Int32Array.of(3, 9));
    expect([subset.count, ...(subset.labels as Uint8Array)]).toEqual([2, 0, 0]);
    expect([...takeImages(subset, [1]).pixels]).toEqual([9, 10, 11, 12]);
  });
});

describe('proceduralImages', () => {
  it('gives the same bytes everywhere', () => {
    const { train, test } = proceduralImages({ seed: 3 });
    expect(digest(takeImages(train, [0, 1, 49_999]).pixels)).toBe('8ecf281c430f8c30');
    expect(digest(takeImages(test, [0]).pixels)).toBe('a1a9adeb2803c55d');
  });

  it('has other pictures for each number, split and seed', () => {
    const first = (seed: number) => proceduralImages({ seed, size: 8 });
    const pictures = [
      takeImages(first(1).train, [0]),
      takeImages(first(1).train, [1]),
      takeImages(first(1).test, [0]),
      takeImages(first(2).train, [0]),
    ];
    expect(new Set(pictures.map(({ pixels }) => digest(pixels))).size).toBe(4);
  });

  it('uses the whole range, and neighbours are alike', () => {
    const { pixels } = takeImages(
      proceduralImages().train,
      Array.from({ length: 50 }, (_, i) => i),
    );
    const { mean, standardDeviation } = channelStatistics(proceduralImages().train, 50);
    for (const channel of [0, 1, 2]) {
      expect(mean[channel]).toBeGreaterThan(80);
      expect(mean[channel]).toBeLessThan(175);
      expect(standardDeviation[channel]).toBeGreaterThan(40);
    }
    let steps = 0;
    for (let i = 3; i < pixels.length; i++) steps += Math.abs((pixels[i] as number) - (pixels[i - 3] as number));
    expect(steps / pixels.length).toBeLessThan(25);
  });

  it('refuses what it cannot do', () => {
    expect(() => proceduralImages({ size: 0 })).toThrow(/size must be an integer from 1 to 4096/);
    expect(() => proceduralImages({ counts: { train: -1, validation: 1, test: 1 } })).toThrow(/counts of train/);
  });
});
