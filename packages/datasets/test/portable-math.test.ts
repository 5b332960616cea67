import fc from 'fast-check';
import { expect, test } from 'vitest';
import { power } from '../src/portable-math.ts';
import { digest } from './digest.ts';

test('power agrees with ** to 13 digits', () => {
  const bases = fc.double({ min: 1e-9, max: 1e9, noNaN: true });
  const exponents = fc.double({ min: -5, max: 5, noNaN: true });
  fc.assert(
    fc.property(bases, exponents, (base, exponent) => {
      expect(Math.abs(power(base, exponent) / base ** exponent - 1)).toBeLessThan(1e-13);
    }),
    { numRuns: 1000 },
  );
});

test('power has the same bits on every platform', () => {
  expect(power(1, -3)).toBe(1);
  expect(power(7, 0)).toBe(1);
  expect(digest(Float64Array.from({ length: 5000 }, (_, i) => power(i + 1, -0.99)))).toBe('976b20a80beec509');
});
