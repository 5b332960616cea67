import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { depthBalanced, orderedBatches, SENTENCE_TOKENS, shuffledBatches } from '../../src/index.ts';
import { classificationSet, sentencePairSet } from '../../src/systematic/example-sets.ts';
import { sentenceVocabulary } from '../../src/systematic/sentences.ts';
import { countsOf } from './parts.ts';

const { padding, start, end } = SENTENCE_TOKENS;

/** Example n has the words 3 … and class n. */
const setOf = (lengths: readonly number[], depths: readonly number[] = lengths) =>
  classificationSet(
    lengths.map((length, n) => ({
      input: Array.from({ length }, (_, i) => 3 + i),
      target: n,
      depth: depths[n] as number,
    })),
  );
const someLengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 });

describe('sets of examples', () => {
  test('a batch has sentences from start to end, then padding', () => {
    expect(setOf([1, 3]).take([1, 0])).toEqual({
      batchSize: 2,
      length: 5,
      inputs: Int32Array.of(start, 3, 4, 5, end, start, 3, end, padding, padding),
      inputLengths: Int32Array.of(5, 3),
      targets: Int32Array.of(1, 0),
      depths: Int32Array.of(3, 1),
    });
    const pairs = sentencePairSet([
      { input: [3], target: [4, 5] },
      { input: [6, 7], target: [8] },
    ]);
    expect(pairs.take([0, 1])).toEqual({
      batchSize: 2,
      inputLength: 4,
      targetLength: 4,
      inputs: Int32Array.of(start, 3, end, padding, start, 6, 7, end),
      inputLengths: Int32Array.of(3, 4),
      targets: Int32Array.of(start, 4, 5, end, start, 8, end, padding),
      targetLengths: Int32Array.of(4, 3),
    });
    expect([pairs.inputLengths, pairs.targetLengths]).toEqual([Int32Array.of(3, 4), Int32Array.of(4, 3)]);
  });

  test('refuses an example that is none', () => {
    expect(() => setOf([1, 2]).take([0, 2])).toThrow('example must be an integer from 0 to 1, but is 2');
  });

  test('in order every example comes once', () => {
    fc.assert(
      fc.property(someLengths, fc.integer({ min: 1, max: 50 }), (lengths, batchSize) => {
        const batches = [...orderedBatches(setOf(lengths), { batchSize })];
        expect(batches.flatMap(({ targets }) => [...targets])).toEqual(lengths.map((_, i) => i));
        expect(batches.slice(0, -1).every((batch) => batch.batchSize === batchSize)).toBe(true);
      }),
    );
  });
});

