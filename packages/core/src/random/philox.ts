/**
 * Philox4x32-10, a counter-based random number generator: ten rounds of multiplication and exclusive or turn a
 * 128-bit counter and a 64-bit key into 128 random bits. Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3", SC 2011. `csrc/random.c` has the same function.
 */

/** Four 32-bit words. */
export type Words = [number, number, number, number];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Upper 32 bits of the product of two unsigned 32-bit integers. */
export function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Every sum stays below 2³², so no step loses a bit.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (cross >>> 16);
}

/**
 * The random words of one counter.
 *
 * @param counter four unsigned 32-bit integers, least significant first
 * @param key two unsigned 32-bit integers
 */
export function philox(counter: Readonly<Words>, key: readonly [number, number]): Words {
  const words = new Uint32Array(4);
  writePhilox(words, 0, ...counter, ...key);
  return Array.from(words) as Words;
}

/** Writes the random words of counter (c₀, c₁, c₂, c₃) and key (l₀, l₁) to `target` from `at` on; allocates nothing. */
export function writePhilox(
  target: Uint32Array,
  at: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  l0: number,
  l1: number,
): void {
  let [x0, x1, x2, x3, k0, k1] = [c0, c1, c2, c3, l0, l1];
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, x0);
    const low0 = Math.imul(MULTIPLIER_0, x0);
    const high1 = multiplyHigh(MULTIPLIER_1, x2);
    const low1 = Math.imul(MULTIPLIER_1, x2);
    x0 = (high1 ^ x1 ^ k0) >>> 0;
    x1 = low1 >>> 0;
    x2 = (high0 ^ x3 ^ k1) >>> 0;
    x3 = low0 >>> 0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  target[at] = x0;
  target[at + 1] = x1;
  target[at + 2] = x2;
  target[at + 3] = x3;
}
