import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatBelow } from '../../src/random/distributions.ts';
import { RandomStream } from '../../src/random/index.ts';
import { erf } from '../reference/elementwise.ts';

const count = 200_000;

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / values.length;
}

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [(a[i] as number) - meanA, (b[i] as number) - meanB];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

/** Kolmogorov and Smirnov's statistic times √n; above 2 has probability 7e-4 if the distribution is right. */
function distance(values: ArrayLike<number>, distribution: (x: number) => number): number {
  const sorted = Float64Array.from(values).sort();
  let worst = 0;
  sorted.forEach((value, i) => {
    const p = distribution(value);
    worst = Math.max(worst, Math.abs(p - i / sorted.length), Math.abs(p - (i + 1) / sorted.length));
  });
  return worst * Math.sqrt(sorted.length);
}

/** χ² of counts that should be equal, in standard deviations from its expectation. */
function chiSquareDeviation(counts: readonly number[]): number {
  const expected = counts.reduce((sum, n) => sum + n, 0) / counts.length;
  const chiSquare = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  const freedom = counts.length - 1;
  return (chiSquare - freedom) / Math.sqrt(2 * freedom);
}

const normalDistribution = (x: number): number => (1 + erf(x / Math.SQRT2)) / 2;

describe('a random stream', () => {
  it('repeats itself for the same seed and differs for another', () => {
    expect(new RandomStream(7).bits(100)).toEqual(new RandomStream(7).bits(100));
    expect(new RandomStream(7).bits(100)).not.toEqual(new RandomStream(8).bits(100));
    expect(new RandomStream(-1).bits(4)).toEqual(new RandomStream(2n ** 64n - 1n).bits(4));
  });

  it('continues from its state, which survives JSON', () => {
    const stream = new RandomStream(3).split('data');
    stream.normal(11);
    const state = JSON.parse(JSON.stringify(stream.state));
    const expected = stream.bits(50);
    expect(RandomStream.fromState(state).bits(50)).toEqual(expected);
    stream.state = state;
    expect(stream.bits(50)).toEqual(expected);
  });

  it('a state is a copy: drawing or changing it does not reach the stream', () => {
    const stream = new RandomStream(1);
    const state = stream.state;
    (state.key as [number, number])[0] = 99;
    expect(stream.state.key).toEqual([1, 0]);
  });

  it('jumps to any block in constant time', () => {
    const words = new RandomStream(5).bits(4000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 990 }), (block) => {
        const stream = new RandomStream(5);
        stream.position = block;
        expect(stream.bits(8)).toEqual(words.slice(block * 4, block * 4 + 8));
        expect(stream.position).toBe(block + 2);
      }),
    );
    const far = new RandomStream(5);
    far.position = 2 ** 40;
    expect(far.bits(4)).not.toEqual(words.slice(0, 4));
  });

  it('splitting depends on names and seed only, and names do not collide', () => {
    const parent = new RandomStream(1);
    const before = parent.split('a').bits(8);
    parent.bits(1000);
    expect(parent.split('a').bits(8)).toEqual(before);
    const names = ['a', 'b', 'ab', 'a\0', '', '1', 1, 2, 'dropout/0', 'dropout/1', 'x'.repeat(8), 'x'.repeat(9)];
    const streams = [parent, ...names.map((name) => parent.split(name)), parent.split('a').split('b')];
    const firsts = streams.map((stream) =>
      RandomStream.fromState({ ...stream.state, position: 0 })
        .bits(4)
        .join(),
    );
    expect(new Set(firsts).size).toBe(firsts.length);
  });

  it('streams of different names, seeds and neighbouring keys are uncorrelated', () => {
    const root = new RandomStream(0);
    const samples = [
      root.split('a'),
      root.split('b'),
      root.split(0),
      root.split(1),
      new RandomStream(0),
      new RandomStream(1),
    ].map((stream) => stream.uniform(50_000));
    samples.forEach((a, i) => {
      for (const b of samples.slice(i + 1)) expect(Math.abs(correlation(a, b))).toBeLessThan(4.5 / Math.sqrt(50_000));
    });
  });

  it.each([
    [() => new RandomStream(0.5), /seed is 0.5/],
    [() => new RandomStream().split('x').uniform(3, { low: 1, high: 1 }), /low is 1 and high 1/],
    [() => new RandomStream().normal(3, { standardDeviation: -1 }), /standardDeviation -1/],
    [() => new RandomStream().bernoulli(3, 1.5), /probability is 1.5/],
    [() => new RandomStream().integers(3, 0, 2 ** 32), /high 4294967296/],
    [() => new RandomStream().bits(-1), /count is -1/],
    [() => RandomStream.fromState({ algorithm: 'other' } as never), /cannot restore/],
    [() => RandomStream.fromState({ ...new RandomStream().state, position: 0.5 }), /position is 0.5/],
  ])('refuses impossible arguments and says which: %s', (call, message) => {
    expect(call).toThrow(message);
  });
});