describe('shuffledBatches', () => {
  test('every epoch has every example at most once, in another order; steps can be asked for in any order', () => {
    fc.assert(
      fc.property(someLengths, fc.integer({ min: 1, max: 4 }), fc.nat(99), (lengths, sortedBatches, seed) => {
        const batchSize = Math.min(4, lengths.length);
        const open = () => shuffledBatches(setOf(lengths), { batchSize, sortedBatches, seed });
        const { stepsPerEpoch, batch } = open();
        expect(stepsPerEpoch).toBe(Math.floor(lengths.length / batchSize));
        const epoch = Array.from({ length: stepsPerEpoch }, (_, step) => [...batch(3 * stepsPerEpoch + step).targets]);
        expect(new Set(epoch.flat()).size).toBe(stepsPerEpoch * batchSize);
        expect([...open().batch(3 * stepsPerEpoch).targets]).toEqual(epoch[0]);
      }),
    );
    const { batch } = shuffledBatches(setOf(new Array(100).fill(2)), { batchSize: 100 });
    expect(batch(0).targets).not.toEqual(batch(1).targets);
    expect(batch(0).targets.slice().sort()).toEqual(batch(1).targets.slice().sort());
  });

  test('sorted batches have less padding and the same examples', () => {
    const lengths = Array.from({ length: 400 }, (_, i) => 1 + (i % 20));
    const cost = (sortedBatches: number) => {
      const { stepsPerEpoch, batch } = shuffledBatches(setOf(lengths), { batchSize: 20, sortedBatches });
      const epoch = Array.from({ length: stepsPerEpoch }, (_, step) => batch(step));
      expect(new Set(epoch.flatMap(({ targets }) => [...targets])).size).toBe(400);
      return epoch.reduce((sum, { length }) => sum + length * 20, 0);
    };
    const words = lengths.reduce((sum, length) => sum + length + 2, 0);
    expect(cost(20)).toBe(words);
    expect(cost(1)).toBeGreaterThan(1.5 * words);
  });

  test('sentences can be sorted by other lengths than those of their inputs', () => {
    const pairs = Array.from({ length: 60 }, (_, i) => ({
      input: [3],
      target: new Array<number>(1 + (i % 6)).fill(3),
    }));
    const set = sentencePairSet(pairs);
    const options = { batchSize: 10, sortedBatches: 6 };
    const { stepsPerEpoch, batch } = shuffledBatches(set, { ...options, lengths: set.targetLengths });
    for (let step = 0; step < stepsPerEpoch; step++) expect(new Set(batch(step).targetLengths).size).toBe(1);
    expect(() => shuffledBatches(set, { ...options, lengths: new Int32Array(59) })).toThrow(
      'number of lengths must be an integer from 60 to 60, but is 59',
    );
  });

  test('refuses a batch larger than the set', () => {
    expect(() => shuffledBatches(setOf([1, 2]), { batchSize: 3 })).toThrow(
      'batchSize must be an integer from 1 to 2, but is 3',
    );
  });
});

test('depthBalanced draws every depth equally often, whatever their numbers', () => {
  const depths = Array.from({ length: 100 }, (_, i) => (i < 2 ? 1 : i < 10 ? 2 : 3));
  const task = depthBalanced(setOf(new Array(100).fill(1), depths), { seed: 2 });
  const batch = task.batch(5, 6000);
  for (const count of countsOf(batch.depths).values()) expect(Math.abs(count - 2000)).toBeLessThan(200);
  expect(task.batch(5, 6000)).toEqual(batch);
  expect(task.batch(10, 3000).targets).toEqual(batch.targets.slice(0, 3000));
  expect(new Set(batch.targets).size).toBe(100);
});

test('depthBalanced may give every batch one depth: each depth once before any is repeated', () => {
  const depths = Array.from({ length: 60 }, (_, i) => (i < 4 ? 1 : i < 20 ? 2 : 3));
  const task = depthBalanced(setOf(depths), { seed: 2, oneDepthPerBatch: true });
  const depthsOf = (index: number) => [...new Set(task.batch(index, 16).depths)];
  const order = Array.from({ length: 30 }, (_, index) => depthsOf(index));
  for (const found of order) expect(found).toHaveLength(1);
  for (let index = 0; index < 30; index += 3)
    expect(
      order
        .slice(index, index + 3)
        .flat()
        .sort(),
    ).toEqual([1, 2, 3]);
  expect(
    new Set(
      order
        .map((found) => found.join())
        .join('')
        .match(/.{3}/g),
    ).size,
  ).toBeGreaterThan(1);
  const { inputLengths, length } = task.batch(7, 16);
  expect(new Set(inputLengths)).toEqual(new Set([length]));
  expect(task.batch(7, 16)).toEqual(depthBalanced(setOf(depths), { seed: 2, oneDepthPerBatch: true }).batch(7, 16));
});

test('a vocabulary names its tokens', () => {
  const { size, names, encode, decode } = sentenceVocabulary(['walk', 'twice']);
  expect([size, names]).toEqual([5, ['<pad>', '<start>', '<end>', 'walk', 'twice']]);
  expect([...encode(' walk  twice walk')]).toEqual([3, 4, 3]);
  expect(decode([start, 4, 3, end, padding])).toBe('twice walk');
  expect(() => encode('walk run')).toThrow('The word "run" is not among the 2 of the vocabulary.');
  expect(() => decode([9])).toThrow('There is no token 9; the vocabulary has 5.');
});
