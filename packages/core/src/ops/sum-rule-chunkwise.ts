/**
 * The sum rule over chunks of time, by matrix products: for backends without the kernel, and where a gradient is
 * differentiated again.
 *
 * Within a chunk of C steps (rows are steps; S the state before it; Γ_ij the product of the decays after step j up to step i,
 * g those from the start; all for one factor or for each key channel)
 *
 *   Y = (g ∘ Q) Sᵀ + P V      P_ij = Σ_d Q_id Γ_ijd K_jd for j ≤ i      S' = S ∘ g_C + Vᵀ (Γ_C ∘ K)
 *
 * (Yang et al. 2024, "Gated linear attention transformers", section 4). Products of decays are never divided, nor taken apart
 * into logarithms that could overflow: where channels decay each on their own, Γ has an entry for each of them, and chunks are
 * shorter. All chunks run at once but for the state. The normaliser is one more value that is always 1.
 */

import * as tf from '@tensorflow/tfjs-core';
import { connectedZeros } from './connected-zeros.ts';
import type { ScanOptions, ScanResult, ScanSizes } from './fast-weight-scan.ts';
import {
  aliveAfter,
  CHUNK_STEPS,
  chunkDecay,
  eachChunk,
  inChunks,
  oneLater,
  transposed,
  triangle,
} from './scan-chunks.ts';
import type { LinearAttentionResult, SumRuleInputs, SumRuleNormalizer } from './sum-rule.ts';

/** Steps of a chunk where each key channel has its own decay: a step costs C · keyDim numbers. */
const VECTOR_CHUNK_STEPS = 16;

/** The sum rule in tfjs operations. */
export function chunkwiseSumRule(
  sizes: ScanSizes,
  inputs: SumRuleInputs,
  options: ScanOptions,
  normalizer?: SumRuleNormalizer,
): LinearAttentionResult {
  return normalizer === undefined
    ? unnormalized(sizes, inputs, options)
    : normalized(sizes, inputs, options, normalizer, unnormalized);
}

/** The sum rule with a normaliser, by one without: `scan` on values with one more channel. */
export function normalized(
  sizes: ScanSizes,
  inputs: SumRuleInputs,
  options: ScanOptions,
  normalizer: SumRuleNormalizer,
  scan: (sizes: ScanSizes, inputs: SumRuleInputs, options: ScanOptions) => ScanResult,
): LinearAttentionResult {
  const { batch, heads, time, keyDim, valueDim } = sizes;
  const ones = tf.ones([batch, heads, time, 1]);
  const sums = normalizer.initial ?? tf.zeros([batch, heads, keyDim]);
  const state = options.initialState ?? tf.zeros([batch, heads, valueDim, keyDim]);
  const { q, k, v, decay } = inputs;
  if (q.size === 0) {
    const output = connectedZeros(v.shape, [q, k, v, decay, state, sums, normalizer.floor]) as tf.Tensor4D;
    const [finalState, finalNormalizer] = [tf.clone(state) as tf.Tensor4D, tf.clone(sums) as tf.Tensor3D];
    return { output, finalState, finalNormalizer };
  }
  const both = scan(
    { ...sizes, valueDim: valueDim + 1 },
    { ...inputs, v: tf.concat([v, ones], 3) },
    { ...options, initialState: tf.concat([state, tf.expandDims(sums, 2)], 2) },
  );
  const [sum, count] = tf.split(both.output, [valueDim, 1], 3) as [tf.Tensor, tf.Tensor];
  const [finalState, finalSums] = tf.split(both.finalState, [valueDim, 1], 2) as [tf.Tensor, tf.Tensor];
  const denominator =
    normalizer.floor === undefined
      ? tf.add(count, normalizer.epsilon ?? 0)
      : tf.maximum(tf.abs(count), tf.expandDims(normalizer.floor, 3));
  return {
    output: (valueDim === 0 ? sum : tf.div(sum, denominator)) as tf.Tensor4D,
    finalState: finalState as tf.Tensor4D,
    finalNormalizer: tf.squeeze(finalSums, [2]) as tf.Tensor3D,
  };
}

