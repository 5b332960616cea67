/** What every task promises, whatever it is about. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  associativeRecall,
  associativeRetrieval,
  batches,
  codeExecution,
  copy,
  copyReleased,
  copyStrict,
  delayedRecall,
  fewShot,
  formalLanguage,
  gaussianClasses,
  listOps,
  modularArithmetic,
  multiQueryAssociativeRecall,
  parity,
  randomCrops,
  type Split,
  selectiveCopy,
  sequentialFewShot,
  strokeCharacters,
  type Task,
  vectorRecall,
  wordProblem,
} from '../../src/index.ts';
import { digestOf } from '../digest.ts';

const tokens = Int32Array.from({ length: 1_000_000 }, (_, i) => i);

const vectorClasses = [gaussianClasses(), gaussianClasses({ deviation: 1 })];

/** Each task by its seed, and the fingerprint of its first training batch of four with seed 1. */
const tasks: [string, (seed: number) => Task<object>, string][] = [
  ['associativeRecall', (seed) => associativeRecall({ seed }), 'aa2efef1fd882ec4'],
  ['associativeRetrieval, setting 1', (seed) => associativeRetrieval({ keys: 20, seed }), 'a20617df19410c8e'],
  [
    'associativeRetrieval, setting 2',
    (seed) => associativeRetrieval({ keys: 20, replace: true, seed }),
    'b4b2c7465b5e7707',
  ],
  ['codeExecution', (seed) => codeExecution({ statements: 20, seed }), 'aa8eff30a6d89a8d'],
  ['copy', (seed) => copy({ count: 10, blanks: 5, seed }), '3e5c10d5220becef'],
  ['copyReleased', (seed) => copyReleased({ seed }), '04ce8ea0691b47fe'],
  ['copyStrict', (seed) => copyStrict({ seed }), '925b86f8bc4d04aa'],
  ['delayedRecall', (seed) => delayedRecall({ seed }), '28511f3305f4e15e'],
  [
    'formalLanguage',
    (seed) => formalLanguage({ language: 'shuffle-2', trainLengths: [40, 60], seed }),
    'f336bd861c490756',
  ],
  ['fewShot', (seed) => fewShot({ classes: strokeCharacters({ size: 14 }), seed }), '2f3637b775c557b9'],
  ['listOps', (seed) => listOps({ depth: 5, seed }), '7d84ed098b910b22'],
  ['modularArithmetic', (seed) => modularArithmetic({ seed }), '545e02243779ed2f'],
  ['multiQueryAssociativeRecall', (seed) => multiQueryAssociativeRecall({ seed }), 'f45e7270e4dfb9e8'],
  ['parity', (seed) => parity({ seed }), '383158a4213ef827'],
  ['randomCrops', (seed) => randomCrops(tokens, { length: 20, seed }), 'e663955830a983f5'],
  ['selectiveCopy', (seed) => selectiveCopy({ count: 10, blanks: 20, seed }), 'bf0807bafc8ff2aa'],
  [
    'sequentialFewShot',
    (seed) => sequentialFewShot({ classes: vectorClasses, ways: 3, shots: 3, seed }),
    '792a6aff19bdeb21',
  ],
  ['vectorRecall', (seed) => vectorRecall({ keys: 8, reassignments: 8, seed }), 'cb3d8c38a23ed606'],
  ['wordProblem', (seed) => wordProblem({ seed }), '3cf0391e88cbd136'],
];

test('batches gives the batches of a task one after the other', () => {
  const task = copy({ count: 3 });
  const some = [...batches(task, { batchSize: 2, split: 'test', begin: 4, end: 7 })];
  expect(some).toEqual([4, 5, 6].map((index) => task.batch(index, 2, 'test')));
  const [first] = batches(task, { batchSize: 2 });
  expect(first).toEqual(task.batch(0, 2));
});

/** The typed arrays of a batch, cut into its rows. */
function rowsOf(batch: object): string[] {
  const { batchSize } = batch as { batchSize: number };
  const arrays = Object.values(batch).filter((value): value is Int32Array => ArrayBuffer.isView(value));
  return Array.from({ length: batchSize }, (_, row) =>
    arrays
      .map((array) => array.subarray((row * array.length) / batchSize, ((row + 1) * array.length) / batchSize))
      .join(' '),
  );
}

describe.each(tasks)('%s', (_, create, fingerprint) => {
  const splits: Split[] = ['train', 'validation', 'test'];

  test('has the same bytes on every platform', () => {
    expect(digestOf(create(1).batch(0, 4))).toBe(fingerprint);
  });

  test('a batch depends on nothing but seed, split and index', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1e9), fc.constantFrom(...splits), (seed, index, split) => {
        const task = create(seed);
        const batch = task.batch(index, 2, split);
        task.batch(index + 1, 3, 'train');
        expect(task.batch(index, 2, split)).toEqual(batch);
        expect(create(seed).batch(index, 2, split)).toEqual(batch);
      }),
      { numRuns: 20 },
    );
  });

  test('a large batch is small ones, one after the other', () => {
    const task = create(3);
    const small = [0, 1, 2].flatMap((index) => rowsOf(task.batch(index, 2)));
    expect(rowsOf(task.batch(0, 6))).toEqual(small);
  });

  test('seeds, splits and sequences differ', () => {
    const rows = [1, 2].flatMap((seed) => splits.flatMap((split) => rowsOf(create(seed).batch(0, 6, split))));
    expect(new Set(rows).size).toBe(rows.length);
  });

  test('refuses an index, batch size or split that is none', () => {
    const task = create(0);
    expect(() => task.batch(-1, 2)).toThrow('index must be an integer of at least 0, but is -1');
    expect(() => task.batch(0, 1.5)).toThrow('batchSize must be an integer of at least 1, but is 1.5');
    expect(() => task.batch(0, 1, 'dev' as Split)).toThrow('split must be one of train, validation, test, but is dev');
    expect(() => create(-1).batch(0, 1)).toThrow('seed must be an integer from 0');
  });
});
