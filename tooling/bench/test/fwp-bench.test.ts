import { describe, expect, it } from 'vitest';
import { CASES } from '../src/catalog.ts';
import { benchmarks } from '../src/fwp-bench.ts';

describe('what fwp bench runs', () => {
  it('is every suite of timings, those for graphics cards on request', () => {
    expect(benchmarks.onRequest).toEqual(['gpu']);
    expect([...benchmarks.suites, ...benchmarks.onRequest].toSorted()).toEqual(
      [...new Set(CASES.map(({ suite }) => suite))].toSorted(),
    );
  });
});
