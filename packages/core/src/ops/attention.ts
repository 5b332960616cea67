/**
 * Scaled dot-product attention (Vaswani et al. 2017, eq. 1), for each batch element and head:
 *
 *   output_i = Σ_j P_ij v_j      P = softmax_j(scale · q_i · k_j + bias_ij)   over the keys j that query i may see
 *
 *   q [batch, heads, queries, dim]   k [batch, heads, keys, dim]   v [batch, heads, keys, valueDim]   (layout 'BHTD')
 *
 * With a window (Beltagy et al. 2020, "Longformer", section 3.1), a causal query sees the last keys of its past only, and
 * costs no more than these.
 *
 * No [queries, keys] tensor is made on the CPU engine (`csrc/attention.h`), nor on GPUs without masks and biases of scores
 * (`webgpu/attention.ts`), forward or backward; the gradient keeps the
 * output and the logarithms of the softmax denominators. Excluded keys have no influence, whatever they hold (NaN included), and a query that may
 * see nothing gives zeros and has no gradient.
 */

import * as tf from '@tensorflow/tfjs-core';
import { type AttentionAttributes, type AttentionLayout, MAX_ATTENTION_DIM } from '../backend/kernels/attention.ts';
import {
  assertCount,
  assertFloatShape,
  assertNumber,
  assertOneOf,
  assertTensor,
  formatShape,
} from '../shape-checks.ts';
import { MAX_GPU_ATTENTION_DIM } from '../webgpu/kernels/attention-rows.ts';
import { canFuse } from './fused.ts';
import { isTapeOn, sumToShape } from './gradients/support.ts';
import { stopGradient } from './stop-gradient.ts';

/** Options of {@link selfAttention}, and of {@link attention} beside its layout. */
export interface SelfAttentionOptions {
  /**
   * Whether a query sees no later keys. Queries are the last ones of the keys' time: query i sees the keys up to
   * i + keys − queries. Default `false`.
   */
  causal?: boolean | undefined;
  /**
   * Number of keys that a causal query sees: the last ones up to its own place, i + keys − queries. On the CPU engine, what
   * lies before them costs nothing. Default: all of them.
   */
  window?: number | undefined;
  /**
   * What may be seen, broadcastable to `[batch, heads, queries, keys]` in every layout: bool, true where attention is
   * allowed; or float32, a constant that is added to the scores (−Infinity excludes). It gets no gradient.
   */
  mask?: tf.Tensor | undefined;
  /** Keys that may be seen, bool `[batch, keys]`: false for padding. */
  keyMask?: tf.Tensor | undefined;
  /**
   * Added to the scores, float32, broadcastable to `[batch, heads, queries, keys]`, for example relative-position
   * logits. It gets a gradient, which needs memory for a few `[queries, keys]` per head.
   */
  bias?: tf.Tensor | undefined;
  /** Factor of the scores. Default `1 / √dim`. */
  scale?: number | undefined;
}

/** Options of {@link attention}. */
export interface AttentionOptions extends SelfAttentionOptions {
  /**
   * `'BHTD'`: tensors are `[batch, heads, time, dim]`; `'BTHD'`: `[batch, time, heads, dim]`, as a projection leaves them. The
   * output has the same. Default `'BHTD'`.
   */
  layout?: 'BHTD' | 'BTHD' | undefined;
}

/**
 * Attention of queries over keys and values.
 *
 * @param q float32 queries, `[batch, heads, queries, dim]` (or as `layout` says)
 * @param k float32 keys, `[batch, heads, keys, dim]`
 * @param v float32 values, `[batch, heads, keys, valueDim]`
 * @param options causality, window, masks, bias, scale and layout
 * @returns float32 `[batch, heads, queries, valueDim]` (or as `layout` says)
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, options: AttentionOptions = {}): tf.Tensor4D {
  const { layout = 'BHTD' } = options;
  assertOneOf('attention: layout', layout, ['BHTD', 'BTHD']);
  const dims = (time: string, last: string) =>
    layout === 'BHTD' ? ['batch', 'heads', time, last] : ['batch', time, 'heads', last];
  let sizes = assertFloatShape('attention: q', q, dims('queries', 'dim'));
  sizes = assertFloatShape('attention: k', k, dims('keys', 'dim'), sizes);
  sizes = assertFloatShape('attention: v', v, dims('keys', 'valueDim'), sizes);
  return attend('attention', { q, k, v }, sizes as unknown as AttentionSizes, layout, options);
}

/**
 * Attention of a sequence over itself, straight from one projection to queries, keys and values: equal to
 * {@link attention} in layout `'BTHD'` on the three parts, without cutting them out.
 *
 * @param qkv float32 `[batch, time, 3, heads, dim]`: queries, keys and values
 * @param options causality, window, masks, bias and scale
 * @returns float32 `[batch, time, heads, dim]`
 * @throws TypeError or RangeError if an argument has another dtype or shape
 */
