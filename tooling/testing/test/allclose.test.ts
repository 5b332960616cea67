import { expect, test } from 'vitest';
import { assertAllClose } from '../src/index.ts';

test('equal and nearly equal arrays pass', () => {
  assertAllClose([1, NaN, Infinity, -0], [1, NaN, Infinity, 0]);
  assertAllClose(Float32Array.of(1.000001, 0), [1, 1e-7]);
});

test('the message names the worst element, both values and the quantity', () => {
  expect(() => assertAllClose([1, 2.5, 3.1], [1, 2, 3], { name: 'dK', rtol: 1e-3, atol: 0 })).toThrow(
    /dK: 2 of 3 elements differ.*worst at \[1\]: actual 2\.5, expected 2/,
  );
});

test('coordinates follow the shape', () => {
  const actual = new Float64Array(24);
  actual[17] = 1;
  expect(() => assertAllClose(actual, new Float64Array(24), { shape: [2, 3, 4] })).toThrow('worst at [1, 1, 1]');
});

test('NaN and infinity on one side, and different lengths, fail', () => {
  expect(() => assertAllClose([NaN], [1])).toThrow('actual NaN');
  expect(() => assertAllClose([1], [NaN])).toThrow('expected NaN');
  expect(() => assertAllClose([Infinity], [-Infinity])).toThrow('not comparable');
  expect(() => assertAllClose([1], [1, 2])).toThrow('1 elements, expected 2');
});
