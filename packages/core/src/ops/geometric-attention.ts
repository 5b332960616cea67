/**
 * Geometric attention (Csordás, Irie and Schmidhuber, The Neural Data Router, 2022, equations 6 to 9): each position looks at
 * the others from near to far, of two equally near ones first to the right, and stops at the first that matches.
 *
 *   z_ij = c₀ q_i · k_j + c₁ D_ij + c₂      D_ij = left_i if j < i, right_i if j > i
 *   P_ij = σ(z_ij), 0 for j = i and for padding
 *   A_ij = P_ij · Π_{k visited before j} (1 − P_ik)      output_i = Σ_j A_ij v_j
 *
 * All q, k, v, left and right of a sequence come from one projection, whose rows hold them side by side:
 *
 *   projections [batch, time, 3 · heads · dim + 2 · heads] = q [heads, dim] | k [heads, dim] | v [heads, dim] | left [heads] | right [heads]
 *
 * A row of A adds up to 1 − Π_j (1 − P_ij): a query for which nothing matches attends to nothing. On the CPU engine the
 * gradient keeps P and walks back from far to near, without a division (`csrc/geometric-attention.c`); the composition for
 * other backends is a running product in the order of the visits.
 */

import * as tf from '@tensorflow/tfjs-core';
import {
  type GeometricAttentionAttributes,
  supportsGeometricAttention,
} from '../backend/kernels/geometric-attention.ts';
import type { RandomStream } from '../random/stream.ts';
import { assertCount, assertFloatShape, assertNumber, assertShape, assertTensor } from '../shape-checks.ts';
import { MAX_GPU_GEOMETRIC_TIME } from '../webgpu/kernels/geometric-walk.ts';
import { dropout } from './dropout.ts';
import { canFuse, runFused } from './fused.ts';
import { isTapeOn, runKernel } from './gradients/support.ts';
import { keptBuffer } from './kept-buffer.ts';

/** Options of {@link geometricAttention}. */
export interface GeometricAttentionOptions {
  /** Number of heads. */
  heads: number;
  /**
   * bool `[batch, time]`: false for padding, which nobody sees and whose output is 0, whatever it holds. Default: no
   * padding.
   */
  keyMask?: tf.Tensor | undefined;
  /** Whether each row of A is divided by its sum, if that isn't 0. Default `false`. */
  normalize?: boolean | undefined;
  /** Dropout of keys before the product with queries. Default: none. */
  keyDropout?: { readonly rate: number; readonly random: RandomStream } | undefined;
}

/**
 * Attention of a sequence over itself, nearest match first.
 *
 * @param projections float32 `[batch, time, 3 · heads · dim + 2 · heads]`; see the head of this file
 * @param coefficients float32 `[3]`: c₀ (usually 1 / √dim at first), c₁ and c₂
 * @param options heads, padding, normalisation, dropout
 * @returns float32 `[batch, time, heads · dim]`
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function geometricAttention(
  projections: tf.Tensor,
  coefficients: tf.Tensor,
  options: GeometricAttentionOptions,
): tf.Tensor3D {
  const sizes = assertGeometric('geometricAttention', projections, coefficients, options);
  const { keyMask, normalize = false, keyDropout } = options;
  return tf.tidy(() => {
    if (!canFuse('FwpGeometricAttention') || !isSupported(sizes)) {
      return composed(projections, coefficients, sizes, options).output;
    }
    if (tf.getBackend() === 'webgpu') {
      const x = withDroppedKeys(projections, sizes, keyDropout);
      return fused(x, coefficients, keyMask, { ...sizes, normalize }) as tf.Tensor3D;
    }
    const attributes: GeometricAttentionAttributes = {
      ...sizes,
      normalize,
      ...keyDropoutAttributes(sizes, keyDropout),
    };
    return fused(projections, coefficients, keyMask, attributes) as tf.Tensor3D;
  });
}

/**
 * The weights A of {@link geometricAttention}, to look at.
 *
 * @param projections float32 `[batch, time, 3 · heads · dim + 2 · heads]`
 * @param coefficients float32 `[3]`
 * @param options as for {@link geometricAttention}
 * @returns float32 `[batch, heads, time, time]`: queries, then the positions they attend to
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function geometricAttentionWeights(
  projections: tf.Tensor,
  coefficients: tf.Tensor,
  options: GeometricAttentionOptions,
): tf.Tensor4D {
  const sizes = assertGeometric('geometricAttentionWeights', projections, coefficients, options);
  return tf.tidy(() => composed(projections, coefficients, sizes, options).weights);
}

/** Sizes of the tensors. */
type Sizes = Record<'batch' | 'time' | 'heads' | 'dim', number>;

