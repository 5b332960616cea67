/** The scans that are measured on a GPU: sizes of flash-linear-attention's own table, what they cost, and their inputs. */

import { deltaRule, gatedDeltaRule, linearAttention } from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';
import { uniform } from '../programs/values.ts';

/** Batch, time, heads and size of keys and values. */
export interface ScanSizes {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly dim: number;
}

/** Sizes of flash-linear-attention's benchmark. */
export const SIZES: readonly ScanSizes[] = [
  { batch: 1, time: 8192, heads: 96, dim: 128 },
  { batch: 2, time: 16384, heads: 16, dim: 128 },
  { batch: 4, time: 2048, heads: 16, dim: 128 },
  { batch: 4, time: 4096, heads: 64, dim: 128 },
  { batch: 8, time: 1024, heads: 8, dim: 64 },
  { batch: 8, time: 2048, heads: 32, dim: 256 },
];

/** For a try: something that a GPU in software does in seconds. */
export const QUICK_SIZES: readonly ScanSizes[] = [{ batch: 1, time: 64, heads: 2, dim: 8 }];

/** A scan: how it runs, and its floating-point operations for each key channel, value channel and step. */
export interface Scan {
  readonly name: string;
  readonly run: (inputs: ScanInputs) => tf.Tensor;
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Arrays of the size of q that a pass has to read or write. */
  readonly forwardArrays: number;
  readonly backwardArrays: number;
}

/** Inputs of every scan. */
export interface ScanInputs {
  readonly q: tf.Tensor;
  readonly k: tf.Tensor;
  readonly v: tf.Tensor;
  readonly beta: tf.Tensor;
  readonly decay: tf.Tensor;
}

/** What is measured. */
export const SCANS: readonly Scan[] = [
  {
    name: 'linear attention',
    run: ({ q, k, v }) => linearAttention(q, k, v).output,
    ...{ forwardFlops: 4, backwardFlops: 8, forwardArrays: 4, backwardArrays: 7 },
  },
  {
    name: 'delta rule',
    run: ({ q, k, v, beta }) => deltaRule(q, k, v, beta).output,
    ...{ forwardFlops: 6, backwardFlops: 14, forwardArrays: 4, backwardArrays: 7 },
  },
  {
    name: 'gated delta rule',
    run: ({ q, k, v, beta, decay }) => gatedDeltaRule(q, k, v, beta, decay).output,
    ...{ forwardFlops: 6, backwardFlops: 14, forwardArrays: 4, backwardArrays: 7 },
  },
];

/** The delta rule as a user of tfjs would write it, step by step; what a kernel is worth is measured against it. */
export function deltaRuleStepByStep({ q, k, v, beta }: ScanInputs): tf.Tensor {
  const [batch, heads, time, dim] = q.shape as [number, number, number, number];
  let state: tf.Tensor = tf.zeros([batch, heads, dim, dim]);
  const outputs: tf.Tensor[] = [];
  for (let t = 0; t < time; t++) {
    const at = (x: tf.Tensor) => tf.slice(x, [0, 0, t, 0], [batch, heads, 1, dim]);
    const strength = tf.reshape(tf.slice(beta, [0, 0, t], [batch, heads, 1]), [batch, heads, 1, 1]);
    const error = tf.sub(at(v), tf.matMul(at(k), state, false, true));
    state = tf.add(state, tf.matMul(tf.mul(strength, error), at(k), true, false));
    outputs.push(tf.matMul(at(q), state, false, true));
  }
  return tf.concat(outputs, 2);
}

/** Keys of about length 1, write strengths and decays between 0 and 1. */
export function inputsOf({ batch, time, heads, dim }: ScanSizes): ScanInputs {
  const shape = [batch, heads, time, dim];
  const numbers = (size: number[], seed: number, scale: number) =>
    tf.tensor(uniform(tf.util.sizeFromShape(size), seed, scale), size);
  return tf.tidy(() => ({
    q: numbers(shape, 1, 1),
    k: numbers(shape, 2, Math.sqrt(3 / dim)),
    v: numbers(shape, 3, 1),
    beta: tf.abs(numbers(shape.slice(0, 3), 4, 1)),
    decay: tf.sub(1, tf.abs(numbers(shape.slice(0, 3), 5, 0.1))),
  }));
}