function unnormalized(sizes: ScanSizes, inputs: SumRuleInputs, options: ScanOptions): ScanResult {
  const { batch, heads, keyDim, valueDim } = sizes;
  const state = options.initialState ?? tf.zeros([batch, heads, valueDim, keyDim]);
  const { output, finalState } = overChunks(sizes, inputs, options, state);
  return { output: output as tf.Tensor4D, finalState: finalState as tf.Tensor4D };
}

function overChunks(
  { heads, time }: ScanSizes,
  { q, k, v, decay }: SumRuleInputs,
  { resetMask, read }: ScanOptions,
  initialState: tf.Tensor,
): { output: tf.Tensor; finalState: tf.Tensor } {
  if (q.size === 0 || v.size === 0) {
    return { output: connectedZeros(v.shape, [q, k, v, decay, initialState]), finalState: tf.clone(initialState) };
  }
  const byChannel = decay?.rank === 4;
  const steps = Math.min(byChannel ? VECTOR_CHUNK_STEPS : CHUNK_STEPS, time);
  const [queries, keys, values] = [q, k, v].map((x) => inChunks(x, 0, steps)) as [tf.Tensor, tf.Tensor, tf.Tensor];

  // A reset is a decay to nothing.
  const alive = resetMask === undefined ? undefined : aliveAfter(resetMask, heads);
  const spread = alive === undefined || !byChannel ? alive : tf.expandDims(alive, 3);
  const factors = decay === undefined || spread === undefined ? (decay ?? spread) : tf.mul(decay, spread);
  if (factors === undefined) {
    const written = tf.matMul(values, keys, true, false);
    const before = tf.add(tf.cumsum(written, 2, true), tf.expandDims(initialState, 2));
    const seen = triangle(steps, read === 'before' ? -1 : 0);
    return {
      output: reading(queries, tf.mul(tf.matMul(queries, keys, false, true), seen), values, before, time),
      finalState: tf.add(tf.sum(written, 2), initialState),
    };
  }

  // One factor: Γ [batch, heads, N, C, C]. One for each channel: Γ [batch, heads, N, keyDim, C, C].
  const cut = inChunks(factors, 1, steps);
  const products = chunkDecay(byChannel ? transposed(cut) : cut);
  const inTime = (x: tf.Tensor) => (byChannel ? transposed(tf.squeeze(x, [x.rank - 1])) : x);
  let [between, fromStart] = [products.between, inTime(products.fromStart)];
  if (read === 'before') {
    [between, fromStart] = [oneLater(between, 0), oneLater(fromStart, 1)];
    if (alive !== undefined) {
      const continued = tf.expandDims(inChunks(alive, 1, steps), -1);
      between = tf.mul(between, byChannel ? tf.expandDims(continued, 3) : continued);
      fromStart = tf.mul(fromStart, continued);
    }
  }
  const weights = byChannel
    ? tf.sum(tf.mul(tf.mul(tf.expandDims(transposed(queries), 5), between), tf.expandDims(transposed(keys), 4)), 3)
    : tf.mul(tf.matMul(queries, keys, false, true), between);
  const written = tf.matMul(values, tf.mul(keys, inTime(products.toEnd)), true, false);
  const whole = inTime(products.whole);
  let state = initialState;
  const states: tf.Tensor[] = [];
  const kept = eachChunk(whole);
  for (const [n, chunk] of eachChunk(written).entries()) {
    states.push(state);
    state = tf.add(tf.mul(state, kept[n]!), chunk);
  }
  // The gradient's gradient of stacking a single tensor fails.
  const before = states.length === 1 ? tf.expandDims(initialState, 2) : tf.stack(states, 2);
  return { output: reading(tf.mul(queries, fromStart), weights, values, before, time), finalState: state };
}

/** What queries read of the states before their chunks and, by weights, of the values in them. */
function reading(
  queries: tf.Tensor,
  weights: tf.Tensor,
  values: tf.Tensor,
  states: tf.Tensor,
  time: number,
): tf.Tensor {
  const outputs = tf.add(tf.matMul(queries, states, false, true), tf.matMul(weights, values));
  const [batch, heads, chunks, steps, dim] = outputs.shape as [number, number, number, number, number];
  return tf.slice(tf.reshape(outputs, [batch, heads, chunks * steps, dim]), [0, 0, 0, 0], [batch, heads, time, dim]);
}