function assertGeometric(
  name: string,
  projections: tf.Tensor,
  coefficients: tf.Tensor,
  { heads, keyMask, keyDropout }: GeometricAttentionOptions,
): Sizes {
  assertCount(`${name}: heads`, heads);
  const sizes = assertFloatShape(`${name}: projections`, projections, ['batch', 'time', 'row']);
  const { batch, time, row } = sizes as {
    batch: number;
    time: number;
    row: number;
  };
  const dim = (row - 2 * heads) / (3 * heads);
  if (!Number.isInteger(dim) || dim < 1) {
    throw new RangeError(
      `${name}: a row of projections must hold 3 · heads · dim + 2 · heads numbers, with ${heads} heads for example ` +
        `${3 * heads * 16 + 2 * heads}, but holds ${row}.`,
    );
  }
  assertFloatShape(`${name}: coefficients`, coefficients, [3]);
  if (keyMask !== undefined) {
    assertTensor(`${name}: keyMask`, keyMask, 'bool');
    assertShape(`${name}: keyMask`, keyMask, ['batch', 'time'], sizes);
  }
  if (keyDropout !== undefined) assertNumber(`${name}: keyDropout.rate`, keyDropout.rate, 0, 1 - 2 ** -32);
  return { batch, time, heads, dim };
}

// ---- as one kernel -------------------------------------------------------------------------------

/** Whether a head fits into what the kernels have for it. */
function isSupported(sizes: Sizes): boolean {
  return tf.getBackend() === 'webgpu' ? sizes.time <= MAX_GPU_GEOMETRIC_TIME : supportsGeometricAttention(sizes);
}

/** The projections with the keys as dropout leaves them, for kernels that draw nothing. */
function withDroppedKeys(
  projections: tf.Tensor,
  { batch, time, heads, dim }: Sizes,
  keyDropout: GeometricAttentionOptions['keyDropout'],
): tf.Tensor {
  if (keyDropout === undefined) return projections;
  const factors = dropout(tf.ones([batch, time, heads * dim]), keyDropout.rate, keyDropout.random);
  const others = (size: number) => tf.ones([batch, time, size]);
  return tf.mul(projections, tf.concat([others(heads * dim), factors, others((dim + 2) * heads)], 2));
}

/** What the kernels need to know about dropout; moves the stream on as {@link dropout} does. */
function keyDropoutAttributes(
  { batch, time, heads, dim }: Sizes,
  keyDropout: GeometricAttentionOptions['keyDropout'],
): Pick<GeometricAttentionAttributes, 'keyDropout'> {
  const threshold = keyDropout === undefined ? 2 ** 32 : Math.round((1 - keyDropout.rate) * 2 ** 32);
  if (keyDropout === undefined || threshold >= 2 ** 32) return {};
  const { rate, random } = keyDropout;
  const { state } = random;
  random.reserve(batch * time * heads * dim);
  return {
    keyDropout: { threshold, scale: Math.fround(1 / (1 - rate)), state },
  };
}

function fused(
  projections: tf.Tensor,
  coefficients: tf.Tensor,
  keyMask: tf.Tensor | undefined,
  attributes: GeometricAttentionAttributes,
): tf.Tensor {
  const masked = keyMask === undefined ? {} : { keyMask };
  if (!isTapeOn()) {
    return runKernel('FwpGeometricAttention', { projections, coefficients, ...masked }, attributes);
  }
  const { batch, heads, time } = attributes;
  const operation = tf.customGrad((...given) => {
    const save = given.at(-1) as tf.GradSaveFunc;
    const matches = keptBuffer([batch, heads, time, time]);
    const inputs = { projections, coefficients, matches, ...masked };
    const value = runKernel('FwpGeometricAttention', inputs, attributes);
    save(Object.values(inputs));
    const names = Object.keys(inputs);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const savedInputs = Object.fromEntries(names.map((name, i) => [name, saved[i] as tf.Tensor]));
      return runFused('FwpGeometricAttentionGradient', { ...savedInputs, dy }, attributes);
    };
    return {
      value,
      gradFunc: gradFunc as (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
    };
  });
  return operation(projections, coefficients);
}

// ---- on other backends, and where the gradient is differentiated again ---------------------------

