/**
 * Memories that store pairs of a key and a value one after another and are then asked for values (section 6.1 of the
 * paper). All but softmax attention store them in one matrix W, [N, p]:
 *
 *     softmax   y = Σ_t softmax_t(k_t · q / √d) v_t
 *     sum       W ← W + v φ(k)ᵀ;  z ← z + φ(k);             y = W φ(q) / (z · φ(q) + 10⁻⁶)
 *     delta     W ← W + β (v − W k′) k′ᵀ;                   y = W q′              k′ = φ(k) / Σφ(k), q′ alike
 *     fwm       W ← W − (W k) kᵀ + (β v + (1 − β) W k) kᵀ;  W ← W / max(1, ‖W‖);  y = LayerNorm(W φ(q)),  k = φ(k)
 *
 * A memory's name is that of its features φ and of its rule: `'dpfp-1 delta'`. The sum rule may be left out: `'linear'` is
 * the Linear Transformer.
 */

import {
  attention,
  deltaRule,
  dpfp,
  eluPlusOne,
  type FeatureMapOptions,
  favorPlus,
  favorProjection,
  type RandomStream,
} from '@fwp/core';
import * as tf from '@tensorflow/tfjs-core';

/** Keys `[batch, length, keySize]`, values `[batch, length, N]`, queries `[batch, queries, keySize]`; all float32. */
export interface StoredPairs {
  readonly keys: tf.Tensor3D;
  readonly values: tf.Tensor3D;
  readonly queries: tf.Tensor3D;
  /** Write strengths in (0, 1), `[batch, length]`; for rules that learn them. */
  readonly beta: tf.Tensor2D;
}

/** A way to store pairs and to recall values, `[batch, queries, N]`. */
export interface AssociativeMemory {
  readonly rule: Rule;
  recall(pairs: StoredPairs): tf.Tensor3D;
}

/** How pairs are stored. */
export type Rule = 'softmax' | 'sum' | 'delta' | 'fwm';

type FeatureMap = (x: tf.Tensor3D, options?: FeatureMapOptions) => tf.Tensor3D;

const EPSILON = 1e-6;

/** What a memory can be called. */
export const MEMORY_NAME: RegExp =
  /^(?:softmax|(?<features>linear|tanh|(?:dpfp|favor)-[1-9][0-9]*)(?: (?<rule>sum|delta|fwm))?)$/;
/** {@link MEMORY_NAME} in words. */
export const MEMORY_NAMES: string =
  "'softmax', or features and a rule as in 'dpfp-1 delta': features linear, dpfp-<nu>, favor-<m> or tanh, rules sum (the " +
  'default), delta or fwm';

/**
 * The memory of a name.
 *
 * @param name see {@link MEMORY_NAMES}
 * @param keySize size of keys before the feature map
 * @param random draws the projections of `favor`
 * @throws RangeError if there is no such memory
 */
export function createMemory(name: string, keySize: number, random: RandomStream): AssociativeMemory {
  const match = MEMORY_NAME.exec(name);
  if (match === null) throw new RangeError(`memory '${name}': expected ${MEMORY_NAMES}.`);
  const { features, rule = 'sum' } = match.groups as { features?: string; rule?: 'sum' | 'delta' | 'fwm' };
  if (features === undefined) return { rule: 'softmax', recall: recallBySoftmax };
  const recall = { sum: recallBySum, delta: recallByDelta, fwm: recallByFastWeightMemory }[rule];
  return { rule, recall: (pairs) => recall(pairs, featureMap(features, keySize, random)) };
}

/** φ; FAVOR+ draws a new projection each time. */
function featureMap(name: string, keySize: number, random: RandomStream): FeatureMap {
  const [kind, size] = name.split('-');
  if (kind === 'linear') return eluPlusOne;
  if (kind === 'tanh') return (x) => tf.tanh(x);
  if (kind === 'dpfp') return (x, options) => dpfp(x, { nu: Number(size), ...options });
  const projection = favorProjection(random, keySize, Number(size));
  return (x, options) => favorPlus(x, projection, options);
}

function recallBySoftmax({ keys, values, queries }: StoredPairs): tf.Tensor3D {
  const oneHead = (x: tf.Tensor3D) => tf.expandDims(x, 1);
  return tf.squeeze(attention(oneHead(queries), oneHead(keys), oneHead(values)), [1]);
}

/**
 * With few queries behind a long sequence it is cheaper to weigh the values, y = Σ_t (φ(k_t) · φ(q)) v_t / Σ_t φ(k_t) · φ(q),
 * than to build W: the same sums in another order.
 */
function recallBySum({ keys, values, queries }: StoredPairs, map: FeatureMap): tf.Tensor3D {
  const weights = tf.matMul(map(queries), map(keys), false, true);
  return tf.div(tf.matMul(weights, values), tf.add(tf.sum(weights, -1, true), EPSILON));
}

/** The queries follow the pairs in the sequence, where nothing is written any more. */
function recallByDelta({ keys, values, queries, beta }: StoredPairs, map: FeatureMap): tf.Tensor3D {
  const length = keys.shape[1];
  const asked = queries.shape[1];
  const normalized = { normalization: 'sum', epsilon: EPSILON } as const;
  const { output } = deltaRule(
    placed(map(queries, normalized), length, 0),
    placed(map(keys, normalized), 0, asked),
    placed(values, 0, asked),
    tf.squeeze(placed(tf.expandDims(beta, 2), 0, asked), [3]),
  );
  return tf.squeeze(tf.slice(output, [0, 0, length, 0]), [1]);
}

/** One head [batch, 1, before + length + behind, size], with zeros before and behind. */
function placed(x: tf.Tensor3D, before: number, behind: number): tf.Tensor4D {
  const margins: [number, number][] = [
    [0, 0],
    [before, behind],
    [0, 0],
  ];
  return tf.expandDims(tf.pad(x, margins), 1);
}

function recallByFastWeightMemory({ keys, values, queries, beta }: StoredPairs, map: FeatureMap): tf.Tensor3D {
  const [batch, length, size] = values.shape;
  const k = tf.unstack(map(keys), 1).map((x) => tf.expandDims(x, 1)) as tf.Tensor3D[];
  const v = tf.unstack(values, 1).map((x) => tf.expandDims(x, 2)) as tf.Tensor3D[];
  const b = tf.split(beta, length, 1).map((x) => tf.expandDims(x, 2)) as tf.Tensor3D[];
  let w: tf.Tensor3D = tf.zeros([batch, size, (k[0] as tf.Tensor3D).shape[2]]);
  for (let t = 0; t < length; t++) {
    const [key, value, strength] = [k[t], v[t], b[t]] as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
    const old = tf.matMul(w, key, false, true);
    w = tf.add(w, tf.matMul(tf.mul(strength, tf.sub(value, old)), key));
    if (t > 0) w = tf.div(w, tf.maximum(1, tf.sqrt(tf.sum(tf.square(w), [1, 2], true))));
  }
  const read = tf.matMul(map(queries), w, false, true);
  const { mean, variance } = tf.moments(read, -1, true);
  return tf.div(tf.sub(read, mean), tf.sqrt(tf.add(variance, 1e-5)));
}
