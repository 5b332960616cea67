/**
 * Streams of random numbers: repeatable, splittable by name, with a state of a few numbers and jumps in constant time.
 */

import {
  bernoulliFrom,
  floatBelow,
  integersFrom,
  normalFrom,
  permutationFrom,
  truncatedNormalFrom,
  uniformFrom,
} from './distributions.ts';
import { philox, type Words, writePhilox } from './philox.ts';

/** State of a {@link RandomStream}; plain JSON. */
export interface RandomStreamState {
  /** Name of the generator, so that a state is never read by another one. */
  readonly algorithm: 'philox4x32-10';
  /** Two unsigned 32-bit integers. */
  readonly key: readonly [number, number];
  /** Upper half of the counter: which of the key's streams this is. */
  readonly stream: readonly [number, number];
  /** Number of blocks of 128 bits that were drawn. */
  readonly position: number;
}

/** Bounds of uniformly distributed numbers. */
export interface UniformOptions {
  /** Least value; default 0. */
  readonly low?: number;
  /** Values are below this; default 1. */
  readonly high?: number;
}

/** Parameters of a normal distribution. */
export interface NormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Default 1. */
  readonly standardDeviation?: number;
}

/** Sets the hashing of names apart from the drawing of numbers. */
const SPLIT_KEY = 0x5ee1df05;

/**
 * A repeatable sequence of random numbers (Philox4x32-10).
 *
 * Every call draws from the next unused block of 128 bits, so that equal calls in equal order give equal numbers, on
 * every device and for every number of threads. `split(name)` gives a stream of its own for each purpose: then a
 * purpose that draws more or less doesn't disturb the others.
 */
export class RandomStream {
  #key: [number, number];
  #stream: [number, number];
  #position = 0;

