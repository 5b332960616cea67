/** Comparison of arrays of numbers. */

import { expect } from 'vitest';

/** Every element within `tolerance`, relative to the largest expected magnitude (at least 1). */
export function expectWithin(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  let largest = 1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i] as number));
    // A NaN anywhere stays, and is a failure.
    worst = Math.max(worst, Math.abs((actual[i] as number) - (expected[i] as number)));
  }
  expect(worst).toBeLessThanOrEqual(tolerance * largest);
}
