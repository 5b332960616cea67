/**
 * Random numbers of various distributions from uniformly random 32-bit words.
 *
 * The same algorithms as in `csrc/random.c`, with the same bits: every operation is correctly rounded (+, −, ·, /, √
 * in float64, then `Math.fround`), no library function is involved. Loops and `map` instead of `from`, which makes an object of each word
 * and takes thirty times as long.
 */

import { multiplyHigh } from './philox.ts';

const real = new Float64Array(1);
/** The two halves of `real`, least significant first (every JavaScript platform in use is little-endian). */
const halves = new Uint32Array(real.buffer);

/** Adding and subtracting 1.5 · 2⁵² rounds to the nearest integer, ties to even. */
const ROUND = 6755399441055744;

/** −2 ln(u) for u in (0, 1). */
function minusTwoLog(u: number): number {
  // u = 2^e · m with m in [√½, √2).
  real[0] = u;
  const e = ((halves[1] as number) - 0x3fe6a09e) >> 20;
  halves[1] = (halves[1] as number) - (e << 20);
  const m = real[0] as number;
  const s = (m - 1) / (m + 1);
  const x = s * s;
  let p = x * -0.47236947856634615 - 0.57069857408139701;
  p = p * x - 0.80000773765358979;
  p = p * x - 1.3333333046943434;
  p = p * x - 4.0000000000169491;
  return p * s - e * 1.3862943611198906;
}

/** Writes two independent standard normal numbers, made of two words, to target[i] and target[i + 1] (Box and Muller). */
function writeNormalPair(target: Float64Array, i: number, word0: number, word1: number): void {
  const radius = Math.sqrt(minusTwoLog((word0 + 0.5) * 2 ** -32));
  const turns = word1 * 2 ** -30;
  const quarter = turns + ROUND - ROUND;
  const r = turns - quarter;
  const x = r * r;
  let sine = x * 0.00015819507355677661 - 0.0046812606273191502;
  sine = sine * x + 0.0796925818428737;
  sine = sine * x - 0.64596409610241889;
  sine = sine * x + 1.5707963267877501;
  sine = sine * r;
  let cosine = x * 0.00090336297933544759 - 0.020859936029454067;
  cosine = cosine * x + 0.25366918259626053;
  cosine = cosine * x - 1.2337005395647667;
  cosine = cosine * x + 0.9999999999439374;
  const isOdd = (quarter & 1) === 1;
  const first = isOdd ? sine : cosine;
  const second = isOdd ? cosine : sine;
  target[i] = ((quarter + 1) & 2 ? -first : first) * radius;
  target[i + 1] = (quarter & 2 ? -second : second) * radius;
}

/** The number z with Φ(z) = ½ + q, for |q| < Φ(2) − ½. */
function inverseNormal(q: number): number {
  const x = q * q;
  let n = x * -41.70019633475434 + 227.959169031318;
  n = n * x - 281.6275711845524;
  n = n * x + 140.06669024070865;
  n = n * x - 30.83787588488407;
  n = n * x + 2.5066282783269567;
  let d = x * -56.7317603139171 + 166.11696762650698;
  d = d * x - 158.60300285428795;
  d = d * x + 67.55537811946039;
  d = d * x - 13.34972948566154;
  d = d * x + 1;
  return (q * n) / d;
}

/** ⌊range · w / 2⁶⁴⌋ for the 64-bit number w of two words and a range of at most 2³². */
function scaleToRange(low: number, high: number, range: number): number {
  if (range === 2 ** 32) return high;
  const carry = multiplyHigh(low, range);
  const sum = (Math.imul(high, range) >>> 0) + carry;
  return multiplyHigh(high, range) + (sum >= 2 ** 32 ? 1 : 0);
}

/** min(low + range · u, greatest), with u the upper 24 bits of each word as a fraction; float32. */
export function uniformFrom(words: Uint32Array, low: number, range: number, greatest: number): Float32Array {
  const values = new Float32Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const scaled = Math.fround(((words[i] as number) >>> 8) * 2 ** -24 * range);
    values[i] = Math.min(Math.fround(scaled + low), greatest);
  }
  return values;
}

/** mean + deviation · z with z standard normal; float32. `words` has an even length, at least `count`. */
export function normalFrom(words: Uint32Array, count: number, mean: number, deviation: number): Float32Array {
  const pairs = new Float64Array(words.length);
  for (let i = 0; i < words.length; i += 2) writeNormalPair(pairs, i, words[i] as number, words[i + 1] as number);
  return affine(pairs.subarray(0, count), mean, deviation);
}

/** mean + deviation · z with z standard normal within [−2, 2]; float32. */
export function truncatedNormalFrom(words: Uint32Array, mean: number, deviation: number): Float32Array {
  const z = new Float64Array(words).map((word) => inverseNormal(((word + 0.5) * 2 ** -32 - 0.5) * 0.9544997361036416));
  return affine(z, mean, deviation);
}

/** Fills `target`, and returns it: `success` where a word is below `threshold` (0 … 2³²), else 0. */
export function bernoulliFrom<Target extends Uint8Array | Float32Array>(
  words: Uint32Array,
  threshold: number,
  target: Target,
  success = 1,
): Target {
  for (let i = 0; i < words.length; i++) target[i] = (words[i] as number) < threshold ? success : 0;
  return target;
}

/** Integers from `low` to `low + range − 1`; two words each. */
export function integersFrom(words: Uint32Array, low: number, range: number): Int32Array {
  const integers = new Int32Array(words.length / 2);
  for (let i = 0; i < integers.length; i++) {
    integers[i] = low + scaleToRange(words[2 * i] as number, words[2 * i + 1] as number, range);
  }
  return integers;
}

/** A permutation of 0 … count − 1 by Fisher and Yates from the end; two words for each of the count − 1 exchanges. */
export function permutationFrom(words: Uint32Array, count: number): Int32Array {
  const permutation = new Int32Array(count).map((_, i) => i);
  for (let k = 0; k < count - 1; k++) {
    const last = count - 1 - k;
    const other = scaleToRange(words[2 * k] as number, words[2 * k + 1] as number, last + 1);
    const moved = permutation[last] as number;
    permutation[last] = permutation[other] as number;
    permutation[other] = moved;
  }
  return permutation;
}

/** The greatest float32 below `x`. */
export function floatBelow(x: number): number {
  const single = new Float32Array([x]);
  const bits = new Int32Array(single.buffer);
  if ((single[0] as number) < x) return single[0] as number;
  if (single[0] === 0) return -(2 ** -149);
  bits[0] = (bits[0] as number) + ((single[0] as number) > 0 ? -1 : 1);
  return single[0] as number;
}

function affine(z: Float64Array, mean: number, deviation: number): Float32Array {
  return new Float32Array(z).map((value) => Math.fround(value * deviation) + mean);
}