export function selfAttention(qkv: tf.Tensor, options: SelfAttentionOptions = {}): tf.Tensor4D {
  const sizes = assertFloatShape('selfAttention: qkv', qkv, ['batch', 'time', 3, 'heads', 'dim']);
  const { batch, heads, time, dim } = sizes as { batch: number; heads: number; time: number; dim: number };
  const all: AttentionSizes = { batch, heads, queries: time, keys: time, dim, valueDim: dim };
  return attend('selfAttention', { qkv }, all, 'packed', options);
}

interface AttentionSizes {
  batch: number;
  heads: number;
  queries: number;
  keys: number;
  dim: number;
  valueDim: number;
}

/** Either q, k and v or qkv. */
type Sources = Readonly<Record<string, tf.Tensor>>;

/** What is added to the scores and what is excluded, in rank 4 and checked. */
interface Restrictions {
  readonly keyMask?: tf.Tensor;
  readonly mask?: tf.Tensor;
  readonly bias?: tf.Tensor;
}

function attend(
  name: string,
  sources: Sources,
  sizes: AttentionSizes,
  layout: AttentionLayout,
  options: SelfAttentionOptions,
): tf.Tensor4D {
  const { causal = false, window, keyMask, mask, bias, scale = 1 / Math.sqrt(Math.max(1, sizes.dim)) } = options;
  assertNumber(`${name}: scale`, scale);
  if (window !== undefined) {
    assertCount(`${name}: window`, window);
    if (!causal) throw new RangeError(`${name}: a window is the end of a query's past; it needs causal: true.`);
  }
  if (keyMask !== undefined) {
    assertTensor(`${name}: keyMask`, keyMask, 'bool');
    if (keyMask.rank !== 2 || keyMask.shape[0] !== sizes.batch || keyMask.shape[1] !== sizes.keys) {
      throw new RangeError(
        `${name}: keyMask must have shape [batch = ${sizes.batch}, keys = ${sizes.keys}], but has shape ` +
          `${formatShape(keyMask.shape)}. Give masks over queries as 'mask'.`,
      );
    }
  }
  if (mask !== undefined) assertScores(`${name}: mask`, mask, sizes, 'bool', 'float32');
  if (bias !== undefined) assertScores(`${name}: bias`, bias, sizes, 'float32');
  const attributes: AttentionAttributes = { layout, causal, window: window ?? Number.POSITIVE_INFINITY, scale };
  const fused = canFuse('FwpAttention') && isSupported(sizes, mask !== undefined || bias !== undefined);

  return tf.tidy(() => {
    const additive = mask?.dtype === 'float32' ? stopGradient(mask) : undefined;
    const added = bias !== undefined && additive !== undefined ? tf.add(bias, additive) : (bias ?? additive);
    const restrictions: Restrictions = {
      ...(keyMask === undefined ? {} : { keyMask }),
      ...(mask === undefined || additive !== undefined ? {} : { mask: inRank4(mask) }),
      ...(added === undefined ? {} : { bias: inRank4(added) }),
    };
    const attended = fused
      ? fusedAttention(sources, restrictions, attributes, bias !== undefined)
      : composedAttention(sources, restrictions, attributes);
    return attended as tf.Tensor4D;
  });
}

/** Whether the backend's kernel takes the sizes, and restrictions of single scores. */
function isSupported({ dim, valueDim }: AttentionSizes, hasScores: boolean): boolean {
  const longest = Math.max(dim, valueDim);
  return tf.getBackend() === 'webgpu' ? longest <= MAX_GPU_ATTENTION_DIM && !hasScores : longest <= MAX_ATTENTION_DIM;
}

/** Makes sure that a tensor broadcasts to the scores. */
function assertScores(name: string, tensor: tf.Tensor, sizes: AttentionSizes, ...dtypes: tf.DataType[]): void {
  assertTensor(name, tensor, ...dtypes);
  const target = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
  const start = 4 - tensor.rank;
  if (start < 0 || tensor.shape.some((extent, axis) => extent !== 1 && extent !== target[start + axis])) {
    throw new RangeError(
      `${name} must broadcast to [batch, heads, queries, keys] = ${formatShape(target)}, but has shape ` +
        `${formatShape(tensor.shape)}. Insert dimensions of size 1 with tf.expandDims(), or use keyMask for [batch, keys].`,
    );
  }
}

function inRank4(x: tf.Tensor): tf.Tensor {
  return x.rank === 4 ? x : tf.reshape(x, [...new Array<number>(4 - x.rank).fill(1), ...x.shape]);
}

// ---- by kernels ----------------------------------------------------------------------------------

