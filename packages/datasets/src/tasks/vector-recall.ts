/**
 * Recall of vectors: what an associative memory W is written with and asked for when nothing is learned.
 *
 *     write (k₁, v₁), …, (k_T, v_T);   read W kᵢ, compare with the value that kᵢ was given last
 *
 * With n random unit keys of size d the sum rule reads with a mean squared error of about n / d, the delta rule with less;
 * with re-assigned keys the sum rule returns a mixture of all values of a key (Irie, Gershman, "Fast weight programming and
 * linear transformers", 2025).
 */

import type { Random } from '../random.ts';
import { assertInteger, openStreams, type Split, type Task, type TaskOptions } from '../task.ts';

/** Options of {@link vectorRecall}. */
export interface VectorRecallOptions extends TaskOptions {
  /** Different keys. */
  readonly keys: number;
  /** Size of a key. Default 64. */
  readonly keySize?: number;
  /** Size of a value. Default 64. */
  readonly valueSize?: number;
  /** Further pairs in which random ones of the keys are given new values. Default 0. */
  readonly reassignments?: number;
  /** Values: unit vectors of the standard basis, or standard normal components. Default `'one-hot'`. */
  readonly values?: 'one-hot' | 'normal';
}

/** Pairs to be written and questions to be asked. */
export interface VectorRecallBatch {
  /** Sequences: the first extent of every array. */
  readonly batchSize: number;
  /** Pairs in a sequence: keys + reassignments. */
  readonly length: number;
  /** `[batchSize, length, keySize]`, of norm 1. */
  readonly keys: Float32Array;
  /** `[batchSize, length, valueSize]` */
  readonly values: Float32Array;
  /** `[batchSize, keys, keySize]`, each key once. */
  readonly queries: Float32Array;
  /** `[batchSize, keys, valueSize]`, the value that each key was given last. */
  readonly targets: Float32Array;
}

/**
 * Random unit keys with values. Their directions are uniform: components are standard normal, drawn by comparisons of
 * uniform numbers (see {@link Random.normal}), and divided by the norm, whose square root IEEE 754 defines to the last
 * bit; so the bytes are the same everywhere.
 *
 * @throws RangeError if an option is out of range
 */
export function vectorRecall({
  keys: keyCount,
  keySize = 64,
  valueSize = 64,
  reassignments = 0,
  values: kind = 'one-hot',
  seed = 0,
}: VectorRecallOptions): Task<VectorRecallBatch> {
  const name = 'vector-recall';
  assertInteger(`${name}: keys`, keyCount, 1);
  assertInteger(`${name}: keySize`, keySize, 1);
  assertInteger(`${name}: valueSize`, valueSize, 1);
  assertInteger(`${name}: reassignments`, reassignments, 0);
  const length = keyCount + reassignments;
  const drawValue = kind === 'normal' ? normalVector : oneHotVector;

  const batch = (index: number, batchSize: number, split: Split = 'train'): VectorRecallBatch => {
    const streams = openStreams(name, seed, index, batchSize, split);
    const keys = new Float32Array(batchSize * length * keySize);
    const values = new Float32Array(batchSize * length * valueSize);
    const queries = new Float32Array(batchSize * keyCount * keySize);
    const targets = new Float32Array(batchSize * keyCount * valueSize);
    streams.forEach((random, row) => {
      const directions = Array.from({ length: keyCount }, () => unitVector(keySize, random));
      for (let t = 0; t < length; t++) {
        const chosen = t < keyCount ? t : random.integer(keyCount);
        const key = directions[chosen] as Float64Array;
        const value = drawValue(valueSize, random);
        keys.set(key, (row * length + t) * keySize);
        values.set(value, (row * length + t) * valueSize);
        queries.set(key, (row * keyCount + chosen) * keySize);
        targets.set(value, (row * keyCount + chosen) * valueSize);
      }
    });
    return { batchSize, length, keys, values, queries, targets };
  };
  return { name, batch };
}

function normalVector(size: number, random: Random): Float64Array {
  return Float64Array.from({ length: size }, random.normal);
}

function unitVector(size: number, random: Random): Float64Array {
  const vector = normalVector(size, random);
  let square = 0;
  for (const component of vector) square += component * component;
  const norm = Math.sqrt(square);
  return vector.map((component) => component / norm);
}

function oneHotVector(size: number, random: Random): Float64Array {
  const vector = new Float64Array(size);
  vector[random.integer(size)] = 1;
  return vector;
}
