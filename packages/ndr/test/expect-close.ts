/** Comparison of arrays. */

import { expect } from 'vitest';

/** Expects equal lengths, and each number to agree with the other to so many decimal places. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, digits: number): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(actual[i]).toBeCloseTo(expected[i] as number, digits);
}