describe('distributions', () => {
  const stream = new RandomStream(2024);

  it('every bit is set half of the time, and neighbours are independent', () => {
    const words = stream.split('bits').bits(count);
    const ones = new Array<number>(32).fill(0);
    for (const word of words) for (let b = 0; b < 32; b++) ones[b]! += (word >>> b) & 1;
    for (const n of ones) expect(Math.abs(n - count / 2)).toBeLessThan(4.5 * Math.sqrt(count / 4));
    for (const lag of [1, 2, 3, 4, 5, 8]) {
      expect(Math.abs(correlation(words.subarray(lag), words.subarray(0, count - lag)))).toBeLessThan(
        4.5 / Math.sqrt(count),
      );
    }
  });

  it('uniform numbers fill [low, high) evenly and never reach high', () => {
    const values = stream.split('uniform').uniform(count, { low: -1, high: 3 });
    expect(distance(values, (x) => (x + 1) / 4)).toBeLessThan(2);
    const tight = stream.split('tight').uniform(count, { low: 1, high: 1 + 2 ** -22 });
    expect(new Set(tight)).toEqual(new Set([0, 1].map((i) => 1 + i * 2 ** -23)));
    expect(stream.uniform(1000, { high: 1e-40 }).every((x) => x >= 0 && x < 1e-40)).toBe(true);
  });

  it('normal numbers have the normal distribution, also pairwise', () => {
    const values = stream.split('normal').normal(count);
    expect(distance(values, normalDistribution)).toBeLessThan(2);
    const first = values.filter((_, i) => i % 2 === 0);
    const second = values.filter((_, i) => i % 2 === 1);
    expect(Math.abs(correlation(first, second))).toBeLessThan(4.5 / Math.sqrt(count / 2));
    expect(
      Math.abs(
        correlation(
          first.map((x) => x * x),
          second.map((x) => x * x),
        ),
      ),
    ).toBeLessThan(4.5 / Math.sqrt(count / 2));
    const kurtosis = meanOf(values.map((x) => x ** 4));
    expect(Math.abs(kurtosis - 3)).toBeLessThan(4.5 * Math.sqrt(96 / count));
    // The tails are there: P(|x| > 3) = 0.0027.
    expect(values.filter((x) => Math.abs(x) > 3).length / count).toBeCloseTo(0.0027, 3);
  });

  it('mean and standard deviation scale and shift', () => {
    const plain = stream.split('n').normal(100);
    const scaled = stream.split('n').normal(100, { mean: 3, standardDeviation: 0.5 });
    scaled.forEach((value, i) => {
      expect(value).toBe(Math.fround(Math.fround(plain[i]! * 0.5) + 3));
    });
  });

  it('truncated normal numbers are normal within two standard deviations', () => {
    const values = stream.split('truncated').truncatedNormal(count);
    expect(values.every((x) => Math.abs(x) <= 2)).toBe(true);
    const [low, high] = [normalDistribution(-2), normalDistribution(2)];
    expect(distance(values, (x) => (normalDistribution(x) - low) / (high - low))).toBeLessThan(2);
  });

  it.each([0, 1e-3, 0.3, 1])('successes of probability %d are that frequent', (p) => {
    const frequency = meanOf(stream.split('bernoulli').bernoulli(count, p));
    if (p === 0 || p === 1) expect(frequency).toBe(p);
    else expect(Math.abs(frequency - p)).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / count));
  });

  it('integers hit every value equally often, and the whole range of int32', () => {
    const counts = new Array<number>(7).fill(0);
    for (const value of stream.split('integers').integers(count, -3, 4)) counts[value + 3]!++;
    expect(Math.abs(chiSquareDeviation(counts))).toBeLessThan(4.5);
    const wide = stream.integers(1000, -(2 ** 31), 2 ** 31);
    expect(Math.min(...wide)).toBeLessThan(-2e9);
    expect(Math.max(...wide)).toBeGreaterThan(2e9);
  });

  it('permutations hold every element once, and all orders are equally frequent', () => {
    const permutation = stream.permutation(1000);
    expect([...permutation].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = stream.permutation(4).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(Math.abs(chiSquareDeviation([...counts.values()]))).toBeLessThan(4.5);
    expect([...stream.permutation(0)]).toEqual([]);
    expect([...stream.permutation(1)]).toEqual([0]);
  });

  it('single numbers are in [0, 1) and evenly distributed', () => {
    const single = stream.split('single');
    const values = Array.from({ length: 20_000 }, () => single.next());
    expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(distance(values, (x) => x)).toBeLessThan(2);
  });

  it('the float below a number is its neighbour', () => {
    expect(floatBelow(1)).toBe(1 - 2 ** -24);
    expect(floatBelow(0)).toBe(-(2 ** -149));
    expect(floatBelow(-1)).toBe(-(1 + 2 ** -23));
    expect(floatBelow(0.1)).toBeLessThan(0.1);
    expect(floatBelow(1 / 3)).toBe(Math.fround(1 / 3) > 1 / 3 ? 0.3333333134651184 : Math.fround(1 / 3));
  });
});
