import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type VectorRecallBatch, vectorRecall } from '../../src/index.ts';

/** The vectors of the first sequence. */
const vectors = (array: Float32Array, size: number, count: number) =>
  Array.from({ length: count }, (_, i) => array.subarray(i * size, (i + 1) * size));
const dot = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, component, i) => sum + component * (b[i] as number), 0);

/** Writes all pairs with the outer-product rule v − W k (delta) or v (sum) and returns the mean squared error of the reads. */
function recallError(
  { keys, values, queries, targets }: VectorRecallBatch,
  size: number,
  rule: 'sum' | 'delta',
): number {
  const memory = Array.from({ length: size }, () => new Float32Array(size));
  const written = vectors(values, size, values.length / size);
  vectors(keys, size, keys.length / size).forEach((key, t) => {
    memory.forEach((weights, i) => {
      const old = rule === 'delta' ? dot(weights, key) : 0;
      const change = ((written[t] as Float32Array)[i] as number) - old;
      key.forEach((component, j) => {
        weights[j] = (weights[j] as number) + change * component;
      });
    });
  });
  const expected = vectors(targets, size, targets.length / size);
  const errors = vectors(queries, size, queries.length / size).map((query, n) =>
    memory.reduce(
      (sum, weights, i) => sum + (dot(weights, query) - ((expected[n] as Float32Array)[i] as number)) ** 2,
      0,
    ),
  );
  return errors.reduce((a, b) => a + b) / errors.length;
}

describe('vectorRecall', () => {
  test('keys have norm 1; queries are the keys; targets are the latest values', () => {
    const sizes = fc.record({
      keys: fc.integer({ min: 1, max: 6 }),
      keySize: fc.integer({ min: 2, max: 9 }),
      valueSize: fc.integer({ min: 1, max: 9 }),
      reassignments: fc.nat(10),
      values: fc.constantFrom('one-hot' as const, 'normal' as const),
      seed: fc.nat(1000),
    });
    fc.assert(
      fc.property(sizes, (options) => {
        const { keys: count, keySize, valueSize, reassignments } = options;
        const batch = vectorRecall(options).batch(0, 1);
        expect(batch.length).toBe(count + reassignments);
        const keys = vectors(batch.keys, keySize, batch.length);
        const values = vectors(batch.values, valueSize, batch.length);
        const memory = new Map(keys.map((key, t) => [key.join(), (values[t] as Float32Array).join()]));
        for (const key of keys) expect(Math.abs(dot(key, key) - 1)).toBeLessThan(1e-6);
        const queries = vectors(batch.queries, keySize, count).map((query) => query.join());
        expect(new Set(queries)).toEqual(new Set(memory.keys()));
        const targets = vectors(batch.targets, valueSize, count).map((target) => target.join());
        expect(targets).toEqual(queries.map((query) => memory.get(query)));
        if (options.values === 'one-hot')
          for (const value of values) expect([dot(value, value), Math.max(...value)]).toEqual([1, 1]);
      }),
    );
  });

  test('sum and delta rule err as expected: about n / d, and less', () => {
    const task = vectorRecall({ keys: 32, keySize: 64, valueSize: 64 });
    const batches = Array.from({ length: 8 }, (_, i) => task.batch(i, 1));
    const mean = (rule: 'sum' | 'delta') =>
      batches.reduce((total, batch) => total + recallError(batch, 64, rule), 0) / batches.length;
    expect(Math.abs(mean('sum') - 0.5)).toBeLessThan(0.1);
    expect(mean('delta')).toBeLessThan(0.8 * mean('sum'));
  });
});
