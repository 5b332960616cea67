import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cosine, power, sine } from '../src/portable-math.ts';
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

test('sine and cosine agree with Math to 15 digits', () => {
  fc.assert(
    fc.property(fc.double({ min: -1, max: 1, noNaN: true }), (angle) => {
      expect(Math.abs(sine(angle) - Math.sin(angle))).toBeLessThan(1e-15);
      expect(Math.abs(cosine(angle) - Math.cos(angle))).toBeLessThan(1e-15);
    }),
    { numRuns: 1000 },
  );
});

test('sine and cosine have the same bits on every platform', () => {
  expect([sine(0), cosine(0)]).toEqual([0, 1]);
  const angles = Float64Array.from({ length: 2001 }, (_, i) => i / 1000 - 1);
  expect(digest(angles.map(sine), angles.map(cosine))).toBe('b924a4e26337d4d9');
});
