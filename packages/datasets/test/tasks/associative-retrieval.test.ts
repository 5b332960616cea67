import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { associativeRetrieval, type RetrievalBatch } from '../../src/index.ts';
import { digestOf } from '../digest.ts';

const splits = fc.constantFrom('train' as const, 'validation' as const, 'test' as const);
const seeds = fc.integer({ min: 0, max: 1000 });

const rows = (batch: RetrievalBatch, field: 'keys' | 'values' | 'queries' | 'targets' | 'mask') => {
  const width = batch[field].length / batch.batchSize;
  return Array.from({ length: batch.batchSize }, (_, row) => [
    ...batch[field].subarray(row * width, (row + 1) * width),
  ]);
};

describe('associativeRetrieval', () => {
  test('setting 1: keys and values are permutations, sequences as long as there are keys', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), seeds, splits, (keys, seed, split) => {
        const batch = associativeRetrieval({ keys, seed }).batch(2, 3, split);
        const all = Array.from({ length: keys }, (_, i) => i);
        for (const field of ['keys', 'values'] as const) {
          for (const row of rows(batch, field)) expect(row.sort((a, b) => a - b)).toEqual(all);
        }
      }),
    );
  });

  test('setting 2: training sequences are twice as long as there are keys, evaluation sequences as long', () => {
    const task = associativeRetrieval({ keys: 30, replace: true });
    expect(task.lengths).toEqual({ train: 60, validation: 30, test: 30 });
    const batch = task.batch(0, 50);
    expect([...new Set(batch.keys)].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(rows(batch, 'keys').some((row) => new Set(row).size < 30)).toBe(true);
  });

  test('the target of every query is the value that the key was given last', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.boolean(), seeds, splits, (keys, replace, seed, split) => {
        const batch = associativeRetrieval({ keys, replace, seed }).batch(1, 4, split);
        const [keyRows, valueRows] = [rows(batch, 'keys'), rows(batch, 'values')];
        rows(batch, 'queries').forEach((queries, row) => {
          const memory = new Map(keyRows[row]?.map((key, i) => [key, valueRows[row]?.[i]]));
          const mask = rows(batch, 'mask')[row] as number[];
          const asked = queries.filter((_, i) => mask[i] === 1);
          const targets = rows(batch, 'targets')[row] as number[];
          expect(targets.filter((_, i) => mask[i] === 1)).toEqual(asked.map((key) => memory.get(key)));
          if (split === 'train') expect(asked).toHaveLength(1);
          else expect(asked).toEqual([...memory.keys()].sort((a, b) => a - b));
        });
      }),
    );
  });

  test('an evaluation sequence has at most 200 queries', () => {
    const task = associativeRetrieval({ keys: 260 });
    expect(task.queryCounts).toEqual({ train: 1, validation: 200, test: 200 });
    const batch = task.batch(0, 2, 'validation');
    expect([batch.queries.length, batch.mask.every((weight) => weight === 1)]).toEqual([400, true]);
  });

  test('the queried position of training is uniform', () => {
    const keys = 8;
    const batch = associativeRetrieval({ keys, seed: 4 }).batch(0, 8000);
    const counts = new Array<number>(keys).fill(0);
    rows(batch, 'keys').forEach((row, i) => {
      (counts[row.indexOf(batch.queries[i] as number)] as number)++;
    });
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });

  test('has the same bytes on every platform', () => {
    expect(digestOf(associativeRetrieval({ keys: 100, seed: 1 }).batch(0, 32))).toBe('764da1f9cf23b921');
    expect(digestOf(associativeRetrieval({ keys: 40, replace: true, seed: 1 }).batch(7, 20, 'validation'))).toBe(
      'aa8794abcd1d063c',
    );
  });

  test('refuses what it cannot generate', () => {
    expect(() => associativeRetrieval({ keys: 0 })).toThrow('keys must be an integer from 1 to 2147483648, but is 0');
    expect(() => associativeRetrieval({ keys: 10, trainLength: 11 })).toThrow(
      'trainLength must be an integer from 1 to 10',
    );
    expect(() => associativeRetrieval({ keys: 10, values: 5 })).toThrow('trainLength must be an integer from 1 to 5');
    expect(() => associativeRetrieval({ keys: 10 }).batch(-1, 4)).toThrow('index must be an integer of at least 0');
    expect(() => associativeRetrieval({ keys: 10 }).batch(0, 0)).toThrow('batchSize must be an integer of at least 1');
  });
});
