import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contiguousBatches, randomCrops, slidingWindows, type TokenBatch } from '../src/index.ts';

/** Token i is i, so that a batch shows where it was cut. */
const ramp = (length: number) => Int32Array.from({ length }, (_, i) => i);
const row = (array: ArrayLike<number>, { length }: TokenBatch, index: number) =>
  Array.from(array).slice(index * length, (index + 1) * length);

describe('contiguousBatches', () => {
  test('every row goes on where it ended in the step before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 9 }), fc.nat(200), (size, length, more) => {
        const batches = contiguousBatches(ramp(size * length + 1 + more), { batchSize: size, length });
        let previous = batches.batch(0);
        expect(previous.isStart).toBe(true);
        for (let step = 1; step < batches.stepsPerEpoch; step++) {
          const batch = batches.batch(step);
          expect(batch.isStart).toBe(false);
          for (let b = 0; b < size; b++) {
            expect(row(batch.inputs, batch, b)[0]).toBe(row(previous.targets, previous, b)[length - 1]);
          }
          previous = batch;
        }
      }),
    );
  });

  test('targets are the inputs one token later, and no token is an input twice', () => {
    const batches = contiguousBatches(ramp(100), { batchSize: 3, length: 4 });
    expect(batches.stepsPerEpoch).toBe(8);
    const inputs: number[] = [];
    for (let step = 0; step < 8; step++) {
      const batch = batches.batch(step);
      expect([...batch.targets]).toEqual(Array.from(batch.inputs, (token) => token + 1));
      expect(batch.mask.every((weight) => weight === 1)).toBe(true);
      inputs.push(...batch.inputs);
    }
    expect(new Set(inputs).size).toBe(96);
  });

  test('begins anew after an epoch; steps can be asked for in any order', () => {
    const batches = contiguousBatches(ramp(100), { batchSize: 3, length: 4 });
    const late = batches.batch(17);
    expect([late.epoch, late.isStart]).toEqual([2, false]);
    expect(late.inputs).toEqual(batches.batch(1).inputs);
    expect(batches.batch(16)).toEqual({ ...batches.batch(0), epoch: 2 });
  });

  test('too few tokens are an error that says how many are needed', () => {
    expect(() => contiguousBatches(ramp(12), { batchSize: 3, length: 4 })).toThrow(
      '13 tokens are needed, but there are 12',
    );
    expect(contiguousBatches(ramp(13), { batchSize: 3, length: 4 }).stepsPerEpoch).toBe(1);
  });
});

describe('randomCrops', () => {
  test('cuts pieces from everywhere, the same for the same index', () => {
    const crops = randomCrops(ramp(20), { length: 5, seed: 2 });
    const batch = crops.batch(3, 400);
    const begins = new Set<number>();
    for (let b = 0; b < 400; b++) {
      const inputs = row(batch.inputs, batch, b);
      const begin = inputs[0] as number;
      begins.add(begin);
      expect(inputs).toEqual([0, 1, 2, 3, 4].map((i) => begin + i));
      expect(row(batch.targets, batch, b)).toEqual([1, 2, 3, 4, 5].map((i) => begin + i));
    }
    expect([...begins].sort((a, b) => a - b)).toEqual([...ramp(15)]);
    expect(randomCrops(ramp(20), { length: 5, seed: 2 }).batch(3, 400)).toEqual(batch);
    expect(crops.batch(4, 400)).not.toEqual(batch);
  });

  test('a single piece is the only one', () => {
    expect([...randomCrops(ramp(4), { length: 3 }).batch(9, 1).targets]).toEqual([1, 2, 3]);
    expect(() => randomCrops(ramp(3), { length: 3 })).toThrow('4 tokens are needed, but there are 3');
  });
});

describe('slidingWindows', () => {
  test('every token but the first counts once, with at least length − stride tokens of context', () => {
    const sizes = fc.record({
      length: fc.integer({ min: 1, max: 12 }),
      more: fc.nat(40),
      stride: fc.integer({ min: 1, max: 12 }),
      batchSize: fc.integer({ min: 1, max: 7 }),
    });
    fc.assert(
      fc.property(sizes, ({ length, more, stride: wanted, batchSize }) => {
        const stride = Math.min(wanted, length);
        const total = length + 1 + more;
        const windows = slidingWindows(ramp(total), { length, stride });
        const counted: number[] = [];
        for (let i = 0; i * batchSize < windows.count; i++) {
          const batch = windows.batch(i, batchSize);
          batch.targets.forEach((target, place) => {
            expect(target).toBe((batch.inputs[place] as number) + 1);
            if (batch.mask[place] !== 1) return;
            counted.push(target);
            const isFirst = i === 0 && place < length;
            if (!isFirst) expect(place % length).toBeGreaterThanOrEqual(length - stride);
          });
        }
        expect(counted).toEqual(Array.from({ length: total - 1 }, (_, i) => i + 1));
        expect(windows.predictions).toBe(total - 1);
      }),
    );
  });

  test('refuses a stride beyond the window and an index beyond the end', () => {
    expect(() => slidingWindows(ramp(9), { length: 4, stride: 5 })).toThrow('stride must be an integer from 1 to 4');
    expect(() => slidingWindows(ramp(9), { length: 4 }).batch(5, 1)).toThrow('index must be an integer from 0 to 4');
  });
});
