/**
 * Numbers that every peer makes for itself and that are the same everywhere: a hash of position and seed. Its twin is
 * in peers/torch_peer.py.
 */

import type { Digest } from '../harness/protocol.ts';

/** The number of elements that a digest keeps. */
const DIGEST_LENGTH = 64;

/** 32 well-mixed bits from a position and a seed. */
function hash(position: number, seed: number): number {
  let h = (Math.imul(position, 0x9e3779b1) + Math.imul(seed, 0x85ebca6b)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

/** `count` float32 values, uniform in [-scale, scale). */
export function uniform(count: number, seed: number, scale: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (hash(i, seed) / 2 ** 31 - 1) * scale;
  return values;
}

/** `count` whole numbers, uniform in [0, limit). */
export function integers(count: number, seed: number, limit: number): Int32Array {
  const values = new Int32Array(count);
  for (let i = 0; i < count; i++) values[i] = hash(i, seed) % limit;
  return values;
}

/** Describes one or several results: elements at fixed places of all of them one after another. */
export function digestOf(...results: ArrayLike<number>[]): Digest {
  const values: number[] = [];
  let squares = 0;
  let count = 0;
  const each = Math.ceil(DIGEST_LENGTH / results.length);
  for (const result of results) {
    const step = Math.max(1, Math.floor(result.length / each));
    for (let i = 0; i < result.length; i++) {
      const value = result[i] as number;
      squares += value * value;
      if (i % step === 0 && i / step < each) values.push(value);
    }
    count += result.length;
  }
  return { values, scale: Math.sqrt(squares / Math.max(1, count)) };
}