function composed(
  projections: tf.Tensor,
  coefficients: tf.Tensor,
  { batch, time, heads, dim }: Sizes,
  { keyMask, normalize = false, keyDropout }: GeometricAttentionOptions,
): { output: tf.Tensor3D; weights: tf.Tensor4D } {
  const width = heads * dim;
  const present = keyMask && tf.reshape(keyMask, [batch, time, 1]);
  // Padding may hold anything; zero weights would not stop NaN.
  const clean =
    present === undefined
      ? projections
      : tf.where(tf.broadcastTo(present, projections.shape), projections, tf.zerosLike(projections));
  const part = (begin: number, size: number): tf.Tensor3D =>
    tf.slice(clean as tf.Tensor3D, [0, 0, begin], [-1, -1, size]);
  const inHeads = (x: tf.Tensor, size: number): tf.Tensor4D =>
    tf.transpose(tf.reshape(x, [batch, time, heads, size]), [0, 2, 1, 3]);
  const rawKeys = part(width, width);
  const keys = keyDropout === undefined ? rawKeys : dropout(rawKeys, keyDropout.rate, keyDropout.random);
  const [content, direction, bias] = tf.unstack(coefficients) as [tf.Tensor, tf.Tensor, tf.Tensor];

  const positions = tf.range(0, time, 1, 'int32');
  const [i, j] = [tf.expandDims(positions, 1), tf.expandDims(positions, 0)];
  const scores = tf.matMul(inHeads(part(0, width), dim), inHeads(keys, dim), false, true);
  const left = inHeads(part(3 * width, heads), 1);
  const right = inHeads(part(3 * width + heads, heads), 1);
  const isLeft = tf.broadcastTo(tf.less(j, i), scores.shape);
  const directions = tf.where(isLeft, tf.broadcastTo(left, scores.shape), tf.broadcastTo(right, scores.shape));
  const z = tf.add(tf.add(tf.mul(scores, content), tf.mul(directions, direction)), bias);
  let allowed = tf.cast(tf.notEqual(i, j), 'float32');
  if (keyMask !== undefined) {
    const here = tf.cast(tf.reshape(keyMask, [batch, 1, time, 1]), 'float32');
    allowed = tf.mul(allowed, tf.mul(here, tf.transpose(here, [0, 1, 3, 2])));
  }
  const matches = tf.mul(tf.sigmoid(z), allowed);

  // Positions before sequences and heads, so that what is put in order are long rows. In three dimensions: tfjs's transposition of
  // two takes no more than 2²⁰ columns on a GPU.
  const { order, rank } = visits(time);
  const all = batch * heads;
  const rearranged = (x: tf.Tensor, to: Int32Array, from: Int32Array): tf.Tensor3D =>
    tf.reshape(permuted(tf.reshape(x, [time * time, all]), to, from), [time, time, all]);
  const pairs = tf.transpose(tf.reshape(matches, [all, time, time]), [1, 2, 0]);
  const visited = rearranged(pairs, order, rank);
  const unmatched = tf.cumprod(tf.sub(1, visited), 0, true);
  const walkedPairs = rearranged(tf.mul(visited, unmatched), rank, order);
  const walked = tf.reshape(tf.transpose(walkedPairs, [2, 0, 1]), [batch, heads, time, time]);
  const weights = normalize ? tf.div(walked, tf.maximum(tf.sum(walked, 3, true), 1e-12)) : walked;
  const output = tf.transpose(tf.matMul(weights, inHeads(part(2 * width, width), dim)), [0, 2, 1, 3]);
  return {
    output: tf.reshape(output, [batch, time, width]),
    weights: weights as tf.Tensor4D,
  };
}

/**
 * The rows of a matrix in another order. Its gradient puts them back by `back`, the inverse, where that of `tf.gather` would add
 * them up one by one, and cannot on a GPU if there are more than a dispatch has workgroups.
 */
function permuted(x: tf.Tensor2D, order: Int32Array, back: Int32Array): tf.Tensor2D {
  const operation = tf.customGrad((given) => ({
    value: tf.gather(given as tf.Tensor2D, tf.tensor1d(order, 'int32')),
    gradFunc: (dy) => permuted(dy as tf.Tensor2D, back, order),
  }));
  return operation(x) as tf.Tensor2D;
}

/**
 * The positions in the order in which each query visits them, itself last: `order` `[visits, queries]` of indices into
 * `[queries, positions]`; and when each is visited: `rank` `[queries, positions]` of indices into `[visits, queries]`.
 */
function visits(time: number): { order: Int32Array; rank: Int32Array } {
  const [order, rank] = [new Int32Array(time * time), new Int32Array(time * time)];
  for (let i = 0; i < time; i++) {
    const row = Array.from({ length: time - 1 }, (_, d) => [i + d + 1, i - d - 1]).flat();
    for (const [visit, j] of [...row.filter((j) => j >= 0 && j < time), i].entries()) {
      order[visit * time + i] = i * time + j;
      rank[i * time + j] = visit * time + i;
    }
  }
  return { order, rank };
}
