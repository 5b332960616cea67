import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ClassSource,
  fewShot,
  gaussianClasses,
  type Split,
  strokeCharacters,
  withRotations,
} from '../../src/index.ts';
import { digest } from '../digest.ts';

const splits: Split[] = ['train', 'validation', 'test'];

function read({ shape, read }: ClassSource, classIndex: number, example: number): Float32Array {
  const into = new Float32Array(shape.reduce((a, b) => a * b)).fill(Number.NaN);
  read(classIndex, example, into);
  return into;
}
const distance = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0);

describe.each([
  ['strokeCharacters', (seed: number) => strokeCharacters({ seed }), '6c5b6b1429e27774'],
  ['strokeCharacters, 105 pixels', (seed: number) => strokeCharacters({ seed, size: 105 }), '43538cee77aa58c3'],
  ['gaussianClasses', (seed: number) => gaussianClasses({ seed }), '6795db0843c27808'],
] as const)('%s', (_, create, fingerprint) => {
  test('has the same bytes on every platform', () => {
    const { train, test } = create(1);
    expect(digest(read(train, 0, 0), read(train, 17, 3), read(test, 400, 19))).toBe(fingerprint);
  });

  test('an example depends on nothing but its numbers, seed and split; all differ', () => {
    const numbers = [0, 1, 2].flatMap((classIndex) => [0, 1].map((example) => [classIndex, example] as const));
    const all = [1, 2].flatMap((seed) =>
      splits.flatMap((split) => {
        const source = create(seed)[split];
        const examples = numbers.map((of) => digest(read(source, ...of)));
        const backwards = numbers.toReversed().map((of) => digest(read(create(seed)[split], ...of)));
        expect(backwards.toReversed()).toEqual(examples);
        return examples;
      }),
    );
    expect(new Set(all).size).toBe(all.length);
  });
});

describe('strokeCharacters', () => {
  test('a picture has paper, 0, at its border and ink, up to 1, inside', () => {
    const { train } = strokeCharacters({ size: 105, seed: 3 });
    fc.assert(
      fc.property(fc.nat(1027), fc.nat(19), (classIndex, example) => {
        const picture = read(train, classIndex, example);
        expect(new Set(picture)).toEqual(new Set([0, 1]));
        const ink = picture.filter((value) => value === 1).length;
        expect(ink).toBeGreaterThan(50);
        expect(ink).toBeLessThan(2500);
        for (let i = 0; i < 105; i++)
          for (const place of [i, 104 * 105 + i, i * 105, i * 105 + 104]) expect(picture[place]).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('the nearest picture, pixel by pixel, is often, but not always, of the same class', () => {
    const task = fewShot({ classes: strokeCharacters(), ways: 5, shots: 1 });
    const { batchSize, length, examples, labels, targets } = task.batch(0, 150, 'test');
    const size = 28 * 28;
    const at = (place: number) => examples.subarray(place * size, (place + 1) * size);
    let right = 0;
    for (let row = 0; row < batchSize; row++) {
      const query = row * length + length - 1;
      const places = Array.from({ length: length - 1 }, (_, i) => row * length + i);
      const distances = places.map((place) => distance(at(place), at(query)));
      const nearest = places[distances.indexOf(Math.min(...distances))] as number;
      if (labels[nearest] === targets[query]) right++;
    }
    expect(right / batchSize).toBeGreaterThan(0.5);
    expect(right / batchSize).toBeLessThan(0.95);
  });

  test('numbers of classes and examples are options', () => {
    const classes = strokeCharacters({ classes: { train: 7, validation: 0, test: 3 }, examples: 4 });
    expect(splits.map((split) => classes[split].classCount)).toEqual([7, 0, 3]);
    expect(classes.train.exampleCount).toBe(4);
    expect(strokeCharacters().test.classCount).toBe(423);
    expect(() => strokeCharacters({ size: 0 })).toThrow('size must be an integer from 1 to 105, but is 0');
    expect(() => strokeCharacters({ classes: -1 })).toThrow('classes of train must be an integer from 0');
    expect(() => strokeCharacters({ examples: 0 })).toThrow('examples must be an integer from 1');
  });
});

describe('gaussianClasses', () => {
  test('examples have the deviation around their class that was asked for, classes the deviation 1', () => {
    const { train } = gaussianClasses({ size: 8, deviation: 0.5, seed: 1 });
    const examples = Array.from({ length: 300 }, (_, i) => [read(train, i, 0), read(train, i, 1)] as const);
    const within = examples.reduce((sum, [a, b]) => sum + distance(a, b), 0) / (300 * 8);
    const between = examples.slice(1).reduce((sum, [a], i) => sum + distance(a, examples[i]![0]), 0) / (299 * 8);
    // The variance of a difference is the sum of both: 2 σ², and 2 (1 + σ²).
    expect(Math.abs(within - 0.5)).toBeLessThan(0.07);
    expect(Math.abs(between - 2.5)).toBeLessThan(0.35);
    const exact = gaussianClasses({ deviation: 0, classes: 5, examples: 9 }).train;
    expect(read(exact, 4, 8)).toEqual(read(exact, 4, 0));
    expect([exact.classCount, exact.exampleCount, exact.shape]).toEqual([5, 9, [16]]);
  });

  test('refuses options out of range', () => {
    expect(() => gaussianClasses({ size: 0 })).toThrow('size must be an integer of at least 1, but is 0');
    expect(() => gaussianClasses({ deviation: -1 })).toThrow('deviation must be a number of at least 0, but is -1');
    expect(() => gaussianClasses({ classes: 2 ** 32 })).toThrow('classes of train must be an integer from 0');
  });
});

describe('withRotations', () => {
  /** Pixel (row, column) of channel c holds 100 row + 10 column + c. */
  const source: ClassSource = {
    name: 'places',
    shape: [3, 3, 2],
    classCount: 2,
    exampleCount: 1,
    read: (_, __, into) => {
      for (let i = 0; i < into.length; i++) into[i] = 100 * Math.floor(i / 6) + 10 * (Math.floor(i / 2) % 3) + (i % 2);
    },
  };
  const channel = (pixels: Float32Array, c: number) =>
    [0, 1, 2].map((row) => [0, 1, 2].map((column) => pixels[(row * 3 + column) * 2 + c]));

  test('turns pictures by quarters, anticlockwise', () => {
    const rotated = withRotations(source);
    expect([rotated.classCount, rotated.shape, rotated.name]).toEqual([8, [3, 3, 2], 'places/rotated']);
    expect(channel(read(rotated, 1, 0), 0)).toEqual([
      [0, 10, 20],
      [100, 110, 120],
      [200, 210, 220],
    ]);
    expect(channel(read(rotated, 3, 0), 1)).toEqual([
      [21, 121, 221],
      [11, 111, 211],
      [1, 101, 201],
    ]);
    expect(channel(read(rotated, 5, 0), 0).flat()).toEqual(
      channel(read(rotated, 0, 0), 0)
        .flat()
        .reverse(),
    );
    expect(channel(read(rotated, 7, 0), 0).flat()).toEqual(
      channel(read(rotated, 2, 0), 0)
        .flat()
        .reverse(),
    );
  });

  test('refuses what is no square picture', () => {
    expect(() => withRotations(gaussianClasses().train)).toThrow(
      'examples must be square images, but those of gaussian-classes are [16]',
    );
    expect(() => withRotations({ ...source, classCount: 2 ** 30 })).toThrow('four times as many are more than 2^31');
  });
});
