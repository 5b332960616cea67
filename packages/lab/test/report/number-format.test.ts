import { describe, expect, it } from 'vitest';
import {
  commonDecimals,
  formatBytes,
  formatCell,
  formatDifference,
  formatDuration,
  formatNumber,
  formatSummary,
} from '../../src/report/number-format.ts';
import { summarize } from '../../src/report/statistics.ts';

it.each([
  [0, '0'],
  [0.16412, '0.164'],
  [0.00123, '0.00123'],
  [0.5, '0.5'],
  [1.23456, '1.235'],
  [35.6449, '35.64'],
  [128, '128'],
  [3140.7, '3141'],
  [1e6, '1000000'],
  [1.234e-7, '1.2e-7'],
  [1e-9, '1e-9'],
  [-0.25, '−0.25'],
  [2.5e8, '2.5e8'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, '∞'],
])('writes %d as %s', (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

describe('cells', () => {
  it('show what is not a number as it is, and nothing as a dash', () => {
    expect([null, undefined, 'diverged', true].map(formatCell)).toEqual(['–', '–', 'diverged', 'true']);
  });

  it('of a table have the decimals that give the largest number four digits', () => {
    expect(commonDecimals([0.164, 0.00002])).toBe(4);
    expect(commonDecimals([0.0014, 0.00002])).toBe(5);
    expect(commonDecimals([35.64, 1.5, Number.NaN])).toBe(2);
    expect(commonDecimals([12345.6])).toBe(0);
    expect(commonDecimals([100, 3])).toBe(0);
    expect(commonDecimals([1e-7, 2e-6])).toBeUndefined();
    expect(commonDecimals([2 ** 1000, 3])).toBeUndefined();
    expect([[], [0, 0]].map(commonDecimals)).toEqual([undefined, undefined]);
  });

  it('show mean and spread with the same decimals', () => {
    expect(formatSummary({ mean: 0.164, std: 0.00312, count: 3 }, 3)).toBe('0.164 ± 0.003');
    expect(formatSummary({ mean: 2e-6, std: 1e-6, count: 3 }, undefined)).toBe('2e-6 ± 1e-6');
    expect(formatSummary({ mean: -0.164, std: undefined, count: 1 }, 2)).toBe('−0.16');
  });

  it('show a difference with its sign', () => {
    expect([0.01, -0.01, 0, -0.0001].map((value) => formatDifference(value, 2))).toEqual([
      '+0.01',
      '−0.01',
      '±0.00',
      '±0.00',
    ]);
  });
});

it('writes durations and sizes in the unit that a person would choose', () => {
  expect([0.5, 59.7, 134, 3900, 3599.7].map(formatDuration)).toEqual([
    '0.5 s',
    '1 min 0 s',
    '2 min 14 s',
    '1 h 5 min',
    '1 h 0 min',
  ]);
  expect([512, 2048, 15.6 * 2 ** 30].map(formatBytes)).toEqual(['512 B', '2.0 KiB', '15.6 GiB']);
});

describe('summarize', () => {
  it('is the mean and the sample standard deviation', () => {
    expect(summarize([2, 4, 4, 4, 5, 5, 7, 9])?.mean).toBe(5);
    expect(summarize([2, 4, 4, 4, 5, 5, 7, 9])?.std).toBeCloseTo(Math.sqrt(32 / 7), 12);
  });

  it('has no spread for one number, and nothing for none', () => {
    expect(summarize([3])).toEqual({ mean: 3, std: undefined, count: 1 });
    expect(summarize([])).toBeUndefined();
  });
});
