/**
 * Random numbers that are the same on every platform, in streams that are addressed by name.
 *
 * A stream belongs to a seed and a path, for example `createRandom(1, 'copy', 'train', 17)` for the 17th training
 * sequence of a task. Seed and path are hashed to the 128 bits of state of xoroshiro128+ (pure-rand), so that any stream
 * can be opened without drawing what comes before it. Two paths that differ in one number below 2³² never give the same
 * state (the hash is a bijection of each 32-bit word); other pairs are as unlikely to as random 128-bit numbers are.
 *
 * Only integer arithmetic and the correctly rounded +, −, ·, / of float64 are used: no logarithm, no cosine, nothing whose
 * last bit depends on the platform.
 */

import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

/** A stream of random numbers. Every call advances it. */
export interface Random {
  /** Uniform integer in [0, below). `below` is an integer from 1 to 2³¹. */
  integer(below: number): number;
  /** Uniform number in [0, 1), a multiple of 2⁻⁵³. */
  uniform(): number;
  /** True with the given probability (0: never, 1: always). */
  chance(probability: number): boolean;
  /** Standard normal number. */
  normal(): number;
  /** One of the elements, each with the same probability. */
  choice<T>(elements: ArrayLike<T>): T;
  /** A random permutation of 0 … count − 1. */
  permutation(count: number): Int32Array;
  /** `count` different integers from 0 … below − 1, in random order. Time and memory grow with `count` only. */
  sample(below: number, count: number): Int32Array;
}

/**
 * Opens the stream of random numbers that belongs to a seed and a path.
 *
 * @param seed integer, at least 0 and at most 2⁵³ − 1
 * @param path names and integers that tell this stream from others with the same seed
 * @throws RangeError if the seed or a number of the path is not a safe integer, or the seed is negative
 */
export function createRandom(seed: number, ...path: readonly (string | number)[]): Random {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`createRandom: seed must be an integer from 0 to 2^53 - 1, but is ${String(seed)}.`);
  }
  const generator = xoroshiro128plusFromState(hash([seed, ...path]));
  const word = () => generator.next() >>> 0;

  // The leading bits of a word, drawn again while they are too large: no modulo, so no bias.
  const integer = (below: number): number => {
    if (!Number.isInteger(below) || below < 1 || below > 2 ** 31) {
      throw new RangeError(`Random: the bound of an integer must be from 1 to 2^31, but is ${String(below)}.`);
    }
    if (below === 1) return 0;
    const shift = Math.clz32(below - 1);
    let drawn = word() >>> shift;
    while (drawn >= below) drawn = word() >>> shift;
    return drawn;
  };

  const uniform = () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) * 2 ** -53;

  const sample = (below: number, count: number): Int32Array => {
    if (!Number.isInteger(count) || count < 0 || count > below) {
      throw new RangeError(`Random: ${String(count)} different integers can't be drawn from ${String(below)}.`);
    }
    // Fisher and Yates from the front. Of a large range only the places that were exchanged are remembered.
    if (below <= 4 * count) return shuffledFront(integer, below, count);
    const moved = new Map<number, number>();
    return Int32Array.from({ length: count }, (_, i) => {
      const other = i + integer(below - i);
      const drawn = moved.get(other) ?? other;
      moved.set(other, moved.get(i) ?? i);
      return drawn;
    });
  };

  return {
    integer,
    uniform,
    chance: (probability) => uniform() < probability,
    normal: () => drawNormal(uniform, integer),
    choice: <T>(elements: ArrayLike<T>): T => elements[integer(elements.length)] as T,
    permutation: (count) => sample(count, count),
    sample,
  };
}

/** The first `count` of 0 … below − 1 in random order. */
function shuffledFront(integer: (below: number) => number, below: number, count: number): Int32Array {
  const order = new Int32Array(below);
  for (let i = 0; i < below; i++) order[i] = i;
  for (let i = 0; i < count; i++) {
    const other = i + integer(below - i);
    const drawn = order[other] as number;
    order[other] = order[i] as number;
    order[i] = drawn;
  }
  return order.subarray(0, count);
}

/**
 * A standard normal number from comparisons of uniform ones: Karney, "Sampling exactly from the normal distribution",
 * ACM Transactions on Mathematical Software 42 (2016), Algorithm N. Neither exp nor log is evaluated.
 *
 * With integer part k and fraction x the density exp(−(k + x)²/2) is the product of exp(−k/2), exp(−k(k−1)/2) and
 * exp(−x(2k + x)/2); each factor is the probability of an event made of comparisons.
 */
function drawNormal(uniform: () => number, integer: (below: number) => number): number {
  for (;;) {
    let k = 0;
    while (hasProbabilityExp(uniform, 0.5, 1)) k++;
    let accepted = true;
    for (let i = 0; i < k * (k - 1) && accepted; i++) accepted = hasProbabilityExp(uniform, 0.5, 1);
    if (!accepted) continue;
    const x = uniform();
    const thinning = (2 * k + x) / (2 * k + 2);
    for (let i = 0; i <= k && accepted; i++) accepted = hasProbabilityExp(uniform, x, thinning);
    if (accepted) return integer(2) === 0 ? k + x : -(k + x);
  }
}

/**
 * True with probability exp(−x·p), for x and p in [0, 1] (von Neumann): the length n of a run x > u₁ > u₂ > … > uₙ, of
 * which each member survives with probability p, is at least m with probability (xp)^m / m!, and even with exp(−xp).
 */
function hasProbabilityExp(uniform: () => number, x: number, p: number): boolean {
  let previous = x;
  let isEven = true;
  for (;;) {
    const next = uniform();
    if (next >= previous || (p < 1 && uniform() >= p)) return isEven;
    previous = next;
    isEven = !isEven;
  }
}

/** 128 bits from names and integers: four lanes that take in every word with a multiplier of their own and are mixed. */
function hash(path: readonly (string | number)[]): [number, number, number, number] {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  let d = 0x6a09e667;
  const absorb = (word: number) => {
    a = mix(a ^ Math.imul(word, 0x85ebca6b));
    b = mix((b + a) ^ Math.imul(word, 0xc2b2ae35));
    c = mix((c + b) ^ Math.imul(word, 0x27d4eb2f));
    d = mix((d + c) ^ Math.imul(word, 0x165667b1));
  };
  for (const part of path) {
    if (typeof part === 'string') {
      // The length keeps ('ab', 'c') and ('a', 'bc') apart, its high bit strings and numbers.
      absorb(part.length | 0x40000000);
      for (let i = 0; i < part.length; i++) absorb(part.charCodeAt(i));
    } else {
      if (!Number.isSafeInteger(part)) {
        throw new RangeError(`createRandom: a number in the path must be a safe integer, but is ${String(part)}.`);
      }
      absorb(Math.floor(part / 2 ** 32) | 0);
      absorb(part | 0);
    }
  }
  // Every lane hears of every other.
  return [mix(a + d), mix(b + d), mix(c + d), d];
}

/** A bijection of 32-bit words in which every bit of the input concerns every bit of the result. */
function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) | 0;
}