function run(kernel: string, inputs: tf.NamedTensorMap, attributes: object): tf.Tensor[] {
  return tf.engine().runKernel(kernel, inputs, attributes as tf.NamedAttrMap) as unknown as tf.Tensor[];
}

function fusedAttention(
  sources: Sources,
  restrictions: Restrictions,
  attributes: AttentionAttributes,
  biasGradient: boolean,
): tf.Tensor {
  const inputs: tf.NamedTensorMap = { ...sources, ...restrictions };
  if (!isTapeOn()) return run('FwpAttention', inputs, attributes)[0] as tf.Tensor;

  const names = Object.keys(inputs);
  const differentiable = [...Object.keys(sources), ...(biasGradient ? ['bias'] : [])];
  const operation = tf.customGrad((...given) => {
    const save = given.at(-1) as tf.GradSaveFunc;
    const [output, logSum] = run('FwpAttention', inputs, attributes) as [tf.Tensor, tf.Tensor];
    save([...names.map((name) => inputs[name] as tf.Tensor), output, logSum]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const savedInputs: tf.NamedTensorMap = { dy };
      for (const [i, name] of [...names, 'output', 'logSum'].entries()) savedInputs[name] = saved[i] as tf.Tensor;
      const gradients = run('FwpAttentionGradient', savedInputs, { ...attributes, biasGradient });
      if (biasGradient) {
        const parts = gradients.pop() as tf.Tensor;
        const shape = (savedInputs['bias'] as tf.Tensor).shape;
        gradients.push(parts.size === 0 || dy.size === 0 ? tf.zeros(shape) : sumToShape(parts, shape));
        parts.dispose();
      }
      return gradients;
    };
    return { value: output, gradFunc: gradFunc as (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[] };
  });
  return operation(...differentiable.map((name) => inputs[name] as tf.Tensor));
}

// ---- on other backends, and where the gradient is differentiated again ---------------------------

/** Excluded scores: their softmax weight is 0 beside any score of ordinary size. */
const EXCLUDED = -1e30;

function composedAttention(
  sources: Sources,
  { keyMask, mask, bias }: Restrictions,
  { layout, causal, window, scale }: AttentionAttributes,
): tf.Tensor {
  const [q, k, v] = separated(sources, layout) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const [queries, keys] = [q.shape[2] as number, k.shape[2] as number];
  // Padded keys may hold anything; zero weights would not stop NaN.
  const present = keyMask && tf.reshape(keyMask, [keyMask.shape[0] as number, 1, keys, 1]);
  const clean = (x: tf.Tensor) => (present ? tf.where(tf.broadcastTo(present, x.shape), x, tf.zerosLike(x)) : x);
  let scores = tf.mul(tf.matMul(q, clean(k), false, true), scale);
  if (bias) scores = tf.add(scores, tf.maximum(bias, EXCLUDED));
  const conditions = [
    ...(mask ? [mask] : []),
    ...(bias ? [tf.greater(bias, Number.NEGATIVE_INFINITY)] : []),
    ...(keyMask ? [tf.reshape(keyMask, [keyMask.shape[0] as number, 1, 1, keys])] : []),
    ...(causal ? [causalMask(queries, keys, window)] : []),
  ];
  let weights: tf.Tensor;
  if (conditions.length === 0) {
    weights = tf.softmax(scores);
  } else {
    const allowed = tf.broadcastTo(
      conditions.reduce((a, b) => tf.logicalAnd(a, b)),
      scores.shape,
    );
    const excluded = tf.fill(scores.shape, EXCLUDED);
    weights = tf.mul(tf.softmax(tf.where(allowed, scores, excluded)), tf.cast(allowed, 'float32'));
  }
  const output = tf.matMul(weights, clean(v));
  return layout === 'BHTD' ? output : tf.transpose(output, [0, 2, 1, 3]);
}

/** [1, 1, queries, keys]: key j is visible to query i if j ≤ i + keys − queries, and later than `window` before that. */
function causalMask(queries: number, keys: number, window: number): tf.Tensor {
  const last = tf.reshape(tf.range(keys - queries, keys, 1, 'int32'), [1, 1, queries, 1]);
  const all = tf.reshape(tf.range(0, keys, 1, 'int32'), [1, 1, 1, keys]);
  const past = tf.lessEqual(all, last);
  return window >= keys ? past : tf.logicalAnd(past, tf.greater(all, tf.sub(last, window)));
}

/** q, k and v in layout 'BHTD'. */
function separated(sources: Sources, layout: AttentionLayout): tf.Tensor[] {
  if (layout === 'packed') {
    const qkv = sources['qkv'] as tf.Tensor;
    return tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]));
  }
  const all = [sources['q'], sources['k'], sources['v']] as tf.Tensor[];
  return layout === 'BHTD' ? all : all.map((x) => tf.transpose(x, [0, 2, 1, 3]));
}
