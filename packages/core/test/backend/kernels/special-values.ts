/** Floats that elementwise functions get wrong first: zeros, infinities, NaN, denormals, limits and halves. */

import { createHash } from 'node:crypto';

/** Values around every special case of IEEE single precision. */
export const specialValues: readonly number[] = [
  0,
  -0,
  Number.NaN,
  Infinity,
  -Infinity,
  1e-45,
  -1e-45,
  1.1754942e-38,
  1.17549435e-38,
  -1.17549435e-38,
  3.4028235e38,
  -3.4028235e38,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -1.5,
  2.5,
  -2.5,
  6,
  6.5,
  88.72,
  88.73,
  -87.4,
  -103.9,
  -104,
  1e-7,
  -1e-7,
  8388607.5,
  8388608,
  -8388607.5,
  16777216,
  2147483520,
  2147483648,
  -2147483648,
  4294967296,
  1e20,
];

/** A repeatable sequence of floats in [0, 1). */
export function uniformSequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

/** Special values, then values of both signs whose magnitudes go from 1e-8 to 1e8, `count` altogether. */
export function wideFloats(count: number, seed = 1): Float32Array {
  const next = uniformSequence(seed);
  return Float32Array.from({ length: count }, (_, i) =>
    i < specialValues.length ? (specialValues[i] as number) : (next() < 0.5 ? -1 : 1) * 10 ** (16 * next() - 8),
  );
}

/** Values in [low, high). */
export function floatsBetween(low: number, high: number, count: number, seed = 1): Float32Array {
  const next = uniformSequence(seed);
  return Float32Array.from({ length: count }, () => low + (high - low) * next());
}

/** Bits of a float32 in [0, 2^32). */
function bitsOf(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0] as number;
}

/** Distance of `actual` from the exact value in units of the last place of a float32 (denormals included). */
export function ulpError(actual: number, exact: number): number {
  const rounded = Math.fround(exact);
  if (Object.is(actual, rounded) || actual === rounded || (Number.isNaN(actual) && Number.isNaN(exact))) return 0;
  if (!Number.isFinite(actual) || !Number.isFinite(rounded)) {
    // The last float before overflow and infinity are neighbours.
    const a = Number.isFinite(actual) ? Math.abs(bitsOf(actual) - bitsOf(rounded)) : 1;
    const edge = Math.abs(exact) > 3.4028234e38 && Math.abs(exact) < 3.4028239e38;
    return edge ? a : Infinity;
  }
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(rounded) || 1e-300)));
  return Math.abs(actual - exact) / 2 ** (exponent - 23);
}

/** A hash of the bits of an array. */
export function digestOf(values: ArrayBufferView): string {
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}