  /**
   * @param seed an integer; numbers up to 2⁵³ in magnitude, bigints modulo 2⁶⁴
   */
  constructor(seed: number | bigint = 0) {
    if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
      throw new RangeError(`RandomStream: seed is ${seed}, expected an integer below 2^53 in magnitude (or a bigint).`);
    }
    const bits = BigInt.asUintN(64, BigInt(seed));
    this.#key = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
    this.#stream = [0, 0];
  }

  /** A stream that goes on where the one that `state` came from stood. */
  static fromState(state: RandomStreamState): RandomStream {
    const stream = new RandomStream();
    stream.state = state;
    return stream;
  }

  /** Everything that decides what is drawn next; plain JSON. */
  get state(): RandomStreamState {
    return {
      algorithm: 'philox4x32-10',
      key: [...this.#key],
      stream: [...this.#stream],
      position: this.#position,
    };
  }

  set state(state: RandomStreamState) {
    const words = [state.key, state.stream].flatMap((pair) => [pair?.[0], pair?.[1]]);
    const isWord = (word: unknown): boolean => Number.isInteger(word) && (word as number) >>> 0 === word;
    if (state.algorithm !== 'philox4x32-10' || !words.every(isWord)) {
      throw new Error(
        `RandomStream: cannot restore ${JSON.stringify(state)}; expected the state of a philox4x32-10 stream.`,
      );
    }
    this.position = state.position;
    this.#key = [state.key[0], state.key[1]];
    this.#stream = [state.stream[0], state.stream[1]];
  }

  /** Number of blocks of 128 bits (four words) that were drawn; set it to jump anywhere in constant time. */
  get position(): number {
    return this.#position;
  }

  set position(blocks: number) {
    if (!Number.isSafeInteger(blocks) || blocks < 0) {
      throw new RangeError(`RandomStream: position is ${blocks}, expected an integer from 0 to 2^53 - 1.`);
    }
    this.#position = blocks;
  }

  /**
   * A stream of its own for a purpose, independent of this one and of those of other names. Depends on this stream's
   * identity and the name only, not on what was drawn.
   *
   * Layers that draw in `forward`, such as `Dropout`, split off the stream that they are given, and name their streams with integers.
   * Where a stream is split by integers, give a model another one, `random.split('weights')`.
   *
   * @param name text, or an integer (for example an epoch or a worker)
   */
  split(name: string | number): RandomStream {
    const bytes = new TextEncoder().encode(typeof name === 'string' ? `s${name}` : `n${name}`);
    const child = new RandomStream();
    let words: Words = [...this.#key, ...this.#stream];
    // Eight bytes at a time, the length first: each step's output is the next one's key and stream.
    const chunks = [bytes.length, 0];
    for (let i = 0; i < Math.ceil(bytes.length / 8) * 8; i += 4) {
      const byte = (k: number): number => bytes[i + k] ?? 0;
      chunks.push((byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)) >>> 0);
    }
    for (let i = 0; i < chunks.length; i += 2) {
      const [k0, k1, s0, s1] = words;
      words = philox([chunks[i] as number, chunks[i + 1] as number, s0, s1], [(k0 ^ SPLIT_KEY) >>> 0, k1]);
    }
    child.#key = [words[0], words[1]];
    child.#stream = [words[2], words[3]];
    return child;
  }

  /** Moves on by the blocks that `words` words take and returns the position before. For code that draws by itself. */
  reserve(words: number): number {
    const start = this.#position;
    this.position = start + Math.ceil(words / 4);
    return start;
  }

  /** `count` random 32-bit words. */
  bits(count: number): Uint32Array {
    checkCount('bits', count);
    const words = new Uint32Array(Math.ceil(count / 4) * 4);
    const start = this.reserve(count);
    const [s0, s1] = this.#stream;
    const [k0, k1] = this.#key;
    for (let i = 0; i < words.length; i += 4) {
      const block = start + i / 4;
      writePhilox(words, i, block >>> 0, Math.floor(block / 2 ** 32), s0, s1, k0, k1);
    }
    return words.subarray(0, count);
  }

  /** A float64 in [0, 1) with 53 random bits. */
  next(): number {
    const [low, high] = this.bits(2) as unknown as [number, number];
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  }

  /** `count` float32 values in [low, high). */
  uniform(count: number, options: UniformOptions = {}): Float32Array {
    const { low, range, greatest } = uniformParameters(options);
    return uniformFrom(this.bits(count), low, range, greatest);
  }

  /** `count` normally distributed float32 values. */
  normal(count: number, options: NormalOptions = {}): Float32Array {
    const { mean, deviation } = normalParameters(options);
    checkCount('normal', count);
    return normalFrom(this.bits(Math.ceil(count / 2) * 2), count, mean, deviation);
  }

  /** `count` float32 values of the normal distribution within two standard deviations. */
  truncatedNormal(count: number, options: NormalOptions = {}): Float32Array {
    const { mean, deviation } = normalParameters(options);
    return truncatedNormalFrom(this.bits(count), mean, deviation);
  }

  /** `count` bytes that are 1 with the given probability, else 0. */
  bernoulli(count: number, probability: number): Uint8Array {
    return bernoulliFrom(this.bits(count), bernoulliThreshold(probability), new Uint8Array(count));
  }

  /** `count` integers from `low` to `high` − 1, both within int32. */
  integers(count: number, low: number, high: number): Int32Array {
    const range = integerRange(low, high);
    checkCount('integers', count);
    return integersFrom(this.bits(2 * count), low, range);
  }

  /** The integers 0 … count − 1 in random order. */
  permutation(count: number): Int32Array {
    checkCount('permutation', count);
    return permutationFrom(this.bits(permutationWords(count)), count);
  }
}

/** Words that a permutation of `count` elements takes. */
export function permutationWords(count: number): number {
  return 2 * Math.max(0, count - 1);
}

/** Validates bounds and turns them into what the samplers take. */
export function uniformParameters({ low = 0, high = 1 }: UniformOptions): {
  low: number;
  range: number;
  greatest: number;
} {
  const from = Math.fround(low);
  const range = Math.fround(high - low);
  if (!Number.isFinite(from) || !Number.isFinite(range) || !(range > 0)) {
    throw new RangeError(`uniform: low is ${low} and high ${high}, expected finite numbers with low < high.`);
  }
  return { low: from, range, greatest: Math.max(from, floatBelow(high)) };
}

/** Validates a normal distribution. */
export function normalParameters({ mean = 0, standardDeviation = 1 }: NormalOptions): {
  mean: number;
  deviation: number;
} {
  if (!Number.isFinite(mean) || !Number.isFinite(standardDeviation) || standardDeviation < 0) {
    throw new RangeError(
      `normal: mean is ${mean} and standardDeviation ${standardDeviation}, expected finite numbers, the latter not negative.`,
    );
  }
  return { mean: Math.fround(mean), deviation: Math.fround(standardDeviation) };
}

/** The number of 32-bit words, of 2³², that count as success. */
export function bernoulliThreshold(probability: number): number {
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(`bernoulli: probability is ${probability}, expected a number from 0 to 1.`);
  }
  return Math.round(probability * 2 ** 32);
}

/** Validates bounds of integers; returns how many there are. */
export function integerRange(low: number, high: number): number {
  const isValid = Number.isInteger(low) && Number.isInteger(high) && low >= -(2 ** 31) && high <= 2 ** 31 && low < high;
  if (!isValid) {
    throw new RangeError(`integers: low is ${low} and high ${high}, expected integers within int32 with low < high.`);
  }
  return high - low;
}

function checkCount(name: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new RangeError(`${name}: count is ${count}, expected an integer that is not negative.`);
  }
}
